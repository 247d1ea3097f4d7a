"""Cubic polyharmonic interpolation of many values: of a part of them everywhere, and of what that leaves on patches.

Source: I. Tobor, P. Reuter, C. Schlick, Reconstructing multi-scale variational partition of unity implicit surfaces with
attributes, Graphical Models 68 (2006).
"""

from __future__ import annotations

import torch
from torch import Tensor

COARSE = 1500  # centres at most of what is everywhere
LEAF = 300  # centres in a cell; with what overlaps a patch has two or three times as many
OVERLAP = 0.25  # of a cell's sides, by which its patch reaches beyond it
LEAST = 0.03  # that it does reach, since the centres of a cell may lie in one plane
RIDGE = 1e-7  # of the kernels and of the linear part, which such centres leave open
BLOCK = 2**12  # points evaluated together


class Patches:
    """The function (N, 3) -> (N,) that has ``values`` (M,) at ``centres`` (M, 3), which lie in about [-1, 1]^3.

    Time grows with the number of centres alone.
    """

    def __init__(self, centres: Tensor, values: Tensor) -> None:
        some = slice(None, None, -(-len(centres) // COARSE))
        self.coarse = _Cubic(centres[some], values[some])
        # the outer cells are unbounded, so that every point belongs to one
        everywhere = centres.new_tensor([[-torch.inf], [torch.inf]]).expand(2, 3)
        self.low, self.high = torch.stack(_cells(centres, everywhere)).unbind(1)
        inner = self.high.minimum(centres.amax(0)) - self.low.maximum(centres.amin(0))
        self.reach = (OVERLAP * inner).clamp(min=LEAST)
        left = values - torch.cat([self.coarse(part) for part in centres.split(BLOCK)])
        members = self._weights(centres).T > 0
        self.parts = [_Cubic(centres[rows], left[rows]) for rows in members]

    def __call__(self, points: Tensor) -> Tensor:
        return torch.cat([points[:0, 0], *map(self._values, points.split(BLOCK))])

    def _values(self, points: Tensor) -> Tensor:
        weights = self._weights(points)
        weights = weights / weights.sum(1, keepdim=True)
        total = self.coarse(points)
        for part, weight in zip(self.parts, weights.T, strict=True):
            rows = weight.nonzero()[:, 0]
            total[rows] += weight[rows] * part(points[rows])
        return total

    def _weights(self, points: Tensor) -> Tensor:
        """(N, cells): one within a cell, and falling to zero at the end of its patch."""
        low, high, reach = (bound.to(points.device) for bound in (self.low, self.high, self.reach))
        beyond = torch.maximum(low - points[:, None], points[:, None] - high).clamp(min=0) / reach
        near = (1 - beyond.amax(2)).clamp(min=0)
        return near * near * (3 - 2 * near)


class _Cubic:
    """One dense system."""

    def __init__(self, centres: Tensor, values: Tensor) -> None:
        n = len(centres)
        linear = torch.cat([torch.ones_like(centres[:, :1]), centres], dim=1)
        matrix = centres.new_zeros(n + 4, n + 4)
        matrix[:n, :n], matrix[:n, n:], matrix[n:, :n] = _kernel(centres, centres), linear, linear.T
        matrix.diagonal().add_(torch.cat([values.new_full((n,), RIDGE), values.new_full((4,), -RIDGE)]))
        self.centres, self.weights = centres, torch.linalg.solve(matrix, torch.cat([values, values.new_zeros(4)]))

    def __call__(self, points: Tensor) -> Tensor:
        centres, weights = self.centres.to(points.device), self.weights.to(points.device)
        return _kernel(points, centres) @ weights[:-4] + weights[-4] + points @ weights[-3:]


def _kernel(points: Tensor, centres: Tensor) -> Tensor:
    """Cubed distances (N, M)."""
    squares = points.square().sum(1)[:, None] + centres.square().sum(1) - 2 * points @ centres.T
    squares.clamp_(min=0)
    return squares.sqrt().mul_(squares)


def _cells(centres: Tensor, box: Tensor) -> list[Tensor]:
    """Boxes (2, 3) that fill ``box``, by halving the centres along the longest side of theirs."""
    if len(centres) <= LEAF:
        return [box]
    axis = int((centres.amax(0) - centres.amin(0)).argmax())
    middle = centres[:, axis].median()
    below = centres[:, axis] <= middle
    if bool(below.all()):
        below = centres[:, axis] < middle  # half of them or more lie in a plane at the end
    if not bool(below.any()):
        return [box]
    lower, upper = box.clone(), box.clone()
    lower[1, axis] = upper[0, axis] = middle
    return _cells(centres[below], lower) + _cells(centres[~below], upper)
