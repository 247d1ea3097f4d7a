"""How boxes tile a domain whose boundary may cut them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sciml.geometry import Domain
from sciml.problem import Interface, Problem
from sciml.solvers.experts.boxes import Boxes, Faces, grid
from sciml.solvers.experts.singular import singular

PROBES = {1: 129, 2: 33, 3: 13}  # along each axis of a box, to see where it is inside
SAMPLES = 65  # along a line, to see where it enters and leaves
ASIDE = 1e-6  # how far from its sides the outermost ones are: those may be on the boundary


class Tiling:
    """The geometry of a problem as its boxes see it.

    A box outside the domain is dropped, one that the boundary cuts is shrunk to what is inside, so that its basis
    stays well conditioned, and a shared face that it cuts is clipped. An interface cuts boxes too. ``singular`` holds what
    polynomials cannot say at the corners.

    Args:
        problem: gives the domain and interfaces. The first boxes lie between the coordinates of their corners, so that
            straight edges along the axes cut no box.
    """

    def __init__(self, problem: Problem, device: torch.device) -> None:
        self.problem, self.domain, self.axes = problem, problem.domain, list(problem.space_axes)
        self.interfaces = [c for c in problem.named_conditions().values() if isinstance(c, Interface)]
        low, high = (bound.to(device) for bound in problem.domain.bounds)
        self.singular = singular(problem.domain)
        self.tiny = 1e-10 * float((high - low).max())  # distance below which a point is on the boundary
        space = problem.domain.space
        self.is_box = space is None or math.isclose(space.volume, float((high - low)[self.axes].prod()), rel_tol=1e-12)
        breaks = [torch.stack(ends) for ends in zip(low, high, strict=True)]
        shapes = [interface.shape for interface in self.interfaces]
        for shape in shapes if self.is_box else [space, *shapes]:
            for place, axis in enumerate(self.axes):
                found = _corners(shape, place).to(low)
                inside = (found > low[axis]) & (found < high[axis])
                breaks[axis] = _distinct(torch.cat([breaks[axis], found[inside]]))
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
        """Which boxes (n,) have a part outside, or are on both sides of an interface."""
        if self.is_box and not self.interfaces:
            return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.low.device)
        inside = self.present(boxes)[0]
        return (inside.any(2) & ~inside.all(2)).any(1)

    def empty(self, boxes: Boxes) -> Tensor:
        """Which unknowns (n, U) do not exist in a box, because it is beyond their interface."""
        return ~self.present(boxes)[0].any(2) if self.interfaces else self._none(boxes)

    def apart(self, boxes: Boxes) -> Tensor:
        """Which unknowns (n, U) do not even exist beside a box. Conditions at an interface need both in either box."""
        if not self.interfaces:
            return self._none(boxes)
        around = boxes.points(self._probes(boxes, 1 + ASIDE))
        near = self.problem.present(around.flatten(0, 1), self.tiny).unflatten(1, around.shape[:2])
        return ~near.any(2).T

    def _none(self, boxes: Boxes) -> Tensor:
        return torch.zeros(len(boxes), len(self.problem.unknowns), dtype=torch.bool, device=boxes.low.device)

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
        start = _last_inside(self.inside, points[rows, (first - 1).clamp(min=0)], points[rows, first])
        stop = _last_inside(self.inside, points[rows, (last + 1).clamp(max=SAMPLES - 1)], points[rows, last])
        return rows, start, stop

    def boundary(self, boxes: Boxes, shape: Domain | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Where a grid of lines in each box crosses the boundary: points (N, d), outward normals (N, d), boxes (N,).

        Args:
            shape: a spatial domain, whose boundary is meant instead.
        """

        def distance(points: Tensor) -> Tensor:
            return self.domain.signed_distance(points) if shape is None else shape.signed_distance(points[:, self.axes])

        def contains(points: Tensor) -> Tensor:
            return distance(points.reshape(-1, points.shape[-1])).reshape(points.shape[:-1]) <= self.tiny

        z = self._probes(boxes)
        n, dimension = PROBES[len(self.axes)], len(self.axes)
        points = boxes.points(z).reshape(len(boxes), *(n,) * dimension, z.shape[1])
        inside = contains(points)
        found, owners = [], []
        for line in range(1, dimension + 1):
            here, there = inside.narrow(line, 0, n - 1), inside.narrow(line, 1, n - 1)
            first, second = points.narrow(line, 0, n - 1), points.narrow(line, 1, n - 1)
            for one, other, change in ((first, second, ~here & there), (second, first, here & ~there)):
                found.append(_last_inside(contains, one[change], other[change]))
                owners.append(change.nonzero()[:, 0])
        crossings = torch.cat(found)
        return crossings, normals(distance, crossings, self.axes), torch.cat(owners)

    def probed(self, boxes: Boxes) -> tuple[Tensor, Tensor]:
        """Reference points z (Q, d), and which of them are inside in each of ``boxes``, (n, Q)."""
        z = self._probes(boxes)
        return self.inside(boxes.points(z)), z

    def present(self, boxes: Boxes) -> tuple[Tensor, Tensor]:
        """Where every unknown exists (n, U, Q) at reference points z (Q, d)."""
        inside, z = self.probed(boxes)
        if not self.interfaces:
            return inside[:, None].expand(-1, len(self.problem.unknowns), -1), z
        present = self.problem.present(boxes.points(z).flatten(0, 1)).unflatten(1, inside.shape).transpose(0, 1)
        return inside[:, None] & present, z

    def _probes(self, boxes: Boxes, reach: float = 1 - ASIDE) -> Tensor:
        return self._reference(self.axes, torch.linspace(-1, 1, PROBES[len(self.axes)]) * reach, boxes.low)

    def _reference(self, axes: Sequence[int], line: Tensor, like: Tensor) -> Tensor:
        """A grid (Q, d) in the reference box from ``line`` along each of ``axes``, in the middle of all others."""
        z = like.new_zeros(len(line) ** len(axes), like.shape[1])
        z[:, list(axes)] = torch.cartesian_prod(*(line.to(like),) * len(axes)).reshape(len(z), -1)
        return z

    def inside(self, points: Tensor) -> Tensor:
        """Which of ``points`` (..., d) are inside or on the boundary."""
        return self.domain.contains(points.reshape(-1, points.shape[-1]), tolerance=self.tiny).reshape(points.shape[:-1])


