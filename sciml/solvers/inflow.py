"""Where characteristics enter and leave the domain, and what the declared conditions say there."""

from __future__ import annotations

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.problem import INTERIOR, Dirichlet, Initial, Periodic, Points, Problem
from sciml.problem.condition import evaluate
from sciml.solvers.quasilinear import speed

_PROBES = 512  # points of the boundary at which the speed is looked at
_TANGENTIAL = 1e-6  # of the largest speed: below, characteristics run along the boundary


def initial_values(problem: Problem, places: Tensor) -> Tensor:
    """The declared initial values (N, unknowns) at ``places`` (N, d), of any time."""
    declared = {name: v for c in problem.conditions() if isinstance(c, Initial) for name, v in c.values.items()}
    space = places[:, list(problem.space_axes)]
    columns = [evaluate(declared[name], problem.space, space, f"Initial({name}=...)") for name in problem.unknowns]
    return torch.stack([torch.zeros_like(places[:, 0]) + column for column in columns], dim=-1)


def boundary_values(problem: Problem, condition: Dirichlet, places: Tensor) -> Tensor:
    """The declared boundary values (N, unknowns) at ``places`` (N, d)."""
    columns = [
        evaluate(condition.values[name], problem.coordinates, places, f"Dirichlet({name}=...)") for name in problem.unknowns
    ]
    return torch.stack([torch.zeros_like(places[:, 0]) + column for column in columns], dim=-1)


def check_conditions(problem: Problem) -> None:
    """Raises InputError for conditions that characteristics cannot meet, with a solver that can."""
    name = type(problem).__name__
    conditions = list(problem.named_conditions().values())
    for condition in conditions:
        if not isinstance(condition, (Initial, Periodic, Dirichlet)):
            kind = type(condition).__name__
            raise InputError(f"{name} has a {kind} condition, which cannot be met along characteristics; use the pinn solver")
    declared = [key for c in conditions if isinstance(c, Initial) for key in c.values]
    for unknown in problem.unknowns:
        if unknown not in declared:
            raise InputError(f"{name} gives no initial value of {unknown!r}, with which characteristics start: add Initial")
    for c in conditions:
        if isinstance(c, Dirichlet) and set(c.values) != set(problem.unknowns):
            raise InputError(f"{name}: what flows in must be given for every unknown in one Dirichlet condition")
    if len(periods(problem)) < len(problem.space):
        orders = [sum(index) for index in problem.derivatives[INTERIOR]]
        if max(orders) > 1:
            raise InputError(
                f"{name} takes derivatives of order {max(orders)} and is not periodic; its boundary conditions cannot be "
                "met at moving labels: use the pinn or experts solver"
            )


def periods(problem: Problem) -> dict[str, float]:
    """Period of every periodic coordinate, by name."""
    low, high = problem.domain.bounds
    sides = dict(zip(problem.coordinates, (high - low).tolist(), strict=True))
    return {c.coordinate: sides[c.coordinate] for c in problem.conditions() if isinstance(c, Periodic)}


def entrances(problem: Problem) -> dict[float, tuple[Dirichlet, float]]:
    """Position of every end of an interval that characteristics enter through, with its condition and outward normal.

    Raises:
        InputError: where they enter nothing is prescribed, where something is they do not enter, or space has several
            dimensions and they enter at all.
    """
    if len(periods(problem)) == len(problem.space):
        return {}
    found = {}
    for condition in problem.named_conditions().values():
        if isinstance(condition, Dirichlet):
            drawn = condition.sample(problem, _PROBES, torch.Generator().manual_seed(0))
            values = boundary_values(problem, condition, drawn.coordinates)
            outward = _outward(problem, drawn, values)
            if len(problem.space) > 1 or not bool((outward < 0).all()):
                raise InputError(
                    f"{type(problem).__name__} prescribes {condition.name!r}, but characteristics do not enter there at all "
                    "times (or space has several dimensions); keep Dirichlet only where they do, or use the pinn solver"
                )
            (axis,) = problem.space_axes
            assert drawn.normals is not None
            for end, normal in zip(drawn.coordinates[:, axis].tolist(), drawn.normals[:, axis].tolist(), strict=True):
                found[end] = (condition, normal)
    boundary = problem.domain.sample_boundary(_PROBES, torch.Generator().manual_seed(0))
    points = Points(boundary.points, normals=boundary.normals)
    outward = _outward(problem, points, initial_values(problem, points.coordinates))
    for row in (outward < 0).nonzero().flatten().tolist():
        place = dict(zip(problem.coordinates, points.coordinates[row].tolist(), strict=True))
        if len(problem.space) > 1 or place[problem.space[0]] not in found:
            where = ", ".join(f"{name}={value:.3g}" for name, value in place.items())
            fix = "add Dirichlet there" if len(problem.space) == 1 else "use the pinn solver"
            raise InputError(f"characteristics of {type(problem).__name__} enter at {where}, where nothing is known: {fix}")
    return found


def _outward(problem: Problem, points: Points, values: Tensor) -> Tensor:
    """Speed along the outward normal (N,), zero where it is tangential or on a periodic side."""
    assert points.normals is not None
    velocity = speed(problem, dict(zip(problem.unknowns, values.unbind(-1), strict=True)), points.coordinates)
    walls = [k for k, name in enumerate(problem.space) if name not in periods(problem)]
    normals = points.normals[:, list(problem.space_axes)]
    outward = (velocity * normals)[:, walls].sum(-1)
    return torch.where(outward.abs() <= _TANGENTIAL * velocity.abs().max(), 0.0, outward)
