"""Reading trajectories: lazily, from one file or a folder of them, in any layout that is known."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml.data.layout import Header, Layout
from sciml.data.recognise import open_layout
from sciml.errors import InputError, nearest

Indices = slice | Sequence[int] | np.ndarray | Tensor
ALL = slice(None)


class Trajectories:
    """Fields on a grid over time, (samples, times, channels, *grid), read from files that may exceed the memory.

    Every process opens the files for itself, so a worker may inherit or unpickle an instance.

    Args:
        path: a file, or a folder whose files in one layout hold one sample after the other in the order of their names.
        channels: the ones to read, in this order; all by default.

    Attributes:
        shape: (samples, times, channels, *grid).
        parameters: numbers (samples,) by name.
        problem, settings, channels, groups, times, grid, periodic, input_channels, provenance: see :class:`Header`.

    Raises:
        InputError: there is no such file, its layout is not known, or a part of it is missing or does not fit.
    """

    def __init__(self, path: str | Path, channels: Sequence[str] | None = None) -> None:
        self.path = Path(path)
        self._paths = _files(self.path)
        self._opened: dict[Path, Layout] = {}
        self._process = os.getpid()
        layouts = [self._open(file) for file in self._paths]
        header = layouts[0].header
        for file, layout in zip(self._paths, layouts, strict=True):
            layout.header.check(file)
            _check_alike(header, layout.header, self._paths[0], file)
        self._ends = np.cumsum([layout.shape[0] for layout in layouts])
        self._chosen = [_position(name, header.channels, self.path) for name in channels or header.channels]
        self.problem, self.settings, self.provenance = header.problem, header.settings, header.provenance
        self.channels = tuple(header.channels[i] for i in self._chosen)
        self.groups = tuple(header.groups[i] for i in self._chosen)
        self.input_channels = header.input_channels
        self.times, self.grid, self.periodic = header.times, header.grid, header.periodic
        self.parameters = _joined([layout.parameters() for layout in layouts])
        self.shape = (int(self._ends[-1]), len(self.times), len(self.channels), *header.points)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Trajectories({str(self.path)!r}: {self.problem}, {' x '.join(map(str, self.shape))})"

    def read(self, samples: Indices = ALL, times: Indices = ALL) -> Tensor:
        """The fields (n, t, channels, *grid), float32.

        Args:
            samples, times: a slice or indices, in any order and with repetition.

        Raises:
            InputError: an index out of range, or a field that is not finite.
        """
        rows, instants = _indices(samples, len(self), "samples"), _indices(times, self.shape[1], "times")
        when, again = _increasing(instants)
        blocks = self._each_file(rows, lambda layout, local: layout.fields(local, when)[:, :, self._chosen])
        fields = _gather(blocks, len(rows), (len(np.unique(instants)), *self.shape[2:]))
        fields = fields if again is None else fields[:, again]
        for i, j, k in _not_finite(fields, 3):
            raise InputError(
                f"{self.path}: channel {self.channels[k]!r} of sample {rows[i]} at time {instants[j]} "
                f"(t={self.times[instants[j]]:g}) holds numbers that are not finite; leave the sample out"
            )
        return fields

    def inputs(self, samples: Indices = ALL) -> Tensor:
        """The input fields (n, input channels, *grid), float32; raises InputError when the file has none."""
        if not self.input_channels:
            raise InputError(f"{self.path}: there are no inputs; the fields at the first time are where a trajectory starts")
        rows = _indices(samples, len(self), "samples")
        blocks = self._each_file(rows, lambda layout, local: layout.inputs(local))
        fields = _gather(blocks, len(rows), (len(self.input_channels), *self.shape[3:]))
        for i, k in _not_finite(fields, 2):
            raise InputError(
                f"{self.path}: the input {self.input_channels[k]!r} of sample {rows[i]} holds numbers that are not finite; "
                "leave the sample out"
            )
        return fields

    def close(self) -> None:
        """Close the files; reading opens them again."""
        for layout in self._opened.values():
            layout.close()
        self._opened = {}

    def __enter__(self) -> Trajectories:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_opened": {}}

    def _open(self, path: Path) -> Layout:
        if self._process != os.getpid():  # a handle must not be shared with the parent
            self._opened, self._process = {}, os.getpid()
        if path not in self._opened:
            self._opened[path] = open_layout(path)
        return self._opened[path]

    def _each_file(self, rows: np.ndarray, read: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Places in ``rows`` and what ``read(layout, increasing rows of that file)`` returns for them."""
        owner = np.searchsorted(self._ends, rows, side="right")
        for number in np.unique(owner):
            places = np.flatnonzero(owner == number)
            start = self._ends[number - 1] if number else 0
            local, again = _increasing(rows[places] - start)
            try:
                values = read(self._open(self._paths[number]), local)
            except OSError as error:
                raise InputError(f"{self._paths[number]} cannot be read: {error}") from error
            yield places, values if again is None else values[again]


