"""What a file of trajectories tells about its values, and the HDF5 layout that sciml writes.

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
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sciml.errors import InputError

FORMAT, VERSION = "sciml-trajectories", 1


@dataclass(frozen=True)
class Header:
    """What is known about trajectories besides their values.

    Attributes:
        problem: name of the problem or of the data set.
        channels: names of the fields.
        groups: for every channel the name of its group, such as "velocity" for u and v: errors are relative by group.
        times: increasing (T,); a single one for steady fields.
        grid: increasing coordinates (n,) by axis, in the order of the fields' axes.
        periodic: for every axis, whether the fields repeat along it; the last point of the period is then left out.
        input_channels: names of the fields that a steady map starts from.
        settings: the problem's settings.
        provenance: how the file came about, such as the seed.
    """

    problem: str
    channels: tuple[str, ...]
    groups: tuple[str, ...]
    times: np.ndarray
    grid: Mapping[str, np.ndarray]
    periodic: tuple[bool, ...]
    input_channels: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def points(self) -> tuple[int, ...]:
        return tuple(len(axis) for axis in self.grid.values())

    def check(self, path: Path) -> None:
        """Raise InputError unless the parts fit together and times and grid increase in equal steps."""
        for name, length, expected in (
            ("groups", len(self.groups), len(self.channels)),
            ("periodic", len(self.periodic), len(self.grid)),
        ):
            if length != expected:
                raise InputError(f"{path}: {name!r} has {length} entries, expected {expected}")
        for name, axis in (("times", self.times), *((f"grid/{name}", axis) for name, axis in self.grid.items())):
            if axis.ndim != 1 or not len(axis) or not np.isfinite(axis).all():
                raise InputError(f"{path}: {name!r} must be a list of finite numbers, found shape {axis.shape}")
            steps = np.diff(axis)
            if len(steps) and not (steps.min() > 0 and np.ptp(steps) <= 1e-3 * steps.mean()):
                raise InputError(
                    f"{path}: {name!r} must increase in equal steps, found steps from {steps.min():g} to {steps.max():g}; "
                    "interpolate the fields to such a grid"
                )


class Layout(ABC):
    """An open file in one layout.

    Attributes:
        header: what the file tells.
        samples: how many trajectories it holds.
        shape: that of the stored fields in our order, (samples, times, channels, *grid).
    """

    header: Header
    shape: tuple[int, ...]

    @abstractmethod
    def fields(self, samples: slice | np.ndarray, times: slice | np.ndarray) -> np.ndarray:
        """The fields (n, t, channels, *grid); indices are increasing, without repetition."""

    def inputs(self, samples: slice | np.ndarray) -> np.ndarray:
        """The input fields (n, input channels, *grid)."""
        raise NotImplementedError

    def parameters(self) -> dict[str, np.ndarray]:
        """Numbers (samples,) by name."""
        return {}

    @abstractmethod
    def close(self) -> None:
        """Close the file."""


class TrajectoryFile(Layout):
    """An open file in sciml's own layout; raises InputError when a part is missing or does not fit."""

    def __init__(self, file: Any, path: Path) -> None:
        self._file, version = file, file.attrs.get("version")
        if version != VERSION:
            raise InputError(f"{path}: version {version} of {FORMAT!r} is not known, expected {VERSION}; update sciml")
        fields = dataset(file, "fields", path)
        axes = attribute(fields, "axes", path)
        self.header = Header(
            problem=str(attribute(file, "problem", path)),
            channels=_names(attribute(fields, "channels", path)),
            groups=_names(attribute(fields, "groups", path)),
            times=np.asarray(dataset(file, "times", path), dtype=np.float64),
            grid={str(name): np.asarray(dataset(file, f"grid/{name}", path), dtype=np.float64) for name in axes},
            periodic=tuple(map(bool, attribute(file, "periodic", path))),
            input_channels=_names(attribute(dataset(file, "inputs", path), "channels", path)) if "inputs" in file else (),
            settings=json.loads(attribute(file, "settings", path)),
            provenance=json.loads(file.attrs.get("provenance", "{}")),
        )
        self.shape = fields.shape
        for name, entry in file.get("parameters", {}).items():
            expect_shape(f"parameters/{name}", entry.shape, (len(fields),), path)
        if "inputs" in file:
            expected = (len(fields), len(self.header.input_channels), *self.header.points)
            expect_shape("inputs", file["inputs"].shape, expected, path)

    @staticmethod
    def recognises(file: Any) -> bool:
        return file.attrs.get("format") == FORMAT

    def fields(self, samples: slice | np.ndarray, times: slice | np.ndarray) -> np.ndarray:
        return take(self._file["fields"], samples, times)

    def inputs(self, samples: slice | np.ndarray) -> np.ndarray:
        return self._file["inputs"][samples]

    def parameters(self) -> dict[str, np.ndarray]:
        return {name: entry[:] for name, entry in self._file.get("parameters", {}).items()}

    def close(self) -> None:
        self._file.close()


def take(stored: Any, samples: slice | np.ndarray, times: slice | np.ndarray) -> np.ndarray:
    """``stored[samples, times]``, of which HDF5 allows one list of indices at a time."""
    if isinstance(samples, slice) or isinstance(times, slice):
        return stored[samples, times]
    return np.stack([stored[sample, times] for sample in samples])


def dataset(file: Any, name: str, path: Path) -> Any:
    """The data set ``name``; raises InputError when the file has none."""
    if name not in file:
        raise InputError(f"{path}: there is no {name!r}, found {', '.join(sorted(file)) or 'nothing'}")
    return file[name]


def attribute(item: Any, name: str, path: Path) -> Any:
    """The attribute ``name``; raises InputError when there is none."""
    if name not in item.attrs:
        raise InputError(f"{path}: {item.name!r} has no attribute {name!r}, found {', '.join(item.attrs) or 'none'}")
    return item.attrs[name]


def expect_shape(name: str, found: tuple[int, ...], expected: tuple[int, ...], path: Path) -> None:
    """Raise InputError when the shapes differ."""
    if tuple(found) != tuple(expected):
        raise InputError(f"{path}: {name!r} has shape {tuple(found)}, expected {tuple(expected)}")


def _names(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
