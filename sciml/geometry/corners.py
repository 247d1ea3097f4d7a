"""Corners of plane domains, where solutions may be singular."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

CHUNK = 2**20
"""Pairs of edges that are looked at together."""


class Corner(NamedTuple):
    """A corner and its interior angle in radians; the solution is singular like r**(pi / angle)."""

    point: tuple[float, float]
    angle: float


def corners(edges: Tensor, signed_distance: Callable[[Tensor], Tensor]) -> list[Corner]:
    """Corners of the domain where ``signed_distance`` is negative.

    Args:
        edges: straight pieces (M, 2, 2) that its boundary is made of; parts of them may lie elsewhere.
    """
    if not len(edges):
        return []
    ends = edges.reshape(-1, 2)
    size = float((ends.amax(0) - ends.amin(0)).max())
    _, _, meetings = crossings(edges)
    found: list[Corner] = []
    for point in _distinct(torch.cat([edges[:, 0], meetings]), 1e-9 * size):
        angle = _interior_angle(point, edges, signed_distance, size)
        if min(abs(angle - straight) for straight in (0.0, math.pi, 2 * math.pi)) > 1e-6:
            found.append(Corner((float(point[0]), float(point[1])), angle))
    return found


def crossings(edges: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs i < j of ``edges`` (M, 2, 2) that meet, ends included and parallel ones left out, and where, (K, 2)."""
    start, along = edges[:, 0], edges[:, 1] - edges[:, 0]
    lengths = along.norm(dim=1)
    found = []
    for rows in torch.arange(len(edges)).split(max(1, CHUNK // len(edges))):
        apart = start - start[rows, None]
        turn = _cross(along[rows, None], along)
        parallel = turn.abs() <= 1e-12 * lengths[rows, None] * lengths
        turn = torch.where(parallel, 1.0, turn)
        first, second = _cross(apart, along) / turn, _cross(apart, along[rows, None]) / turn
        both = torch.maximum((first - 0.5).abs(), (second - 0.5).abs()) <= 0.5 + 1e-9
        i, j = (both & ~parallel).nonzero().unbind(1)
        found.append((rows[i], j, start[rows[i]] + first[i, j, None].clamp(0, 1) * along[rows[i]]))
    i, j, where = (torch.cat(column) for column in zip(*found, strict=True))
    return i[i < j], j[i < j], where[i < j]


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _distinct(points: Tensor, tolerance: float) -> list[Tensor]:
    """The first of all points that lie within ``tolerance`` of each other."""
    from scipy.spatial import cKDTree

    repeated = {j for _, j in cKDTree(points.numpy()).query_pairs(tolerance)}
    return [point for i, point in enumerate(points) if i not in repeated]


def _interior_angle(point: Tensor, edges: Tensor, signed_distance: Callable[[Tensor], Tensor], size: float) -> float:
    """The edges that meet in ``point`` cut a small circle about it into sectors: the sum of those inside."""
    arms = edges - point
    along = edges[:, 1] - edges[:, 0]
    place = ((-arms[:, 0] * along).sum(1) / along.square().sum(1)).clamp(0, 1)
    touches = (arms[:, 0] + place[:, None] * along).norm(dim=1) <= 1e-9 * size
    arms = arms[touches].reshape(-1, 2)
    arms = arms[arms.norm(dim=1) > 1e-9 * size]
    directions = torch.atan2(arms[:, 1], arms[:, 0]).remainder(2 * math.pi).sort().values
    widths = torch.cat([directions[1:], directions[:1] + 2 * math.pi]) - directions
    middles = directions + widths / 2
    probes = point + 1e-6 * size * torch.stack([middles.cos(), middles.sin()], dim=1)
    return float(widths[signed_distance(probes) < 0].sum())
