"""Closed boundaries made of straight segments or plane triangles."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from sciml.geometry.domain import Domain, length
from sciml.geometry.product import Box
from sciml.geometry.sampling import Patch, Placed, on_surface, stratify, thin

CHUNK = 2**20
"""Pairs of a point and a segment that are looked at together."""


class Facets(Protocol):
    """The boundary of a bounded region."""

    @property
    def bounds(self) -> tuple[Tensor, Tensor]: ...
    @property
    def volume(self) -> float: ...
    def signed_distance(self, points: Tensor) -> Tensor: ...
    def distance(self, points: Tensor) -> Tensor: ...
    def contains(self, points: Tensor) -> Tensor: ...
    def patch(self) -> Patch: ...


@dataclass(frozen=True, init=False, repr=False)
class Enclosed(Domain):
    """A region enclosed by facets."""

    @property
    @abstractmethod
    def _facets(self) -> Any:
        """All facets."""

    @abstractmethod
    def _select(self, on: frozenset[str] | None) -> Any:
        """The facets of the pieces ``on``, or None."""

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        return self._facets.bounds

    @cached_property
    def volume(self) -> float:
        return self._facets.volume

    def _signed_distance(self, points: Tensor) -> Tensor:
        return self._facets.signed_distance(points)

    def _interior(self) -> list[Patch]:
        low, high = self.bounds
        (box,) = Box(self.names, low.tolist(), high.tolist())._interior()
        return [thin(box, lambda points, normals: self._facets.contains(points))]

    def _boundary(self, on: frozenset[str] | None) -> list[Patch]:
        facets = self._select(on)
        return [] if facets is None else [facets.patch()]

    def _boundary_distance(self, points: Tensor, on: frozenset[str] | None) -> Tensor | None:
        facets = self._select(on)
        return None if facets is None else facets.distance(points)


@dataclass(frozen=True)
class Segments:
    """Segments in the plane with the region on their left.

    Attributes:
        ends: float64 (M, 2, 2): segment, start or end, coordinate.
    """

    ends: Tensor

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        corners = self.ends.reshape(-1, 2)
        return corners.amin(0), corners.amax(0)

    @property
    def volume(self) -> float:
        """Area by the shoelace formula."""
        (x0, y0), (x1, y1) = ((self.ends - self.ends[0, 0])[:, i].unbind(1) for i in (0, 1))
        return float((x0 * y1 - x1 * y0).sum() / 2)

    def __getitem__(self, rows: list[int]) -> Segments:
        return Segments(self.ends[rows])

    def distance(self, points: Tensor) -> Tensor:
        _, offset, along, place = self._nearest(points)
        return length((offset - place.clamp(0, 1)[:, None] * along).unbind(1))

    def signed_distance(self, points: Tensor) -> Tensor:
        rows, offset, along, place = self._nearest(points)
        normals = _right_of(self.ends.to(points)[rows])
        # Beside a segment its line gives the distance, smooth across the boundary; beyond its ends a corner does.
        beside = (offset * normals).sum(1)
        beyond = length((offset - place.clamp(0, 1)[:, None] * along).unbind(1))
        sign = torch.where(self.contains(points), -1.0, 1.0).to(points)
        return torch.where((place >= 0) & (place <= 1), beside, sign * beyond)

    @torch.no_grad()
    def contains(self, points: Tensor) -> Tensor:
        """Whether a ray to the right of every point crosses an odd number of segments."""
        (x0, y0), (x1, y1) = (end.unbind(1) for end in self.ends.to(points).unbind(1))
        slope = (x1 - x0) / torch.where(y1 == y0, 1.0, y1 - y0)

        def odd(part: Tensor) -> Tensor:
            x, y = part[:, :1], part[:, 1:]
            crossed = ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * slope)
            return crossed.sum(1) % 2 == 1

        return torch.cat([odd(part) for part in points.split(self._rows)])

    def patch(self) -> Patch:
        along = self.ends[:, 1] - self.ends[:, 0]
        lengths = length(along.unbind(1))

        def place(unit: Tensor) -> Placed:
            ends = self.ends.to(unit)
            rows, within = stratify(unit[:, 0], lengths.to(unit))
            return on_surface(torch.lerp(ends[rows, 0], ends[rows, 1], within[:, None]), _right_of(ends[rows]))

        return Patch(float(lengths.sum()), 1, place)

    def _nearest(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The nearest segment, the point from its start, its vector, and the foot of the point along it in [0, 1]."""
        ends = self.ends.to(points)
        with torch.no_grad():
            rows = torch.cat([_nearest_row(part, ends) for part in points.split(self._rows)])
        start, along = ends[rows, 0], (ends[:, 1] - ends[:, 0])[rows]
        offset = points - start
        return rows, offset, along, (offset * along).sum(1) / along.square().sum(1)

    @property
    def _rows(self) -> int:
        return max(1, CHUNK // len(self.ends))


def _nearest_row(points: Tensor, ends: Tensor) -> Tensor:
    (x0, y0), (x1, y1) = (end.unbind(1) for end in ends.unbind(1))
    dx, dy = x1 - x0, y1 - y0
    x, y = points[:, :1] - x0, points[:, 1:] - y0
    place = ((x * dx + y * dy) / (dx.square() + dy.square())).clamp(0, 1)
    return ((x - place * dx).square() + (y - place * dy).square()).argmin(1)


def _right_of(ends: Tensor) -> Tensor:
    """Unit vectors (N, 2) to the right of segments (N, 2, 2)."""
    x, y = (ends[:, 1] - ends[:, 0]).unbind(1)
    return torch.stack([y, -x], dim=1) / torch.hypot(x, y)[:, None]
