"""The Well (Ohana et al., NeurIPS 2024, 2412.00568): scalar, vector and tensor fields in the groups ``t0_fields``,
``t1_fields`` and ``t2_fields``, coordinates in ``dimensions``, numbers in ``scalars``.

A set is a folder of such files, which ``Trajectories`` takes as one. A field that does not vary in time is a channel too, the
same at every time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sciml.data.arrays import CHANNEL, SAMPLE, TIME, Array, ArrayLayout
from sciml.data.layout import Header, Layout, attribute, dataset, names
from sciml.errors import InputError


def read(file: Any, path: Path) -> Layout | None:
    """The layout of an open HDF5 file; None when it is another one."""
    if "dimensions" not in file or "t0_fields" not in file:
        return None
    dimensions = file["dimensions"]
    axes = {name: _axis(dimensions, name, path) for name in names(attribute(dimensions, "spatial_dims", path))}
    found = list(_fields(file, list(axes), path))
    numbers = {name: entry for name, entry in file.get("scalars", {}).items() if not entry.attrs.get("time_varying", False)}
    fixed = {name: float(np.ravel(n)[0]) for name, n in numbers.items() if not n.attrs.get("sample_varying", False)}
    named = names(file.attrs.get("simulation_parameters", []))
    header = Header(
        problem=str(attribute(file, "dataset_name", path)),
        channels=tuple(channel for _, channels in found for channel in channels),
        groups=tuple(array.name for array, channels in found for _ in channels),
        times=_axis(dimensions, "time", path),
        grid=axes,
        periodic=tuple(name in _around(file) for name in axes),
        settings=fixed | {name: float(file.attrs[name]) for name in named if name in file.attrs},
    )
    varying = {name: np.asarray(entry, dtype=np.float64) for name, entry in numbers.items() if name not in fixed}
    return ArrayLayout(file, path, header, [array for array, _ in found], parameters=varying)


def _fields(file: Any, grid: list[str], path: Path) -> Iterator[tuple[Array, tuple[str, ...]]]:
    """Every field and the names of its channels."""
    for order in range(3):
        group = file.get(f"t{order}_fields", {})
        suffixes = ["".join(letters) for letters in itertools.product(grid, repeat=order)]
        for name in names(group.attrs.get("field_names", list(group))) if group else ():
            data = dataset(group, name, path)
            varies = np.broadcast_to(attribute(data, "dim_varying", path), len(grid))
            axes = [SAMPLE] if attribute(data, "sample_varying", path) else []
            axes += [TIME] if attribute(data, "time_varying", path) else []
            axes += [axis for axis, present in zip(grid, varies, strict=True) if present]
            axes += [CHANNEL] * max(0, data.ndim - len(axes))
            yield Array(name, data, tuple(axes)), tuple(f"{name}_{suffix}" if suffix else name for suffix in suffixes)


def _axis(dimensions: Any, name: str, path: Path) -> np.ndarray:
    axis = dataset(dimensions, name, path)
    if axis.attrs.get("sample_varying", False) or axis.attrs.get("time_varying", False):
        raise InputError(f"{path}: 'dimensions/{name}' varies between samples or in time, expected one list for all")
    return np.asarray(axis, dtype=np.float64)


def _around(file: Any) -> set[str]:
    """The axes that are periodic."""
    conditions = file.get("boundary_conditions", {}).values()
    periodic = [c for c in conditions if str(c.attrs.get("bc_type", "")).lower() == "periodic"]
    return {axis for condition in periodic for axis in names(condition.attrs.get("associated_dims", []))}
