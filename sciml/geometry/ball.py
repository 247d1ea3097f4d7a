"""Disks and balls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.geometry import checks
from sciml.geometry.domain import Domain, length
from sciml.geometry.sampling import Patch, Placed, inside, on_surface


@dataclass(frozen=True, init=False, repr=False)
class Ball(Domain):
    """The ball of one radius about ``centre``, in any dimension; its boundary is called "sphere".

    Raises:
        InputError: a radius that is not positive, or a number that is not finite.
    """

    centre: tuple[float, ...]
    radius: float

    def __init__(self, names: Sequence[str], centre: Sequence[float], radius: float) -> None:
        shape = type(self).__name__
        names = checks.coordinate_names(names, shape, self._count)
        centre = checks.vector(centre, f"{shape}: centre", names)
        self._set(names=names, centre=centre, radius=checks.positive(radius, f"{shape}: radius"))

    @property
    def _count(self) -> int | None:
        return None

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        centre = torch.tensor(self.centre, dtype=torch.float64)
        return centre - self.radius, centre + self.radius

    @property
    def _sides(self) -> tuple[str, ...]:
        return ("sphere",)

    def _signed_distance(self, points: Tensor) -> Tensor:
        return length((points - points.new_tensor(self.centre)).unbind(1)) - self.radius

    def _interior(self) -> list[Patch]:
        def place(unit: Tensor) -> Placed:
            radius = self.radius * unit[:, :1] ** (1 / self.dimension)
            return inside(unit.new_tensor(self.centre) + radius * _direction(unit[:, 1:], self.dimension))

        unit_ball = math.pi ** (self.dimension / 2) / math.gamma(self.dimension / 2 + 1)
        return [Patch(unit_ball * self.radius**self.dimension, 1 + self._angles, place)]

    def _boundary(self, on: frozenset[str] | None) -> list[Patch]:
        def place(unit: Tensor) -> Placed:
            normals = _direction(unit, self.dimension)
            return on_surface(unit.new_tensor(self.centre) + self.radius * normals, normals)

        if on is not None and on.isdisjoint(self._sides):
            return []
        unit_sphere = 2 * math.pi ** (self.dimension / 2) / math.gamma(self.dimension / 2)
        return [Patch(unit_sphere * self.radius ** (self.dimension - 1), self._angles, place)]

    def _boundary_distance(self, points: Tensor, on: frozenset[str] | None) -> Tensor | None:
        return self._signed_distance(points).abs() if on is None or not on.isdisjoint(self._sides) else None

    @property
    def _angles(self) -> int:
        return 1 if self.dimension == 2 else self.dimension


@dataclass(frozen=True, init=False, repr=False)
class Disk(Ball):
    """The disk of one radius about ``centre`` in the plane; its boundary is called "circle"."""

    @property
    def _count(self) -> int | None:
        return 2

    @property
    def _sides(self) -> tuple[str, ...]:
        return ("circle",)


def _direction(unit: Tensor, dimension: int) -> Tensor:
    """Uniform unit vectors (N, dimension): by the angle in the plane, else by normalising Gaussian vectors."""
    if dimension == 2:
        angle = 2 * math.pi * unit[:, 0]
        return torch.stack([angle.cos(), angle.sin()], dim=1)
    gaussian = torch.special.ndtri(unit * (1 - 2**-39) + 2**-41)  # away from 0 and 1, and from the centre of the cube
    return gaussian / length(gaussian.unbind(1))[:, None]
