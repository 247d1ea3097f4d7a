"""Files that keep their channels in arrays, each with its axes in some order of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sciml.data.layout import Header, Index, Layout
from sciml.errors import InputError

SAMPLE, TIME, CHANNEL = "sample", "time", "channel"


@dataclass(frozen=True)
class Array:
    """An array of a file, and what its axes are: SAMPLE, TIME, CHANNEL or the name of an axis of the grid.

    Along an axis that is missing the field does not change. CHANNEL may come twice, as for a tensor.

    Attributes:
        picked: first and end of what is read along an axis CHANNEL.
    """

    name: str
    data: Any
    axes: tuple[str, ...]
    picked: tuple[int, int | None] = (0, None)

    def check(self, sizes: Mapping[str, int], path: Path) -> None:
        """Raise InputError unless the axes have the sizes that are known."""
        found = tuple(self.data.shape)
        fits = len(found) == len(self.axes)
        if not fits or any(sizes.get(axis, n) != n for axis, n in zip(self.axes, found, strict=True)):
            expected = ", ".join(f"{axis} {sizes[axis]}" if axis in sizes else axis for axis in self.axes)
            raise InputError(f"{path}: {self.name!r} has shape {found}, expected ({expected})")

    @property
    def channels(self) -> int:
        """How many there are."""
        sizes = zip(self.axes, self.data.shape, strict=True)
        return math.prod(len(range(n)[slice(*self.picked)]) for axis, n in sizes if axis == CHANNEL)

    def read(self, samples: Index, times: Index, grid: Sequence[str]) -> np.ndarray:
        """The values (n, t, channels, *grid), with size 1 along an axis that is missing."""
        chosen = {SAMPLE: samples, TIME: times, CHANNEL: slice(*self.picked)}
        index = [chosen.get(axis, slice(None)) for axis in self.axes]
        if isinstance(samples, np.ndarray) and isinstance(times, np.ndarray) and {SAMPLE, TIME} <= set(self.axes):
            place = self.axes.index(SAMPLE)  # HDF5 takes one list of indices at a time
            each = [[*index[:place], slice(number, number + 1), *index[place + 1 :]] for number in samples]
            values = np.concatenate([self.data[tuple(one)] for one in each], axis=place)
        else:
            values = self.data[tuple(index)]
        order = [SAMPLE, TIME, CHANNEL, *grid]
        values = np.transpose(values, sorted(range(values.ndim), key=lambda place: order.index(self.axes[place])))
        sizes = {axis: 1 for axis in order}
        for axis, n in zip(sorted(self.axes, key=order.index), values.shape, strict=True):
            sizes[axis] *= n
        return values.reshape(*sizes.values())


class ArrayLayout(Layout):
    """A file whose channels are those of ``arrays``, one after the other, and whose inputs are those of ``inputs``.

    Raises InputError when the arrays do not have the sizes that the header says, or not the same number of samples.
    """

    def __init__(
        self,
        file: Any,
        path: Path,
        header: Header,
        arrays: Sequence[Array],
        inputs: Sequence[Array] = (),
        parameters: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self._file, self._arrays, self._inputs, self._parameters = file, arrays, inputs, parameters or {}
        self.header = header
        numbers = [dict(zip(array.axes, array.data.shape, strict=False)).get(SAMPLE) for array in (*arrays, *inputs)]
        samples = next((number for number in numbers if number is not None), 1)
        sizes = dict(zip(header.grid, header.points, strict=True)) | {TIME: len(header.times), SAMPLE: samples}
        for array in (*arrays, *inputs):
            array.check(sizes, path)
        for group, listed in ((arrays, header.channels), (inputs, header.input_channels)):
            found = sum(array.channels for array in group)
            if found != len(listed):
                held = ", ".join(repr(array.name) for array in group)
                raise InputError(f"{path}: {held} hold {found} channels, expected {len(listed)}: {', '.join(listed)}")
        self.shape = (samples, len(header.times), len(header.channels), *header.points)

    def fields(self, samples: Index, times: Index) -> np.ndarray:
        return self._read(self._arrays, samples, times)

    def inputs(self, samples: Index) -> np.ndarray:
        return self._read(self._inputs, samples, slice(0, 1))[:, 0]

    def parameters(self) -> dict[str, np.ndarray]:
        return dict(self._parameters)

    def close(self) -> None:
        if hasattr(self._file, "close"):
            self._file.close()

    def _read(self, arrays: Sequence[Array], samples: Index, times: Index) -> np.ndarray:
        counts = [len(np.arange(n)[index]) for n, index in zip(self.shape, (samples, times), strict=False)]
        parts = [array.read(samples, times, list(self.header.grid)) for array in arrays]
        full = [np.broadcast_to(part, (*counts, part.shape[2], *self.header.points)) for part in parts]
        return np.concatenate(full, axis=2)


class GroupedLayout(Layout):
    """A file with a group of arrays for every sample.

    Args:
        groups: names of the groups.
        part: the layout of one group, without an axis SAMPLE.
    """

    def __init__(self, file: Any, groups: Sequence[str], part: Callable[[Any], ArrayLayout]) -> None:
        self._file, self._groups, self._part = file, groups, part
        first = part(file[groups[0]])
        self.header, self.shape = first.header, (len(groups), *first.shape[1:])

    def fields(self, samples: Index, times: Index) -> np.ndarray:
        return np.concatenate([part.fields(slice(0, 1), times) for part in self._parts(samples)])

    def inputs(self, samples: Index) -> np.ndarray:
        return np.concatenate([part.inputs(slice(0, 1)) for part in self._parts(samples)])

    def close(self) -> None:
        self._file.close()

    def _parts(self, samples: Index) -> list[ArrayLayout]:
        return [self._part(self._file[self._groups[number]]) for number in np.arange(len(self._groups))[samples]]
