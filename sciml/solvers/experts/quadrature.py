"""Integration over the part of boxes that is inside the domain."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sciml.solvers.experts.basis import gauss
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.tiling import SAMPLES, Tiling

BISECTIONS = 45


def quadrature(tiling: Tiling, boxes: Boxes, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Points (N, d) inside, all at the middle time, weights (N,) in units of volume, and the boxes (N,) that hold them.

    ``n`` Gauss points a direction; in boxes that the boundary cuts, along those parts of lines that are inside.
    """
    cut = tiling.cut(boxes)
    whole, parted = (~cut).nonzero()[:, 0], cut.nonzero()[:, 0]
    z, shares = _nodes(tiling.axes, n, boxes.low)
    volume = (2 * boxes.half[whole][:, tiling.axes]).prod(1)
    points = boxes[whole].points(z).flatten(0, 1)
    weights, owner = (volume[:, None] * shares).flatten(), whole.repeat_interleave(len(z))
    if len(parted):
        inside, areas, holder = _in_cut(tiling, boxes[parted], n)
        points, weights, owner = torch.cat([points, inside]), torch.cat([weights, areas]), torch.cat([owner, parted[holder]])
    return points, weights, owner


def _in_cut(tiling: Tiling, boxes: Boxes, n: int) -> tuple[Tensor, Tensor, Tensor]:
    *across, axis = tiling.axes
    if len(across) == 1:
        owner, line, widths = _graded_lines(tiling, boxes, across[0], axis, 2 * n)
    else:  # less accurate: where lines touch the boundary, their lengths have a kink
        z, shares = _nodes(across, 2 * n, boxes.low)
        owner = torch.arange(len(boxes), device=z.device).repeat_interleave(len(z))
        line = boxes.points(z).flatten(0, 1)
        widths = ((2 * boxes.half[:, across]).prod(1)[:, None] * shares).flatten()
    rows, low, high = tiling.segments(*_ends(boxes, owner, line, axis), axis)
    z, shares = _nodes([axis], n, boxes.low)
    areas = (widths[rows] * (high - low)[:, axis])[:, None] * shares
    return Boxes(low, high).points(z).flatten(0, 1), areas.flatten(), owner[rows].repeat_interleave(n)


def _graded_lines(tiling: Tiling, boxes: Boxes, across: int, axis: int, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Lines along ``axis``: their boxes (N,), a point of each (N, d), and weights (N,).

    Where the number of a line's parts changes, it touches the boundary, and the length of a part behaves like a root;
    where an end of it comes inside, the length has a kink. The lines lie between those places at ``sin^2`` of Gauss
    points, which makes roots at both ends smooth.
    """
    z = boxes.low.new_zeros(SAMPLES, boxes.dimension)
    z[:, across] = torch.linspace(-1, 1, SAMPLES)
    probes = boxes.points(z)
    owner = torch.arange(len(boxes), device=z.device)

    def parts(owner: Tensor, points: Tensor) -> Tensor:
        """A number that tells in how many parts the lines through ``points`` are inside, and which ends are."""
        ends = _ends(boxes, owner, points, axis)
        count = torch.bincount(tiling.segments(*ends, axis)[0], minlength=len(points))
        return 4 * count + 2 * tiling.inside(ends[0]) + tiling.inside(ends[1])

    counts = parts(owner.repeat_interleave(SAMPLES), probes.flatten(0, 1)).reshape(len(boxes), SAMPLES)
    box, first = (counts[:, 1:] != counts[:, :-1]).nonzero().unbind(1)
    low, high, known = probes[box, first], probes[box, first + 1], counts[box, first]
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        same = (parts(box, middle) == known)[:, None]
        low, high = torch.where(same, middle, low), torch.where(same, high, middle)
    holder = torch.cat([owner, owner, box])
    place = torch.cat([boxes.low[:, across], boxes.high[:, across], low[:, across]])
    order = place.argsort(stable=True)
    order = order[holder[order].argsort(stable=True)]
    holder, place = holder[order], place[order]
    pieces = (holder[1:] == holder[:-1]).nonzero()[:, 0]
    start, width = place[pieces][:, None], (place[pieces + 1] - place[pieces])[:, None]
    nodes, shares = gauss(n, 1, z)
    angle = (nodes[:, 0] + 1) * math.pi / 4
    owner = holder[pieces].repeat_interleave(n)
    lines = boxes.centre[owner].clone()
    lines[:, across] = (start + width * angle.sin() ** 2).flatten()
    return owner, lines, (width * (shares * math.pi / 2 * (2 * angle).sin())).flatten()


def _ends(boxes: Boxes, owner: Tensor, points: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Where the lines through ``points`` (N, d) along ``axis`` enter and leave their boxes."""
    low, high = points.clone(), points.clone()
    low[:, axis], high[:, axis] = boxes.low[owner, axis], boxes.high[owner, axis]
    return low, high


def _nodes(axes: list[int], n: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Reference points (n^k, d) in the middle of all but the k ``axes``, and weights of sum one."""
    nodes, weights = gauss(n, len(axes), like)
    z = like.new_zeros(len(nodes), like.shape[1])
    z[:, axes] = nodes
    return z, weights
