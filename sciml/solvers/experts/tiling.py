"""How boxes tile a domain whose boundary may cut them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sciml.problem import Problem
from sciml.solvers.experts.boxes import Boxes, Faces, grid

PROBES = {1: 129, 2: 33, 3: 13}  # along each axis of a box, to see where it is inside
SAMPLES = 65  # along a line, to see where it enters and leaves
ASIDE = 1e-6  # how far from its sides the outermost ones are: those may be on the boundary


class Tiling:
    """The geometry of a problem as its boxes see it.

    A box outside the domain is dropped, one that the boundary cuts is shrunk to what is inside, so that its basis
    stays well conditioned, and a shared face that it cuts is clipped.

    Args:
        problem: gives the domain. The first boxes lie between the coordinates of its corners, so that straight edges
            along the axes cut no box.
    """

    def __init__(self, problem: Problem, device: torch.device) -> None:
        self.domain, self.axes = problem.domain, list(problem.space_axes)
        low, high = (bound.to(device) for bound in problem.domain.bounds)
        self.tiny = 1e-10 * float((high - low).max())  # distance below which a point is on the boundary
        space = problem.domain.space
        self.is_box = space is None or math.isclose(space.volume, float((high - low)[self.axes].prod()), rel_tol=1e-12)
        breaks = [torch.stack(ends) for ends in zip(low, high, strict=True)]
        if not self.is_box and len(self.axes) == 2:
            for place, axis in enumerate(self.axes):
                found = torch.tensor([corner.point[place] for corner in space.corners], dtype=low.dtype, device=device)
                breaks[axis] = _distinct(torch.cat([breaks[axis], found]))
        self.root = self.trimmed(grid(breaks))

    def trimmed(self, boxes: Boxes) -> Boxes:
        """``boxes`` without those outside, the cut ones shrunk."""
        if self.is_box:
            return boxes
        inside, z = self.probed(boxes)
        kept, step = inside.any(1), 2 / (PROBES[len(self.axes)] - 1)
        boxes, inside = boxes[kept], inside[kept]
        lowest = torch.where(inside[:, :, None], z, 1.0).amin(1).sub(step).clamp(min=-1)
        highest = torch.where(inside[:, :, None], z, -1.0).amax(1).add(step).clamp(max=1)
        low, high = boxes.low.clone(), boxes.high.clone()
        low[:, self.axes] = (boxes.centre + lowest * boxes.half)[:, self.axes]
        high[:, self.axes] = (boxes.centre + highest * boxes.half)[:, self.axes]
        return Boxes(low, high)

    def cut(self, boxes: Boxes) -> Tensor:
        """Which boxes (n,) have a part outside."""
        if self.is_box:
            return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.low.device)
        return ~self.probed(boxes)[0].all(1)

    def clipped(self, faces: Faces) -> Faces:
        """The parts of ``faces`` that are inside: exactly where they are curves, else the box around them."""
        if self.is_box or not len(faces):
            return faces
        along = [a for a in self.axes if a != faces.axis]
        if len(along) == 1:
            rows, low, high = self.segments(faces.low, faces.high, along[0])
        else:
            z = self._reference(along, torch.linspace(-1, 1, PROBES[len(along)]), faces.low)
            rows = self.inside(Boxes(faces.low, faces.high).points(z)).any(1).nonzero()[:, 0]
            low, high = faces.low[rows], faces.high[rows]
        return Faces(faces.axis, faces.below[rows], faces.above[rows], low, high, faces.shift[rows])

    def segments(self, low: Tensor, high: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor]:
        """The parts inside of the lines from ``low`` to ``high`` (n, d) along ``axis``: line (m,) and both ends (m, d)."""
        line = torch.linspace(0, 1, SAMPLES).to(low)
        points = low[:, None] + line[:, None] * (high - low)[:, None]
        inside = self.inside(points)
        change = torch.nn.functional.pad(inside.int(), (1, 1)).diff(dim=1)  # 1 where a part begins, -1 after its end
        rows, first = (change == 1).nonzero().unbind(1)
        last = (change == -1).nonzero()[:, 1] - 1
        wide = last > first
        rows, first, last = rows[wide], first[wide], last[wide]
        start = self._between(points[rows, (first - 1).clamp(min=0)], points[rows, first])
        stop = self._between(points[rows, (last + 1).clamp(max=SAMPLES - 1)], points[rows, last])
        return rows, start, stop

    def _between(self, outside: Tensor, inside: Tensor) -> Tensor:
        """The last points inside on the way from ``inside`` to ``outside``, both (N, d), by bisection."""
        for _ in range(45):
            middle = (outside + inside) / 2
            within = self.inside(middle)[:, None]
            outside, inside = torch.where(within, outside, middle), torch.where(within, middle, inside)
        return inside

    def boundary(self, boxes: Boxes) -> tuple[Tensor, Tensor, Tensor]:
        """Where a grid of lines in each box crosses the boundary: points (N, d), outward normals (N, d), boxes (N,)."""
        z = self.probed(boxes)[1]
        n, dimension = PROBES[len(self.axes)], len(self.axes)
        points = boxes.points(z).reshape(len(boxes), *(n,) * dimension, -1)
        inside = self.inside(points)
        found, owners = [], []
        for line in range(1, dimension + 1):
            here, there = inside.narrow(line, 0, n - 1), inside.narrow(line, 1, n - 1)
            first, second = points.narrow(line, 0, n - 1), points.narrow(line, 1, n - 1)
            for one, other, change in ((first, second, ~here & there), (second, first, here & ~there)):
                found.append(self._between(one[change], other[change]))
                owners.append(change.nonzero()[:, 0])
        crossings = torch.cat(found).requires_grad_()
        with torch.enable_grad():
            (slopes,) = torch.autograd.grad(self.domain.signed_distance(crossings).sum(), crossings)
        normals = torch.zeros_like(slopes)
        normals[:, self.axes] = torch.nn.functional.normalize(slopes[:, self.axes], dim=1)
        return crossings.detach(), normals, torch.cat(owners)

    def probed(self, boxes: Boxes) -> tuple[Tensor, Tensor]:
        """Reference points z (Q, d), and which of them are inside in each of ``boxes``, (n, Q)."""
        n = PROBES[len(self.axes)]
        z = self._reference(self.axes, torch.linspace(-1, 1, n) * (1 - ASIDE), boxes.low)
        return self.inside(boxes.points(z)), z

    def _reference(self, axes: Sequence[int], line: Tensor, like: Tensor) -> Tensor:
        """A grid (Q, d) in the reference box from ``line`` along each of ``axes``, in the middle of all others."""
        z = like.new_zeros(len(line) ** len(axes), like.shape[1])
        z[:, list(axes)] = torch.cartesian_prod(*(line.to(like),) * len(axes)).reshape(len(z), -1)
        return z

    def inside(self, points: Tensor) -> Tensor:
        """Which of ``points`` (..., d) are inside or on the boundary."""
        return self.domain.contains(points.reshape(-1, points.shape[-1]), tolerance=self.tiny).reshape(points.shape[:-1])


def _distinct(values: Tensor) -> Tensor:
    values = values.sort().values
    apart = values.diff() > 1e-9 * (values[-1] - values[0])
    return torch.cat([values[:1], values[1:][apart]])
