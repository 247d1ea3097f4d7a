"""The layout that sciml writes.

::

    attributes             format "sciml-trajectories", version 1, problem, settings and provenance (JSON), periodic (axes,)
    fields                 (samples, times, channels, *grid) float32; attributes channels, groups, axes
    times                  (times,)
    grid/<axis>            (points,), one for every axis
    inputs                 (samples, input channels, *grid) float32, attribute channels; only for maps such as Darcy's
    parameters/<name>      (samples,)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from sciml.data.arrays import CHANNEL, SAMPLE, TIME, Array, ArrayLayout
from sciml.data.layout import Header, Layout, attribute, dataset, expect_shape, names
from sciml.errors import InputError

FORMAT, VERSION = "sciml-trajectories", 1


def read(file: Any, path: Path) -> Layout | None:
    """The layout of an open HDF5 file; None when it is another one.

    Raises:
        InputError: a part is missing or does not fit.
    """
    if file.attrs.get("format") != FORMAT:
        return None
    version = attribute(file, "version", path)
    if version != VERSION:
        raise InputError(f"{path}: version {version} of {FORMAT!r} is not known, expected {VERSION}; update sciml")
    fields = dataset(file, "fields", path)
    grid = names(attribute(fields, "axes", path))
    inputs = [Array("inputs", file["inputs"], (SAMPLE, CHANNEL, *grid))] if "inputs" in file else []
    header = Header(
        problem=str(attribute(file, "problem", path)),
        channels=names(attribute(fields, "channels", path)),
        groups=names(attribute(fields, "groups", path)),
        times=np.asarray(dataset(file, "times", path), dtype=np.float64),
        grid={name: np.asarray(dataset(file, f"grid/{name}", path), dtype=np.float64) for name in grid},
        periodic=tuple(map(bool, attribute(file, "periodic", path))),
        input_channels=names(attribute(file["inputs"], "channels", path)) if inputs else (),
        settings=json.loads(attribute(file, "settings", path)),
        provenance=json.loads(attribute(file, "provenance", path)),
    )
    parameters = {name: entry[:] for name, entry in file.get("parameters", {}).items()}
    for name, numbers in parameters.items():
        expect_shape(f"parameters/{name}", numbers.shape, (len(fields),), path)
    return ArrayLayout(file, path, header, [Array("fields", fields, (SAMPLE, TIME, CHANNEL, *grid))], inputs, parameters)
