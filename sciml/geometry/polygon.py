"""Simple polygons, convex or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.geometry import checks
from sciml.geometry.corners import crossings
from sciml.geometry.facets import Enclosed, Segments


@dataclass(frozen=True, init=False, repr=False)
class Polygon(Enclosed):
    """A polygon by its vertices in either sense of rotation, the first not repeated at the end.

    The edges are called "edge0" (from the first vertex to the second), "edge1" and so on.

    Raises:
        InputError: fewer than three vertices, a repeated vertex, or edges that meet elsewhere than in a vertex.
    """

    vertices: tuple[tuple[float, float], ...]

    def __init__(self, names: Sequence[str], vertices: Sequence[Sequence[float]]) -> None:
        names = checks.coordinate_names(names, "Polygon", 2)
        points = [checks.vector(vertex, f"Polygon: vertices[{i}]", names) for i, vertex in enumerate(vertices)]
        if len(points) > 1 and points[0] == points[-1]:
            points.pop()
        if len(points) < 3:
            raise InputError(f"Polygon: vertices={points!r} must be at least 3 different points")
        for i, point in enumerate(points):
            if point == points[i - 1]:
                raise InputError(f"Polygon: vertices[{i}]={point} repeats the vertex before it; leave one out")
        self._set(names=names, vertices=tuple((x, y) for x, y in points))
        self._check_simple()

    def _check_simple(self) -> None:
        edges = _ring(self.vertices)
        n = len(edges)
        along = edges[:, 1] - edges[:, 0]
        along = along / along.norm(dim=1, keepdim=True)
        back = ((along + along.roll(-1, 0)).norm(dim=1) < 1e-9).nonzero()
        if len(back):
            k = int(back[0])
            raise InputError(f"Polygon: edge{(k + 1) % n} runs back along edge{k}; leave vertices[{(k + 1) % n}] out")
        i, j, where = crossings(edges)
        elsewhere = (j - i != 1) & (j - i != n - 1)
        if elsewhere.any():
            k = int(elsewhere.nonzero()[0])
            raise InputError(
                f"Polygon: edge{int(i[k])} and edge{int(j[k])} meet at {tuple(where[k].tolist())}; "
                "the vertices must go round the boundary once, without crossing it"
            )

    @cached_property
    def _facets(self) -> Segments:
        edges = _ring(self.vertices)
        return Segments(edges) if Segments(edges).volume > 0 else Segments(edges.flip(1))

    @property
    def _sides(self) -> tuple[str, ...]:
        return tuple(f"edge{i}" for i in range(len(self.vertices)))

    def _select(self, on: frozenset[str] | None) -> Segments | None:
        if on is None:
            return self._facets
        rows = [i for i, name in enumerate(self._sides) if name in on]
        return self._facets[rows] if rows else None

    def _edges(self) -> Tensor:
        return _ring(self.vertices)

    def _expression(self) -> str:
        vertices = repr(self.vertices) if len(self.vertices) <= 12 else f"<{len(self.vertices)} vertices>"
        return f"Polygon({self.names!r}, {vertices})"


def _ring(vertices: Sequence[tuple[float, float]]) -> Tensor:
    start = torch.tensor(vertices, dtype=torch.float64)
    return torch.stack([start, start.roll(-1, 0)], dim=1)
