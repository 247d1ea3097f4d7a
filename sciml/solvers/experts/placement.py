"""Where the equations and conditions are placed on given boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from sciml.geometry import Domain
from sciml.jets import MultiIndex, MultiIndexSet
from sciml.problem import (
    INTERIOR,
    Condition,
    Initial,
    Integral,
    Interface,
    Observations,
    Periodic,
    Points,
    Problem,
    concatenate,
)
from sciml.solvers.experts.basis import Legendre, gauss
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.terms import Interior, Measured, Scattered, Term
from sciml.solvers.experts.tiling import Tiling, normals
from sciml.solvers.linearise import Residuals, equations_at, residuals_of

OBSERVED = 0.01  # weight of measurements over the equations: they choose among solutions, and do not bend them

Evaluate = Callable[[Tensor, Sequence[MultiIndex]], Tensor]
"""Derivatives (U, S, N) of all unknowns at points (N, d)."""


class Placed(NamedTuple):
    """Points of a condition, the boxes (N,) that hold them and quadrature weights (N,)."""

    points: Points
    owner: Tensor
    weights: Tensor

    def only(self, rows: Tensor) -> Placed:
        return Placed(self.points[rows], self.owner[rows], self.weights[rows])


def terms(
    problem: Problem, tiling: Tiling, boxes: Boxes, basis: Legendre, weight: float, mine: Tensor,
    before: Evaluate | None = None,
) -> list[Term]:  # fmt: skip
    """The equations in boxes, and every condition where it holds.

    Args:
        weight: of the conditions' rows over the equations'.
        mine: the boxes (n,) that are this process's; measurements are everybody's.
        before: the solution up to the lowest time of the boxes, which replaces the initial conditions.
    """
    cut, indices = tiling.cut(boxes), problem.derivatives[INTERIOR]
    whole, parted = (mine & ~cut).nonzero()[:, 0], (mine & cut).nonzero()[:, 0]
    result: list[Term] = []
    if len(whole):
        z, weights = gauss(basis.degree + 1, boxes.dimension, boxes.low)
        result.append(Interior(problem, boxes, whole, basis, z, weights, indices, tiling.singular))
    if len(parted):
        points, owner, weights = _inside(problem, boxes, parted, 2 * len(basis) * (1 + len(tiling.interfaces)))
        inside = points.coordinates
        found = Scattered(problem, equations_at(inside), boxes, basis, inside, owner, weights, indices, tiling.singular)
        result.append(found)
    conditions = problem.named_conditions()

    def add(
        placed: Placed, residuals: Callable[[Points], Residuals], indices: MultiIndexSet,
        kind: type[Scattered] = Scattered, weight: float = weight, everywhere: bool = False,
    ) -> None:  # fmt: skip
        own = placed if kind is Measured else placed.only(mine[placed.owner])
        if len(own.owner):
            points, squared = own.points.coordinates, weight**2 * own.weights
            declared, functions = residuals(own.points), tiling.singular
            result.append(kind(problem, declared, boxes, basis, points, own.owner, squared, indices, functions, everywhere))

    for name, condition in conditions.items():
        residuals, needed = partial(residuals_of, name), problem.derivatives[name]
        if isinstance(condition, Observations):
            add(_observed(problem, boxes, condition), residuals, needed, Measured, OBSERVED)
        elif isinstance(condition, Interface):
            add(_on_interface(problem, tiling, boxes, basis, condition), residuals, needed, everywhere=True)
        elif isinstance(condition, Initial):
            if before is None:
                add(_at_start(problem, boxes, basis), residuals, needed)
        elif not isinstance(condition, Periodic | Integral):  # those couple boxes
            add(_on_boundary(problem, tiling, boxes, basis, condition), residuals, needed)
    if before is not None:
        add(_at_start(problem, boxes, basis), *_continued(problem, before))
    given = {name for condition in conditions.values() if isinstance(condition, Integral) for name in condition.values}
    loose = [name for name in problem.gauge if name not in given]
    if loose:
        zero = MultiIndexSet((), boxes.dimension)
        add(_anchor(problem, boxes, basis), lambda _: lambda _, f: {name: f[name].value for name in loose}, zero)
    return result


def _continued(problem: Problem, before: Evaluate) -> tuple[Callable[[Points], Residuals], MultiIndexSet]:
    """Values and time derivatives below the equation's order, equal to those of the solution ``before``."""
    assert problem.time is not None
    axis = problem.coordinates.index(problem.time)
    wanted = {
        f"{unknown}_{k}": (unknown, tuple(k if a == axis else 0 for a in range(len(problem.coordinates))))
        for unknown in problem.unknowns
        for k in range(problem.order(unknown, problem.time))
    }
    indices = MultiIndexSet((index for _, index in wanted.values()), len(problem.coordinates))

    def residuals(points: Points) -> Residuals:
        known = before(points.coordinates, list(indices))
        targets = {name: known[problem.unknowns.index(u), indices.position[index]] for name, (u, index) in wanted.items()}
        return lambda _, f: {name: f[u].partial(i) - targets[name] for name, (u, i) in wanted.items()}

    return residuals, indices


def _anchor(problem: Problem, boxes: Boxes, basis: Legendre) -> Placed:
    """The middle of one box, at all its times: where fields that are determined up to a constant are set to zero."""
    steps, weights = gauss(basis.degree + 1 if problem.time else 1, 1, boxes.low)
    z = boxes.low.new_zeros(len(steps), boxes.dimension)
    if problem.time:
        z[:, problem.coordinates.index(problem.time)] = steps[:, 0]
    first = torch.zeros(len(z), dtype=torch.long, device=z.device)
    return Placed(Points(boxes[first[:1]].points(z)[0]), first, weights)


