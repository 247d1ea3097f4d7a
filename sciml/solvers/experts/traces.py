"""What neighbouring experts must agree on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.problem import Problem
from sciml.solvers.experts.basis import Legendre, gauss
from sciml.solvers.experts.boxes import Boxes, Faces
from sciml.solvers.experts.terms import powers


@dataclass(frozen=True)
class Traces:
    """Traces of both sides of the faces of one axis.

    Attributes:
        experts: (2, m).
        matrix: (2, m, k, U M); scaled by powers of the local size, with quadrature weights.
    """

    experts: Tensor
    matrix: Tensor


def traces(problem: Problem, boxes: Boxes, faces: Faces, basis: Legendre, weight: float, apart: Tensor) -> Traces:
    """What the experts at ``faces`` must agree on: derivatives along the axis below the order of the equations.

    Args:
        apart: unknowns (n, U) that do not exist in or beside a box, and are not coupled there.
    """
    d, unknowns = boxes.dimension, len(problem.unknowns)
    axis, m = faces.axis, len(faces)
    orders = [max(1, problem.order(u, problem.coordinates[axis])) for u in problem.unknowns]
    others = [a for a in range(d) if a != axis]
    nodes, weights = gauss(basis.degree + 1, d - 1, boxes.low)
    z = boxes.low.new_zeros(len(nodes), d)
    z[:, others] = nodes
    points = Boxes(faces.low, faces.high).points(z)  # (m, q, d)
    indices = [tuple(k if a == axis else 0 for a in range(d)) for k in range(max(orders))]
    size = torch.minimum(boxes.half[faces.below, axis], boxes.half[faces.above, axis])
    q, modes = len(nodes), len(basis)
    share = torch.minimum(boxes.weights[faces.below], boxes.weights[faces.above])
    matrix = boxes.low.new_zeros(2, m, sum(orders) * q, unknowns * modes)
    for side, (experts, move) in enumerate(faces.sides()):
        owner = experts.repeat_interleave(q)
        table = basis.jets(boxes.local((points + move[:, None]).reshape(-1, d), owner), indices)
        scale = powers(boxes.half[experts], indices) * size ** torch.arange(len(indices)).to(size)[:, None]
        rooted = weight * share[:, None] * weights.sqrt()
        table = table.reshape(-1, m, q, modes) * scale[:, :, None, None] * rooted[:, :, None]
        start = 0
        for row, order in enumerate(orders):
            part = table[:order].transpose(0, 1).reshape(m, order * q, modes)
            coupled = ~(apart[faces.below, row] | apart[faces.above, row])
            matrix[side, :, start : start + order * q, row * modes : (row + 1) * modes] = part * coupled[:, None, None]
            start += order * q
    return Traces(torch.stack([faces.below, faces.above]), matrix)
