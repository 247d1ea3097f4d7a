"""Dictionaries of tensors, ``NAME_train_RESOLUTION.pt`` of the package neuraloperator (Kossaifi et al., 2412.10354).

``x`` (samples, *grid) is what a map starts from and ``y`` its result: of the same shape, or with an axis of times after the
samples, the trajectories that begin at x. The files hold no coordinates: space is the unit interval or square, periodic except
for Darcy flow, and time runs from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sciml.data.arrays import SAMPLE, TIME, Array, ArrayLayout
from sciml.data.layout import Header, Layout


def read(file: Mapping[str, Any], path: Path) -> Layout | None:
    """The layout of a dictionary of arrays; None when it is another one."""
    if "x" not in file or "y" not in file or file["x"].ndim not in (2, 3):
        return None
    x, y = file["x"], file["y"]
    name = path.stem
    periodic = "darcy" not in name.lower()
    axes = {axis: np.arange(n) / n if periodic else np.linspace(0, 1, n) for axis, n in zip("xy", x.shape[1:], strict=False)}
    steady = y.ndim == x.ndim
    header = Header(
        problem=name,
        channels=("u",),
        groups=("u",),
        times=np.zeros(1) if steady else np.linspace(0, 1, y.shape[1]),
        grid=axes,
        periodic=(periodic,) * len(axes),
        input_channels=("a",) if steady else (),
    )
    fields = Array("y", y, (SAMPLE, *axes) if steady else (SAMPLE, TIME, *axes))
    return ArrayLayout(file, path, header, [fields], [Array("x", x, (SAMPLE, *axes))] if steady else [])
