"""Cartesian products: space-time domains, boxes, cylinders."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import ClassVar

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.geometry import checks
from sciml.geometry.domain import RELATIVE, Domain, length
from sciml.geometry.interval import Interval, Time
from sciml.geometry.sampling import Patch, cross


@dataclass(frozen=True, init=False, repr=False)
class Product(Domain):
    """Points whose parts lie in every one of ``factors``.

    A boundary piece of a factor names a piece of the product; "left", say, only where no other factor has one.

    Raises:
        InputError: factors that share a coordinate name, or several times.
    """

    factors: tuple[Domain, ...]
    _compound: ClassVar[bool] = True

    def __init__(self, factors: Sequence[Domain]) -> None:
        flat = [part for f in factors for part in (f.factors if type(f) is Product and f.label is None else (f,))]
        names = checks.coordinate_names([name for factor in flat for name in factor.names], "a product")
        if sum(factor.time is not None for factor in flat) > 1:
            raise InputError(f"a product of {', '.join(map(repr, flat))} has more than one Time; make one an Interval")
        self._set(names=names, factors=tuple(flat))

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        lows, highs = zip(*(factor.bounds for factor in self.factors), strict=True)
        return torch.cat(lows), torch.cat(highs)

    @property
    def space(self) -> Domain | None:
        spaces = [factor.space for factor in self.factors if factor.space is not None]
        if self.time is None or not spaces:
            return self if spaces else None
        space = spaces[0] if len(spaces) == 1 else Product(spaces)
        return space if self.label is None else space.named(self.label)

    @property
    def time(self) -> Time | None:
        return next((factor.time for factor in self.factors if factor.time is not None), None)

    @cached_property
    def volume(self) -> float:
        return math.prod(factor.volume for factor in self.factors)

    @property
    def _ambiguous(self) -> frozenset[str]:
        names = [name for factor in self.factors for name in factor.boundary_names]
        return frozenset(name for name in RELATIVE if names.count(name) > 1)

    @property
    def _sides(self) -> tuple[str, ...]:
        names = dict.fromkeys(name for factor in self.factors for name in factor.boundary_names)
        ambiguous = self._ambiguous
        return tuple(name for name in names if name not in ambiguous)

    def _signed_distance(self, points: Tensor) -> Tensor:
        parts = [factor._signed_distance(part) for factor, part in self._parts(points)]
        if len(parts) == 1:
            return parts[0]
        return reduce(torch.maximum, parts).clamp(max=0) + length(part.clamp(min=0) for part in parts)

    def _interior(self) -> list[Patch]:
        return [cross(patches) for patches in itertools.product(*(factor._interior() for factor in self.factors))]

    def _boundary(self, on: frozenset[str] | None) -> list[Patch]:
        on = self._of_factors(on)
        interiors = [factor._interior() for factor in self.factors]
        return [
            cross(patches)
            for i, factor in enumerate(self.factors)
            for patches in itertools.product(*interiors[:i], factor._pieces(on), *interiors[i + 1 :])
        ]

    def _boundary_distance(self, points: Tensor, on: frozenset[str] | None) -> Tensor | None:
        on = self._of_factors(on)
        outside = [factor._signed_distance(part).clamp(min=0) for factor, part in self._parts(points)]
        distances = []
        for i, (factor, part) in enumerate(self._parts(points)):
            distance = factor._distance_to(part, on)
            if distance is not None:
                distances.append(length([*outside[:i], distance, *outside[i + 1 :]]))
        return torch.stack(distances).amin(0) if distances else None

    def _parts(self, points: Tensor) -> list[tuple[Domain, Tensor]]:
        columns = points.split([factor.dimension for factor in self.factors], dim=1)
        return list(zip(self.factors, columns, strict=True))

    def _of_factors(self, on: frozenset[str] | None) -> frozenset[str] | None:
        """What the factors call the pieces ``on``."""
        return on if on is None else on - self._ambiguous

    def _unknown(self, name: str) -> str:
        if name not in self._ambiguous:
            return super()._unknown(name)
        sharing = [factor for factor in self.factors if name in factor.boundary_names]
        choices = [piece for factor in sharing for piece in factor.boundary_names if piece not in RELATIVE]
        return f"on={name!r} of {self!r} fits several coordinates; choose one of {', '.join(choices)}"

    def _edges(self) -> Tensor:
        if self.dimension != 2 or self.time is not None or not all(isinstance(f, Interval) for f in self.factors):
            return super()._edges()
        (left, bottom), (right, top) = (bound.tolist() for bound in self.bounds)
        ring = torch.tensor([[left, bottom], [right, bottom], [right, top], [left, top]], dtype=torch.float64)
        return torch.stack([ring, ring.roll(-1, 0)], dim=1)

    def _expression(self) -> str:
        return " * ".join(f"({f!r})" if f._compound and f.label is None else repr(f) for f in self.factors)


@dataclass(frozen=True, init=False, repr=False)
class Box(Product):
    """The product of the intervals [low, high] of every coordinate; its faces are called "x=0", "x=1", "y=0", ...

    Raises:
        InputError: limits that are reversed or not finite, or not as many as there are names.
    """

    factors: tuple[Domain, ...] = field(compare=False)
    low: tuple[float, ...]
    high: tuple[float, ...]
    _compound: ClassVar[bool] = False

    def __init__(self, names: Sequence[str], low: Sequence[float], high: Sequence[float]) -> None:
        shape = type(self).__name__
        names = checks.coordinate_names(names, shape, self._count)
        low, high = checks.vector(low, f"{shape}: low", names), checks.vector(high, f"{shape}: high", names)
        for name, a, b in zip(names, low, high, strict=True):
            if not a < b:
                raise InputError(f"{shape}: low={a!r} of {name!r} must be less than high={b!r}")
        super().__init__([Interval(*limits) for limits in zip(names, low, high, strict=True)])
        self._set(low=low, high=high)

    @property
    def _count(self) -> int | None:
        return None

    def _expression(self) -> str:
        return f"{type(self).__name__}({self.names!r}, {self.low!r}, {self.high!r})"


@dataclass(frozen=True, init=False, repr=False)
class Rectangle(Box):
    """A rectangle along the axes; its sides are called "left", "right", "bottom" and "top", or "x=0" and so on.

    Raises:
        InputError: as ``Box``, or other than two names.
    """

    @property
    def _count(self) -> int | None:
        return 2

    @property
    def _aliases(self) -> dict[str, str]:
        across, up = (factor.end_names for factor in self.factors if isinstance(factor, Interval))
        return dict(zip(("left", "right", "bottom", "top"), (*across, *up), strict=True))

    @property
    def _sides(self) -> tuple[str, ...]:
        return *self._aliases, *self._aliases.values()

    def _of_factors(self, on: frozenset[str] | None) -> frozenset[str] | None:
        return on if on is None else frozenset(self._aliases.get(name, name) for name in on)
