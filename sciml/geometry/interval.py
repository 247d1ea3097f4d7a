"""Intervals of space and of time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.geometry import checks
from sciml.geometry.domain import Domain
from sciml.geometry.sampling import Patch, Placed, inside, on_surface


@dataclass(frozen=True, init=False, repr=False)
class Interval(Domain):
    """The interval [low, high] of one coordinate.

    Its ends are called "left" and "right", or by the coordinate and its value in six digits, such as "x=0".

    Raises:
        InputError: limits that are reversed, equal or not finite.
    """

    low: float
    high: float

    def __init__(self, name: str, low: float, high: float) -> None:
        shape = type(self).__name__
        names = checks.coordinate_names((name,), shape)
        ends = checks.number(low, f"{shape}: low"), checks.number(high, f"{shape}: high")
        if not ends[0] < ends[1]:
            raise InputError(f"{shape}({name!r}, {low!r}, {high!r}): give the lower limit first, then a higher one")
        self._set(names=names, low=ends[0], high=ends[1])

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        return torch.tensor([self.low], dtype=torch.float64), torch.tensor([self.high], dtype=torch.float64)

    @cached_property
    def end_names(self) -> tuple[str, str]:
        """Such as "x=0" and "x=1", in more than six digits where it takes that to tell them apart."""
        for digits in range(6, 17):
            low, high = f"{self.low:.{digits}g}", f"{self.high:.{digits}g}"
            if low != high:
                break
        return f"{self.names[0]}={low}", f"{self.names[0]}={high}"

    @property
    def _sides(self) -> tuple[str, ...]:
        return "left", "right", *self.end_names

    def _ends(self, on: frozenset[str] | None) -> list[tuple[float, float]]:
        """Place and outward normal of the ends called ``on``."""
        ends = zip(((self.low, -1.0), (self.high, 1.0)), self.end_names, ("left", "right"), strict=True)
        return [end for end, *names in ends if on is None or not on.isdisjoint(names)]

    def _signed_distance(self, points: Tensor) -> Tensor:
        x = points[:, 0]
        return torch.maximum(self.low - x, x - self.high)

    def _interior(self) -> list[Patch]:
        width = self.high - self.low
        return [Patch(width, 1, lambda unit: inside(self.low + width * unit))]

    def _boundary(self, on: frozenset[str] | None) -> list[Patch]:
        def end(x: float, normal: float) -> Patch:
            def place(unit: Tensor) -> Placed:
                return on_surface(unit.new_full((len(unit), 1), x), unit.new_full((len(unit), 1), normal))

            return Patch(1.0, 0, place)

        return [end(*place) for place in self._ends(on)]

    def _boundary_distance(self, points: Tensor, on: frozenset[str] | None) -> Tensor | None:
        ends = [(points[:, 0] - x).abs() for x, _ in self._ends(on)]
        return torch.stack(ends).amin(0) if ends else None

    def _expression(self) -> str:
        return f"{type(self).__name__}({self.names[0]!r}, {self.low!r}, {self.high!r})"


@dataclass(frozen=True, init=False, repr=False)
class Time(Interval):
    """The time interval [start, end].

    A factor of a space-time domain. Its ends are no boundary of space and have no names: ``sample_initial`` draws
    points at the start.
    """

    is_time: ClassVar[bool] = True

    def __init__(self, name: str, start: float, end: float) -> None:
        super().__init__(name, start, end)

    @property
    def space(self) -> Domain | None:
        return None

    @property
    def time(self) -> Time | None:
        return self

    @property
    def _sides(self) -> tuple[str, ...]:
        return ()

    def _ends(self, on: frozenset[str] | None) -> list[tuple[float, float]]:
        return []
