"""What the equations and conditions of a problem ask of fields on a grid."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.jets import Jet, MultiIndex, record
from sciml.problem import INTERIOR, Initial, Points, Problem

Entry = tuple[str, MultiIndex]
"""An unknown and a derivative of it."""

_AFFINE = ("initial", "dirichlet", "neumann", "robin")
_ON_A_GRID = (*_AFFINE, "constraint")


@dataclass(frozen=True)
class Group:
    """The equations (key "interior"), or one condition: the names of its terms and the jet entries that they need.

    ``affine``: whether the residuals are known to be affine in the entries.
    """

    key: str
    terms: tuple[str, ...]
    entries: tuple[Entry, ...]
    affine: bool = False

    def evaluate(self, problem: Problem, fields: Mapping[str, Jet], points: Points) -> dict[str, Tensor]:
        """Residual vectors (N,) of the terms."""
        if self.key == INTERIOR:
            return problem.residuals(fields, points.coordinates, without=eliminated(problem))
        return problem.named_conditions()[self.key].residuals(problem, fields, points)


def groups(problem: Problem, exact_initial: bool) -> dict[str, Group]:
    """Everything that the solution must satisfy, by key; an initial condition may hold by construction.

    Raises:
        InputError: a condition that has no place on a grid.
    """
    generator = torch.Generator().manual_seed(0)
    points = {INTERIOR: Points(problem.domain.sample(3, generator))}
    for name, condition in problem.named_conditions().items():
        if condition.kind == "periodic" or (exact_initial and condition.kind == "initial"):
            continue
        if condition.kind not in _ON_A_GRID:
            raise InputError(f"condition {name!r} cannot be imposed on a grid; possible are {', '.join(_ON_A_GRID)}")
        points[name] = condition.sample(problem, 3, generator)
    return {key: _trace(problem, key, drawn) for key, drawn in points.items()}


def _trace(problem: Problem, key: str, points: Points) -> Group:
    found: dict[str, Tensor] = {}

    def evaluate(jets: list[Jet]) -> None:
        found.update(Group(key, (), ()).evaluate(problem, dict(zip(problem.unknowns, jets, strict=True)), points))

    asked = record(evaluate, problem.coordinates, len(problem.unknowns), points.coordinates[:, 0])
    entries = [(name, index) for name, one in zip(problem.unknowns, asked, strict=True) for index in sorted(one.indices)]
    return Group(key, tuple(found), tuple(entries), key != INTERIOR and problem.named_conditions()[key].kind in _AFFINE)


def eliminated(problem: Problem) -> tuple[str, ...]:
    """The unknowns that ``problem.eliminate`` gives."""
    if not hasattr(problem, "eliminate"):
        return ()
    given = inspect.signature(problem.eliminate).parameters
    return tuple(name for name in problem.unknowns if name not in given)


def complete(problem: Problem, fields: dict[str, Tensor]) -> dict[str, Tensor]:
    """``fields`` (..., *shape) of the independent unknowns together with the eliminated ones."""
    eliminate = getattr(problem, "eliminate", None)
    return fields if eliminate is None else fields | eliminate(**fields)


def initial_values(problem: Problem, points: Tensor) -> dict[str, Tensor]:
    """The initial values (N,) of the unknowns at points (N, d) by name; none where no ``Initial`` is declared."""
    values: dict[str, Tensor] = {}
    for condition in problem.conditions():
        if isinstance(condition, Initial):
            for key, value in condition.targets(problem, points).items():
                values[key] = torch.as_tensor(value, dtype=points.dtype, device=points.device).expand(len(points))
    return values
