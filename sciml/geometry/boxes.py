"""Intervals, boxes and time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.geometry.domain import Domain, Piece, Sampler

_SIDES = (("left", "right"), ("bottom", "top"), ("back", "front"))


def box_distance(offsets: Tensor) -> Tensor:
    """Signed distance to a product of sets from the signed distances (n, factors) to each of them."""
    return offsets.clamp(min=0).norm(dim=-1) + offsets.amax(-1).clamp(max=0)


@dataclass(frozen=True)
class Box(Domain):
    """Axis-aligned box.

    The sides of a rectangle are called "left", "right", "bottom" and "top", those of the third axis "back" and
    "front"; "x=0" with the coordinate and its value works in any dimension.

    Args:
        names: coordinates.
        low: lower corner.
        high: upper corner.

    Raises:
        InputError: corners of another length than ``names``, not finite, or not in order.
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __init__(self, names: Sequence[str], low: Sequence[float], high: Sequence[float]) -> None:
        object.__setattr__(self, "names", (names,) if isinstance(names, str) else tuple(names))
        object.__setattr__(self, "low", tuple(float(a) for a in low))
        object.__setattr__(self, "high", tuple(float(b) for b in high))
        check_names(self.names)
        if not len(self.low) == len(self.high) == len(self.names):
            raise InputError(f"{self!r}: low and high need one number for each of {len(self.names)} coordinates")
        for name, a, b in zip(self.names, self.low, self.high, strict=True):
            if not (math.isfinite(a) and math.isfinite(b) and a < b):
                raise InputError(f"{type(self).__name__}: {name} must run from a smaller to a larger number, got {a} to {b}")

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.low, dtype=torch.float64), torch.tensor(self.high, dtype=torch.float64)

    @property
    def volume(self) -> float:
        return math.prod(b - a for a, b in zip(self.low, self.high, strict=True))

    def signed_distance(self, points: Tensor) -> Tensor:
        low, high = (bound.to(points) for bound in self.bounds)
        return box_distance(torch.maximum(low - points, points - high))

    def contains(self, points: Tensor, tolerance: float = 0.0) -> Tensor:
        low, high = (bound.to(points) for bound in self.bounds)
        return ((points >= low - tolerance) & (points <= high + tolerance)).all(-1)

    def _interior(self, n: int, draw: Sampler) -> Tensor:
        return draw(n)

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        return tuple(self._side(axis, upper) for axis in range(self.dimension) for upper in (False, True))

    def _side(self, axis: int, upper: bool) -> Piece:
        value = (self.high if upper else self.low)[axis]
        low, high = self.bounds
        others = [i for i in range(self.dimension) if i != axis]

        def draw(unit: Tensor) -> Tensor:
            points = torch.full((len(unit), self.dimension), value, dtype=unit.dtype, device=unit.device)
            points[:, others] = low[others].to(unit) + (high - low)[others].to(unit) * unit
            normals = torch.zeros_like(points)
            normals[:, axis] = 1.0 if upper else -1.0
            return torch.cat([points, normals], dim=1)

        spelled = f"{self.names[axis]}={value:g}"
        word = _SIDES[axis][upper] if axis < len(_SIDES) else spelled
        return Piece(word, math.prod((high - low)[others].tolist()), draw, self.dimension - 1, aliases=(spelled,))

    @property
    def corners(self) -> list[tuple[tuple[float, ...], float]]:
        if self.dimension != 2:
            return []
        (a, b), (c, d) = self.low, self.high
        return [((x, y), math.pi / 2) for x in (a, c) for y in (b, d)]


class Rectangle(Box):
    """Rectangle ``Rectangle(("x", "y"), low, high)`` with sides "left", "right", "bottom" and "top".

    Raises:
        InputError: as ``Box``, or another number of coordinates than two.
    """

    def __init__(self, names: Sequence[str], low: Sequence[float], high: Sequence[float]) -> None:
        super().__init__(names, low, high)
        if len(self.names) != 2:
            raise InputError(f"Rectangle needs two coordinates, got {self.names}; use Box for other dimensions")


class Interval(Box):
    """Interval ``Interval("x", a, b)`` with ends "left" ("x=a") and "right" ("x=b").

    Raises:
        InputError: limits that are not finite, or not in order.
    """

    def __init__(self, name: str, a: float, b: float) -> None:
        super().__init__((name,), (a,), (b,))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.names[0]!r}, {self.low[0]:g}, {self.high[0]:g})"


class Time(Interval):
    """Time from ``t0`` to ``t1``; its ends are no part of the spatial boundary."""

    is_time: ClassVar[bool] = True

    @property
    def pieces(self) -> tuple[Piece, ...]:  # type: ignore[override]
        return ()


def check_names(names: Sequence[str]) -> None:
    """Raises InputError unless the names are different identifiers."""
    if not names or len(set(names)) != len(names) or not all(isinstance(n, str) and n.isidentifier() for n in names):
        raise InputError(f"coordinates {tuple(names)} must be different names such as ('x', 'y')")
