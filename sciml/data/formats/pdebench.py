"""PDEBench (Takamoto et al., NeurIPS 2022, 2210.07182), in its three layouts:

- ``tensor`` (samples, times, *grid), and for Darcy flow its coefficient ``nu`` (samples, *grid);
- compressible flow, ``density``, ``pressure``, ``Vx``, ``Vy``, ``Vz``, each (samples, times, *grid);
- one group a sample, "0000" and so on, with ``data`` (times, *grid, channels) and ``grid/x``, ``grid/y``, ``grid/t``.

Coordinates of the first two are ``t-coordinate``, ``x-coordinate``, ... The files do not tell what happens at the boundary:
the equations of the first layout are periodic in one dimension of space, and the name of a file with a compressible flow
holds "periodic" or "trans".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sciml.data.arrays import CHANNEL, SAMPLE, TIME, Array, ArrayLayout, GroupedLayout
from sciml.data.layout import Header, Layout, dataset
from sciml.errors import InputError

_FLOW = {"density": "density", "Vx": "velocity", "Vy": "velocity", "Vz": "velocity", "pressure": "pressure"}


def read(file: Any, path: Path) -> Layout | None:
    """The layout of an open HDF5 file; None when it is another one."""
    if "tensor" in file:
        return _scalar(file, path)
    if "density" in file and "Vx" in file:
        return _flow(file, path)
    samples = sorted(name for name in file if name.isdigit())
    if samples and "data" in file[samples[0]]:
        return _groups(file, path, samples)
    return None


def _scalar(file: Any, path: Path) -> Layout:
    axes = _axes(file, file["tensor"].ndim - 2, path)
    inputs = [Array("nu", file["nu"], (SAMPLE, *axes))] if "nu" in file else []
    header = Header(
        problem=path.stem,
        channels=("u",),
        groups=("u",),
        times=_times(file, file["tensor"].shape[1], path),
        grid=axes,
        periodic=(len(axes) == 1,) * len(axes),
        input_channels=("nu",) if inputs else (),
        settings=_settings(file),
    )
    return ArrayLayout(file, path, header, [Array("tensor", file["tensor"], (SAMPLE, TIME, *axes))], inputs)


def _flow(file: Any, path: Path) -> Layout:
    axes = _axes(file, file["density"].ndim - 2, path)
    names = ["density", *(f"V{axis}" for axis in axes), "pressure"]
    header = Header(
        problem=path.stem,
        channels=tuple(names),
        groups=tuple(_FLOW[name] for name in names),
        times=_times(file, file["density"].shape[1], path),
        grid=axes,
        periodic=("periodic" in path.stem.lower(),) * len(axes),
        settings=_settings(file),
    )
    return ArrayLayout(file, path, header, [Array(name, dataset(file, name, path), (SAMPLE, TIME, *axes)) for name in names])


def _groups(file: Any, path: Path, samples: Sequence[str]) -> Layout:
    first = file[samples[0]]
    count = first["data"].shape[-1]
    channels = ("u",) if count == 1 else tuple(f"u{i}" for i in range(count))
    axes = {name: _numbers(dataset(first, f"grid/{name}", path)) for name in "xyz"[: first["data"].ndim - 2]}
    times = _numbers(dataset(first, "grid/t", path))
    header = Header(path.stem, channels, channels, times, axes, (False,) * len(axes))

    def part(group: Any) -> ArrayLayout:
        data = Array(f"{group.name}/data", dataset(group, "data", path), (TIME, *axes, CHANNEL))
        return ArrayLayout(group, path, header, [data])

    return GroupedLayout(file, samples, part)


def _axes(file: Any, dimensions: int, path: Path) -> dict[str, np.ndarray]:
    if not 1 <= dimensions <= 3:
        raise InputError(f"{path}: a field has {dimensions + 2} axes, expected samples, times and one to three of space")
    return {name: _numbers(dataset(file, f"{name}-coordinate", path)) for name in "xyz"[:dimensions]}


def _times(file: Any, count: int, path: Path) -> np.ndarray:
    """Some files list the end of the last step too."""
    if count == 1 and "t-coordinate" not in file:
        return np.zeros(1)
    times = _numbers(dataset(file, "t-coordinate", path))
    return times[:-1] if len(times) == count + 1 else times


def _numbers(data: Any) -> np.ndarray:
    return np.asarray(data, dtype=np.float64)


def _settings(file: Any) -> dict[str, float]:
    return {name: float(value) for name, value in file.attrs.items() if isinstance(value, int | float | np.number)}
