"""Disks and balls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.geometry.boxes import check_names
from sciml.geometry.domain import Domain, Piece


@dataclass(frozen=True)
class Ball(Domain):
    """Ball in any dimension; its boundary is called "sphere" unless named.

    Raises:
        InputError: a centre of another length than ``names``, or a radius that is not positive and finite.
    """

    names: tuple[str, ...]
    centre: tuple[float, ...]
    radius: float

    def __init__(self, names: Sequence[str], centre: Sequence[float], radius: float) -> None:
        object.__setattr__(self, "names", tuple(names))
        object.__setattr__(self, "centre", tuple(float(c) for c in centre))
        object.__setattr__(self, "radius", float(radius))
        check_names(self.names)
        if len(self.centre) != len(self.names) or not all(map(math.isfinite, self.centre)):
            raise InputError(f"{type(self).__name__}: centre={self.centre} must be {len(self.names)} finite numbers")
        if not (math.isfinite(self.radius) and self.radius > 0):
            raise InputError(f"{type(self).__name__}: radius={self.radius} must be positive")

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        centre = torch.tensor(self.centre, dtype=torch.float64)
        return centre - self.radius, centre + self.radius

    @property
    def volume(self) -> float:
        d = self.dimension
        return math.pi ** (d / 2) / math.gamma(d / 2 + 1) * self.radius**d

    def signed_distance(self, points: Tensor) -> Tensor:
        return (points - points.new_tensor(self.centre)).norm(dim=-1) - self.radius

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        area = self.dimension * self.volume / self.radius
        return (Piece("circle" if self.dimension == 2 else "sphere", area, self._draw, self._parameters),)

    @property
    def _parameters(self) -> int:
        return 1 if self.dimension == 2 else self.dimension

    def _draw(self, unit: Tensor) -> Tensor:
        if self.dimension == 2:
            angle = 2 * math.pi * unit[:, 0]
            normals = torch.stack([torch.cos(angle), torch.sin(angle)], dim=1)
        else:  # normalised Gaussian vectors are uniform on the sphere
            eps = torch.finfo(unit.dtype).eps
            gaussian = torch.special.ndtri(unit.clamp(eps, 1 - eps))
            normals = gaussian / gaussian.norm(dim=1, keepdim=True)
        return torch.cat([normals.new_tensor(self.centre) + self.radius * normals, normals], dim=1)


class Disk(Ball):
    """Disk ``Disk(("x", "y"), centre, radius)``; its boundary is called "circle" unless named.

    Raises:
        InputError: as ``Ball``, or another number of coordinates than two.
    """

    def __init__(self, names: Sequence[str], centre: Sequence[float], radius: float) -> None:
        super().__init__(names, centre, radius)
        if len(self.names) != 2:
            raise InputError(f"Disk needs two coordinates, got {self.names}; use Ball for other dimensions")