def normals(distance: Callable[[Tensor], Tensor], points: Tensor, axes: Sequence[int]) -> Tensor:
    """Outward normals (N, d) at ``points`` (N, d) on the boundary, from the gradient of the signed ``distance``."""
    leaf = points.clone().requires_grad_()
    with torch.enable_grad():
        (slopes,) = torch.autograd.grad(distance(leaf).sum(), leaf)
    result = torch.zeros_like(slopes)
    result[:, list(axes)] = torch.nn.functional.normalize(slopes[:, list(axes)], dim=1)
    return result


def _last_inside(contains: Callable[[Tensor], Tensor], outside: Tensor, inside: Tensor) -> Tensor:
    """The last points inside on the way from ``inside`` to ``outside``, both (N, d), by bisection."""
    for _ in range(45):
        middle = (outside + inside) / 2
        within = contains(middle)[:, None]
        outside, inside = torch.where(within, outside, middle), torch.where(within, middle, inside)
    return inside


def _corners(shape: Domain, place: int) -> Tensor:
    """Coordinates number ``place`` of the corners of a shape on a line or in the plane."""
    if shape.dimension == 1:
        return torch.cat(shape.bounds)
    corners = shape.corners if shape.dimension == 2 else []
    return torch.tensor([corner.point[place] for corner in corners], dtype=torch.float64)


def _distinct(values: Tensor) -> Tensor:
    values = values.sort().values
    apart = values.diff() > 1e-9 * (values[-1] - values[0])
    return torch.cat([values[:1], values[1:][apart]])
