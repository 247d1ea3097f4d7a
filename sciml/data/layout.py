"""What a file of trajectories tells about its values, whatever its layout."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sciml.errors import InputError

Index = slice | np.ndarray


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
        shape: that of the stored fields in our order, (samples, times, channels, *grid).
    """

    header: Header
    shape: tuple[int, ...]

    @abstractmethod
    def fields(self, samples: Index, times: Index) -> np.ndarray:
        """The fields (n, t, channels, *grid); indices are increasing, without repetition."""

    def inputs(self, samples: Index) -> np.ndarray:
        """The input fields (n, input channels, *grid); asked for only where ``header`` names input channels."""
        raise NotImplementedError

    def parameters(self) -> dict[str, np.ndarray]:
        """Numbers (samples,) by name."""
        return {}

    @abstractmethod
    def close(self) -> None:
        """Close the file."""


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


def names(values: Any) -> tuple[str, ...]:
    """An attribute that is a list of names, or a single one."""
    return tuple(str(value) for value in np.atleast_1d(values))