def _at_start(problem: Problem, boxes: Boxes, basis: Legendre) -> Placed:
    axis = problem.coordinates.index(problem.time)
    first = boxes.low[:, axis] <= boxes.low[:, axis].min()
    return _side(boxes, basis, first.nonzero()[:, 0], axis, upper=False)


def _side(boxes: Boxes, basis: Legendre, chosen: Tensor, axis: int, upper: bool) -> Placed:
    """Gauss points on one side of the boxes ``chosen`` (n,), with the side's normal."""
    nodes, weights = gauss(basis.degree + 1, boxes.dimension - 1, boxes.low)
    sign = 1.0 if upper else -1.0
    z = torch.full((len(nodes), boxes.dimension), sign).to(nodes)
    z[:, [a for a in range(boxes.dimension) if a != axis]] = nodes
    points = boxes[chosen].points(z).reshape(-1, boxes.dimension)
    normals = torch.zeros_like(points)
    normals[:, axis] = sign
    return Placed(Points(points, normals=normals), chosen.repeat_interleave(len(z)), weights.repeat(len(chosen)))


def _inside(problem: Problem, boxes: Boxes, chosen: Tensor, n: int) -> Placed:
    """At most ``n`` quasi-random points inside each of the boxes ``chosen``; the weights of a box have the sum one."""
    d = boxes.dimension
    z = 2 * torch.quasirandom.SobolEngine(d, scramble=False).draw(16 * n, dtype=torch.float64).to(boxes.low) - 1
    points = boxes[chosen].points(z[1:])
    inside = problem.domain.contains(points.reshape(-1, d)).reshape(points.shape[:2])
    inside &= inside.cumsum(1) <= n
    owner = chosen[inside.nonzero()[:, 0]]
    return Placed(Points(points[inside]), owner, _shares(owner, len(boxes)))


def _shares(owner: Tensor, count: int) -> Tensor:
    """Weights (N,) that are equal within every owner and have the sum one there."""
    return 1.0 / torch.bincount(owner, minlength=count)[owner].to(torch.float64)


def _on_boundary(problem: Problem, tiling: Tiling, boxes: Boxes, basis: Legendre, condition: Condition) -> Placed:
    """Gauss points of those sides of boxes that lie on the condition's part of the boundary, and its points in cut ones."""
    everywhere = torch.arange(len(boxes), device=boxes.low.device)
    parts = [_side(boxes, basis, everywhere, axis, upper) for axis in problem.space_axes for upper in (False, True)]
    placed = _together([*parts, _crossings(problem, tiling, boxes, basis)])
    distance = problem.domain.boundary_distance(placed.points.coordinates, on=getattr(condition, "on", None))
    here = distance <= 2 * tiling.tiny
    return placed.only(here)


def _on_interface(problem: Problem, tiling: Tiling, boxes: Boxes, basis: Legendre, condition: Interface) -> Placed:
    """Gauss points of those sides of boxes that lie on the interface, and its points in boxes that it cuts."""

    def distance(points: Tensor) -> Tensor:
        return condition.shape.signed_distance(points[:, list(problem.space_axes)])

    everywhere = torch.arange(len(boxes), device=boxes.low.device)
    sides = _together([_side(boxes, basis, everywhere, axis, upper) for axis in problem.space_axes for upper in (False, True)])
    points = sides.points.coordinates
    here = distance(points).abs() <= 2 * tiling.tiny
    outward = normals(distance, points[here], problem.space_axes)
    placed = _together([
        Placed(Points(points[here], normals=outward), sides.owner[here], sides.weights[here]),
        _crossings(problem, tiling, boxes, basis, condition.shape),
    ])  # fmt: skip
    return placed.only(condition.between(problem, placed.points.coordinates))


def _crossings(problem: Problem, tiling: Tiling, boxes: Boxes, basis: Legendre, shape: Domain | None = None) -> Placed:
    """Points of the boundary, or that of ``shape``, in the boxes that it cuts, at all Gauss points in time."""
    cut = tiling.cut(boxes).nonzero()[:, 0]
    points, outward, owner = tiling.boundary(boxes[cut], shape)
    if problem.time is not None:
        steps = gauss(basis.degree + 1, 1, boxes.low)[0][:, 0]
        axis = problem.coordinates.index(problem.time)
        points, outward, owner = (item.repeat_interleave(len(steps), 0) for item in (points, outward, owner))
        centre, half = boxes[cut].centre[owner, axis], boxes[cut].half[owner, axis]
        points[:, axis] = centre + half * steps.repeat(len(points) // len(steps))
    return Placed(Points(points, normals=outward), cut[owner], _shares(owner, len(cut)))


def _observed(problem: Problem, boxes: Boxes, condition: Condition) -> Placed:
    """All measurements, each as important as any other whatever the size of its box."""
    points = condition.sample(problem, 2**31, torch.Generator().manual_seed(0), device=boxes.low.device)
    owner = boxes.owner(points.coordinates)
    return Placed(points, owner, len(boxes) / len(points) / boxes.weights[owner] ** 2)


def _together(parts: Sequence[Placed]) -> Placed:
    return Placed(
        concatenate([part.points for part in parts]),
        torch.cat([part.owner for part in parts]),
        torch.cat([part.weights for part in parts]),
    )
