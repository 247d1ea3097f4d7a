"""The MATLAB files of Li et al. (ICLR 2021, 2010.08895), version 5 or 7.3; the latter is HDF5 with all axes reversed.

======================  ==================================================================================
``a``, ``u``            (samples, x) each: Burgers' equation, a map from u at 0 to u at 1
``coeff``, ``sol``      (samples, x, y) each: Darcy flow, a map from the coefficient to the solution
``u``, ``t``            (samples, x, y, times) and the times: vorticity; ``a``, the vorticity at 0, is not read
======================  ==================================================================================

Space is the unit interval or square, periodic except for Darcy flow.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sciml.data.arrays import SAMPLE, TIME, Array, ArrayLayout
from sciml.data.layout import Header, Layout, dataset


def read(file: Mapping[str, Any], path: Path) -> Layout | None:
    """The layout of an open file; None when it is another one."""
    if "coeff" in file and "sol" in file:
        return _map(file, path, "coeff", "sol", ("x", "y"), periodic=False)
    if "u" not in file:
        return None
    if file["u"].ndim == 2 and "a" in file:
        return _map(file, path, "a", "u", ("x",), periodic=True)
    if file["u"].ndim == 4:
        return _vorticity(file, path)
    return None


def _map(file: Any, path: Path, source: str, result: str, space: tuple[str, ...], *, periodic: bool) -> Layout:
    axes = _ordered(file, (SAMPLE, *space))
    sizes = dict(zip(axes, file[result].shape, strict=False))
    header = Header(path.stem, ("u",), ("u",), np.zeros(1), _grid(sizes, space, periodic), (periodic,) * len(space), (source,))
    return ArrayLayout(file, path, header, [Array(result, file[result], axes)], [Array(source, file[source], axes)])


def _vorticity(file: Any, path: Path) -> Layout:
    axes = _ordered(file, (SAMPLE, "x", "y", TIME))
    sizes = dict(zip(axes, file["u"].shape, strict=True))
    times = np.ravel(dataset(file, "t", path)).astype(np.float64)
    header = Header(path.stem, ("w",), ("w",), times, _grid(sizes, ("x", "y"), True), (True, True))
    return ArrayLayout(file, path, header, [Array("u", file["u"], axes)])


def _ordered(file: Any, axes: tuple[str, ...]) -> tuple[str, ...]:
    """The order in which the file has the axes."""
    return axes if isinstance(file, dict) else axes[::-1]


def _grid(sizes: Mapping[str, int], space: tuple[str, ...], periodic: bool) -> dict[str, np.ndarray]:
    return {axis: np.arange(sizes[axis]) / sizes[axis] if periodic else np.linspace(0, 1, sizes[axis]) for axis in space}
