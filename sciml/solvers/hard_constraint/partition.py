"""The grid in parts of equal size, one for every expert."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.solvers.hard_constraint.grid import Grid


class Partition:
    """Uniform boxes, ``parts`` of them along every coordinate, in the order of ``torch.flatten``.

    Args:
        parts: one number for every coordinate.
        overlap: grid points by which the region that an expert answers for reaches into its neighbours.

    Raises:
        InputError: the parts do not divide the grid.
    """

    def __init__(self, grid: Grid, parts: Sequence[int], overlap: int = 0) -> None:
        if len(parts) != len(grid.shape) or min(parts) < 1:
            raise InputError(f"experts={tuple(parts)} must give the number of parts along each coordinate of {grid.names}")
        for name, n, count in zip(grid.names, grid.shape, parts, strict=True):
            if n % count:
                divisors = [d for d in range(1, n + 1) if n % d == 0]
                near = min(divisors, key=lambda d: abs(d - count))
                raise InputError(
                    f"experts={tuple(parts)}: {count} parts do not divide the {n} grid points along {name!r}; "
                    f"take {near} parts, or {n // count * count} points"
                )
        if overlap < 0:
            raise InputError(f"overlap={overlap} must be a number of grid points, 0 or more")
        self.grid, self.parts, self.overlap = grid, tuple(parts), overlap

    def __len__(self) -> int:
        return math.prod(self.parts)

    @cached_property
    def own(self) -> Tensor:
        """Numbers (K, G / K) of every expert's own grid points."""
        return torch.stack(self._boxes(0))

    @cached_property
    def regions(self) -> list[Tensor]:
        """Numbers of the grid points whose equations every expert answers for."""
        interior = self.grid.interior
        return [box[torch.isin(box, interior)] for box in self._boxes(self.overlap)]

    @cached_property
    def seams(self) -> tuple[Tensor, Tensor]:
        """Where two experts meet: their numbers (S, 2), and a grid point (S,) on one or the other side."""
        owner = torch.empty(self.grid.size, dtype=torch.long)
        owner[self.own.flatten()] = torch.arange(len(self)).repeat_interleave(self.own.shape[1])
        owner = owner.reshape(self.grid.shape)
        number = torch.arange(self.grid.size).reshape(self.grid.shape)
        pairs, points = [], []
        for axis, name in enumerate(self.grid.names):
            here, there = owner, owner.roll(-1, axis)
            meet = here != there
            if name not in self.grid.periodic:
                meet.select(axis, -1).fill_(False)
            for side in (number, number.roll(-1, axis)):
                pairs.append(torch.stack([here[meet], there[meet]], dim=1))
                points.append(side[meet])
        return torch.cat(pairs), torch.cat(points)

    def stitch(self, bases: Tensor, coefficients: Tensor) -> Tensor:
        """The field (B, G) that is ``coefficients`` (B, K, N) times ``bases`` (B, N, G), each expert on its own points."""
        split = [size for n, count in zip(self.grid.shape, self.parts, strict=True) for size in (count, n // count)]
        weights = coefficients.mT.reshape(*bases.shape[:2], *(size for count in self.parts for size in (count, 1)))
        return (bases.unflatten(2, split) * weights).sum(1).flatten(1)

    def _boxes(self, overlap: int) -> list[Tensor]:
        number = torch.arange(self.grid.size).reshape(self.grid.shape)
        ranges = []
        for n, count, name in zip(self.grid.shape, self.parts, self.grid.names, strict=True):
            size, reach = n // count, overlap if count > 1 else 0
            spans = [torch.arange(k * size - reach, (k + 1) * size + reach) for k in range(count)]
            inside = [span % n if name in self.grid.periodic else span[(span >= 0) & (span < n)] for span in spans]
            ranges.append([span.unique() for span in inside])
        boxes = []
        for choice in itertools.product(*ranges):
            box = number
            for axis, span in enumerate(choice):
                box = box.index_select(axis, span)
            boxes.append(box.flatten())
        return boxes
