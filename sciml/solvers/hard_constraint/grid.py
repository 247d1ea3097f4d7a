"""Uniform grids over the box that a problem is declared on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.geometry import Domain, Interval
from sciml.geometry.product import Product
from sciml.jets import Field, Jet, finite_difference
from sciml.problem import Periodic, Problem


@dataclass(frozen=True)
class Grid:
    """Points along every coordinate, both ends included; of a periodic one the last is left out.

    A field on the grid is a tensor (..., *shape); flat, its G points are in the order of ``torch.flatten``.
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    shape: tuple[int, ...]
    periodic: tuple[str, ...]
    time: str | None = None

    @classmethod
    def of(cls, problem: Problem, shape: Sequence[int]) -> Grid:
        """A grid of ``shape`` over the problem's domain.

        Raises:
            InputError: the domain is no box, or ``shape`` does not give at least three points a coordinate.
        """
        sides = _intervals(problem.domain)
        names = tuple(problem.coordinates)
        if len(shape) != len(names) or min(shape) < 3:
            raise InputError(f"shape={tuple(shape)} must give at least 3 grid points for each coordinate of {names}")
        periodic = tuple(c.coordinate for c in problem.named_conditions().values() if isinstance(c, Periodic))
        low, high = tuple(side.low for side in sides), tuple(side.high for side in sides)
        return cls(names, low, high, tuple(shape), periodic, problem.time)

    @cached_property
    def spacings(self) -> tuple[float, ...]:
        return tuple(
            (high - low) / (n if name in self.periodic else n - 1)
            for name, low, high, n in zip(self.names, self.low, self.high, self.shape, strict=True)
        )

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @cached_property
    def interior(self) -> Tensor:
        """Numbers of the points where the equations hold: those off the boundary of space and after the initial time.

        Where initial and boundary values disagree, as they do at the corners of many problems, the derivatives on the
        boundary have no meaning. Where space has no boundary they hold at the initial time too, lest fields jump after it.
        """
        inside = torch.zeros(self.shape, dtype=torch.bool)
        first = 0 if set(self.names) <= {*self.periodic, self.time} else 1
        inner = [
            slice(None) if name in self.periodic else slice(first, None) if name == self.time else slice(1, -1)
            for name in self.names
        ]
        inside[tuple(inner)] = True
        return inside.flatten().nonzero()[:, 0]

    def points(self, like: Tensor) -> Tensor:
        """Coordinates (G, d) of all points, of the type and on the device of ``like``."""
        axes = [
            low + spacing * torch.arange(n, dtype=torch.float64, device=like.device)
            for low, spacing, n in zip(self.low, self.spacings, self.shape, strict=True)
        ]
        return torch.stack([axis.reshape(-1) for axis in torch.meshgrid(*axes, indexing="ij")], dim=-1).to(like.dtype)

    def jet(self, values: Tensor) -> Jet:
        """Jet of a field (..., *shape) by finite differences of fourth order; partial derivatives are flat, (..., G)."""
        jet = finite_difference(values, self.spacings, self.names, periodic=self.periodic)
        return Field(self.names, lambda index: jet.partial(index).flatten(-len(self.shape)))

    def nearest(self, points: Tensor) -> Tensor:
        """Numbers (N,) of the grid points nearest to ``points`` (N, d), edges to those on an edge alone.

        A point inside one side of the boundary does not go to where that side meets another.
        """
        flat = torch.zeros(len(points), dtype=torch.long, device=points.device)
        for axis, (name, n) in enumerate(zip(self.names, self.shape, strict=True)):
            steps = (points[:, axis] - self.low[axis]) / self.spacings[axis]
            number = steps.round().long()
            if name in self.periodic:
                number = number % n
            else:
                last = n - 1 if name == self.time else n - 2
                on_edge = (steps - number).abs() < 1e-6
                number = torch.where(on_edge, number, number.clamp(1, last))
            flat = flat * n + number.clamp(0, n - 1)
        return flat

    def interpolate(self, values: Tensor, points: Tensor) -> Tensor:
        """Multilinear interpolation of a field (..., *shape) at ``points`` (N, d): (..., N)."""
        corners, parts = [], []
        for axis, (name, n) in enumerate(zip(self.names, self.shape, strict=True)):
            place = (points[:, axis] - self.low[axis]) / self.spacings[axis]
            periodic = name in self.periodic
            left = place.floor() if periodic else place.floor().clamp(0, n - 2)
            part = place - left if periodic else (place - left).clamp(0, 1)
            corners.append([left.long() % n, (left.long() + 1) % n])
            parts.append([1 - part, part])
        flat, result = values.flatten(-len(self.shape)), None
        for choice in itertools.product((0, 1), repeat=len(self.shape)):
            number = torch.zeros_like(corners[0][0])
            weight = torch.ones_like(points[:, 0])
            for axis, side in enumerate(choice):
                number = number * self.shape[axis] + corners[axis][side]
                weight = weight * parts[axis][side]
            term = flat[..., number] * weight
            result = term if result is None else result + term
        assert result is not None
        return result


def _intervals(domain: Domain) -> list[Interval]:
    if isinstance(domain, Interval):
        return [domain]
    if isinstance(domain, Product):
        return [side for factor in domain.factors for side in _intervals(factor)]
    raise InputError(f"a solver on a grid needs a box, a product of intervals, as domain; got {domain!r}")