def open_trajectories(path: str | Path, channels: Sequence[str] | None = None) -> Trajectories:
    """The trajectories in a file or a folder of files, in whatever layout is known; see :class:`Trajectories`."""
    return Trajectories(path, channels)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise InputError(f"there is no file {str(path)!r}; `sciml data FAMILY --out {path}` makes one")
    if not path.is_dir():
        return [path]
    found = [file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")]
    if not found:
        raise InputError(f"the folder {str(path)!r} holds no files of trajectories")
    numbered = re.compile(r"(\d+)")  # part_10 comes after part_9
    return sorted(found, key=lambda file: [int(s) if s.isdigit() else s for s in numbered.split(file.name)])


def _indices(asked: Indices, count: int, name: str) -> np.ndarray:
    if isinstance(asked, slice):
        return np.arange(count)[asked]
    indices = np.atleast_1d(np.asarray(asked))
    if indices.ndim != 1 or (len(indices) and indices.dtype.kind not in "iu"):
        raise InputError(f"{name} must be a slice or a list of whole numbers, got {asked!r}")
    wrong = indices[(indices < -count) | (indices >= count)]
    if len(wrong):
        raise InputError(f"{name}: there is no number {wrong[0]}, the file holds {count}")
    return np.where(indices < 0, indices + count, indices).astype(np.int64)


def _increasing(indices: np.ndarray) -> tuple[slice | np.ndarray, np.ndarray | None]:
    """The indices sorted and without repetition, as a slice if they are one, and where each of them went."""
    unique, again = np.unique(indices, return_inverse=True)
    inverse = None if len(unique) == len(indices) and (again[:-1] < again[1:]).all() else again
    steps = np.diff(unique)
    if len(unique) and (steps == steps[:1].sum()).all():
        step = int(steps[0]) if len(steps) else 1
        return slice(int(unique[0]), int(unique[-1]) + 1, step), inverse
    return unique, inverse


def _check_alike(first: Header, other: Header, path: Path, file: Path) -> None:
    for name, expected, found in (
        ("channels", first.channels, other.channels),
        ("input_channels", first.input_channels, other.input_channels),
        ("times", first.times, other.times),
        *((f"grid/{axis}", values, other.grid.get(axis)) for axis, values in first.grid.items()),
    ):
        if not np.array_equal(np.asarray(expected), np.asarray(found)):
            raise InputError(f"{file}: {name!r} differ from those of {path}; a folder is one set of data")


def _position(name: str, channels: Sequence[str], path: Path) -> int:
    if name not in channels:
        raise InputError(f"{path}: there is no channel {name!r}; {nearest(name, channels)}")
    return list(channels).index(name)


def _not_finite(fields: Tensor, axes: int) -> list[list[int]]:
    """The indices along the first ``axes`` axes of the first number that is not finite, if there is one."""
    return (~torch.isfinite(fields)).flatten(axes).any(-1).nonzero()[:1].tolist()


def _gather(blocks: Iterator[tuple[np.ndarray, np.ndarray]], count: int, shape: tuple[int, ...]) -> Tensor:
    result = np.empty((count, *shape), dtype=np.float32)
    for places, values in blocks:
        result[places] = values
    return torch.from_numpy(result)


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, Tensor]:
    shared = [name for name in parts[0] if all(name in part for part in parts)]
    return {name: torch.from_numpy(np.concatenate([part[name] for part in parts])) for name in shared}
