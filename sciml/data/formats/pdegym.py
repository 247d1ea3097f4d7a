"""PDEgym (Herde et al., NeurIPS 2024, 2405.19101), the NetCDF-4 files that Poseidon is trained on.

======================================  ==================================================================
``velocity``                            (samples, times, 2 or 3, x, y): u, v and perhaps a tracer
``data``                                (samples, times, 4 or more, x, y): density, u, v, pressure
``solution`` with five axes             the same with two channels u, v (FNS-KF) or four and more (CE-RM, GCE-RT)
``solution`` with four axes             (samples, times, x, y), with a speed ``c`` (samples, x, y) in Wave-*
the same in SE-AF                       (samples, 2, x, y): a map from the shape of an airfoil to the density around it
``source``, ``solution``                (samples, x, y): Poisson-Gauss, a map from the first to the second
groups ``Sample_0``, ... of a, bc, u    Helmholtz, a map from a and the boundary value bc to u
======================================  ==================================================================

The files hold no coordinates: space is the unit square and time runs from 0 to 1, to 2 in CE-RM. Of ``data`` and of the long
``solution`` the first four channels are read, and the potential of gravity, the sixth, in GCE-RT. NS-SL stores y before x.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sciml.data.arrays import CHANNEL, SAMPLE, TIME, Array, ArrayLayout, GroupedLayout
from sciml.data.layout import Header, Layout, dataset

_GROUPS = {"u": "velocity", "v": "velocity"}
_FLOW = ("density", "u", "v", "pressure")
_PERIODIC = ("NS-", "FNS-", "CE-", "ACE")
_OTHERS = ("Wave-", "Poisson-", "GCE-", "SE-")
_DURATION = {"CE-RM": 2.0}


def read(file: Any, path: Path) -> Layout | None:
    """The layout of an open HDF5 file; None when it is another one."""
    if "Sample_0" in file:
        return _helmholtz(file, path)
    if "velocity" in file and file["velocity"].ndim == 5:
        return _flow(file, path, "velocity", ("u", "v", "tracer")[: file["velocity"].shape[2]])
    if "data" in file and file["data"].ndim == 5:
        return _flow(file, path, "data", _FLOW)
    if "solution" not in file:
        return None
    dimensions = file["solution"].ndim
    if dimensions == 5:
        return _flow(file, path, "solution", ("u", "v") if file["solution"].shape[2] == 2 else _FLOW)
    if dimensions == 4:
        return _airfoil(file, path) if _name(path).startswith("SE-AF") else _scalar(file, path)
    return _poisson(file, path) if "source" in file else None


def _flow(file: Any, path: Path, key: str, channels: tuple[str, ...]) -> Layout:
    name, stored = _name(path), file[key]
    space = ("y", "x") if name == "NS-SL" else ("x", "y")
    arrays = [Array(key, stored, (SAMPLE, TIME, CHANNEL, *space), (0, len(channels)))]
    if name == "GCE-RT":
        arrays.append(Array(key, stored, (SAMPLE, TIME, CHANNEL, *space), (5, 6)))
        channels = (*channels, "gravity")
    header = _header(path, channels, stored.shape[1], stored.shape[-1], periodic=name.startswith(_PERIODIC))
    return ArrayLayout(file, path, header, arrays)


def _scalar(file: Any, path: Path) -> Layout:
    stored = file["solution"]
    arrays = [Array("solution", stored, (SAMPLE, TIME, "x", "y"))]
    if "c" in file:
        arrays.append(Array("c", file["c"], (SAMPLE, "x", "y")))
    channels = ("u", "c")[: len(arrays)]
    header = _header(path, channels, stored.shape[1], stored.shape[-1], periodic=_name(path).startswith(_PERIODIC))
    return ArrayLayout(file, path, header, arrays)


def _airfoil(file: Any, path: Path) -> Layout:
    shape, density = (Array("solution", file["solution"], (SAMPLE, CHANNEL, "x", "y"), (i, i + 1)) for i in range(2))
    header = _header(path, ("density",), 1, file["solution"].shape[-1], inputs=("shape",))
    return ArrayLayout(file, path, header, [density], [shape])


def _poisson(file: Any, path: Path) -> Layout:
    axes = (SAMPLE, "x", "y")
    header = _header(path, ("u",), 1, file["solution"].shape[-1], inputs=("f",))
    return ArrayLayout(file, path, header, [Array("solution", file["solution"], axes)], [Array("source", file["source"], axes)])


def _helmholtz(file: Any, path: Path) -> Layout:
    groups = sorted((name for name in file if name.startswith("Sample_")), key=lambda name: int(name[7:]))
    header = _header(path, ("u",), 1, dataset(file[groups[0]], "u", path).shape[-1], inputs=("a", "bc"))

    def part(group: Any) -> ArrayLayout:
        fields = {key: Array(f"{group.name}/{key}", dataset(group, key, path), ("x", "y")) for key in ("u", "a")}
        value = np.asarray(dataset(group, "bc", path)).reshape(())
        return ArrayLayout(group, path, header, [fields["u"]], [fields["a"], Array(f"{group.name}/bc", value, ())])

    return GroupedLayout(file, groups, part)


def _header(
    path: Path, channels: tuple[str, ...], times: int, points: int, *, periodic: bool = False, inputs: tuple[str, ...] = ()
) -> Header:
    axis = np.arange(points) / points if periodic else np.linspace(0, 1, points)
    return Header(
        problem=_name(path),
        channels=channels,
        groups=tuple(_GROUPS.get(name, name) for name in channels) if "v" in channels else channels,
        times=np.linspace(0, _DURATION.get(_name(path), 1.0), times) if times > 1 else np.zeros(1),
        grid={"x": axis, "y": axis},
        periodic=(periodic, periodic),
        input_channels=inputs,
    )


def _name(path: Path) -> str:
    """That of the set: of the file, or of its folder when the file is one of several, such as velocity_3.nc."""
    named = (
        name for name in (path.stem, path.parent.name) if name.startswith((*_PERIODIC, "Wave-", "Poisson-", "GCE-", "SE-"))
    )
    return next(named, path.stem)
