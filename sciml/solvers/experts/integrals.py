"""Integral conditions: one equation for all experts together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.problem import Integral, Points, Problem
from sciml.solvers.experts.basis import Legendre, gauss
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.quadrature import quadrature
from sciml.solvers.experts.tiling import Tiling
from sciml.solvers.linearise import linearise, residuals_of


@dataclass(frozen=True)
class Totals:
    """Sums over the experts ``n`` that are given: ``sum of matrix[n] @ coefficients[n] = right``.

    Attributes:
        matrix: (n, k, U M).
        right: (k,).
    """

    matrix: Tensor
    right: Tensor


def totals(problem: Problem, tiling: Tiling, boxes: Boxes, basis: Legendre, weight: float) -> Totals | None:
    """All integral conditions, at the Gauss points of the boxes' common time interval; None without any.

    Args:
        weight: over the equations, of the mean rather than the integral.
    """
    names = [name for name, condition in problem.named_conditions().items() if isinstance(condition, Integral)]
    if not names:
        return None
    points, owner = _everywhere(problem, tiling, boxes, basis.degree + 1)
    assert points.weights is not None and points.rows is not None
    table = basis.jets(boxes.local(points.coordinates, owner), [(0,) * boxes.dimension])[0]
    times = int(points.rows.max()) + 1
    scale = weight * len(boxes) ** 0.5 * times / points.weights.sum()
    matrices, rights = [], []
    for name in names:
        zero = points.coordinates.new_zeros(len(problem.unknowns), 1, len(owner))
        for found in linearise(
            residuals_of(name, points), problem, zero, problem.derivatives[name], zero.new_zeros(0)
        ).values():
            slopes = torch.where(problem.present(points.coordinates), found.slopes[:, 0], 0.0)
            rows = (slopes.T[:, :, None] * table[:, None]).flatten(1)
            matrix = rows.new_zeros(len(boxes) * times, rows.shape[1]).index_add(0, owner * times + points.rows, rows)
            matrices.append(scale * matrix.reshape(len(boxes), times, -1))
            rights.append(-scale * found.value)
    return Totals(torch.cat(matrices, 1), torch.cat(rights))


def _everywhere(problem: Problem, tiling: Tiling, boxes: Boxes, n: int) -> tuple[Points, Tensor]:
    """Quadrature points of the boxes and their owners (N,); in time-dependent problems at ``n`` instants."""
    points, weights, owner = quadrature(tiling, boxes, n)
    if problem.time is None:
        return Points(points, weights=weights, rows=torch.zeros_like(owner)), owner
    axis = problem.coordinates.index(problem.time)
    steps = gauss(n, 1, points)[0][:, 0]
    instants = torch.arange(n, device=owner.device).repeat_interleave(len(points))
    points, owner = points.repeat(n, 1), owner.repeat(n)
    points[:, axis] = boxes.centre[owner, axis] + steps[instants] * boxes.half[owner, axis]
    return Points(points, weights=weights.repeat(n), rows=instants), owner
