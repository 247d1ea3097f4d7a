"""What of a declared evolution equation is linear with constant coefficients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.jets import Coordinate, Field, MultiIndex, as_tensor
from sciml.problem import Problem

Key = tuple[str, MultiIndex]
"""An unknown and the orders of its derivative in all coordinates."""

_POINTS = 16


@dataclass(frozen=True)
class LinearPart:
    """Coefficients of the derivatives of the unknowns in the equations.

    Attributes:
        constant: by number of the equation and derivative, those that are the same at all places and for all fields.
        varying: the others.
        evolution: by unknown that has a derivative in time, the number of its equation and the derivative's coefficient.
        constraints: the other equations.
    """

    constant: dict[tuple[int, Key], float]
    varying: set[tuple[int, Key]]
    evolution: dict[str, tuple[int, float]]
    constraints: list[int]


def linear_part(problem: Problem) -> LinearPart:
    """Find it from the derivatives of the equations, at random places, with respect to the jets of the unknowns.

    Raises:
        InputError: not one first derivative in time an equation, with a constant coefficient; an equation without one is
            not linear and homogeneous with constant coefficients; time enters explicitly.
    """
    name, probe = type(problem).__name__, _probe(problem)
    time = problem.coordinates.index(problem.time or "")
    constant: dict[tuple[int, Key], float] = {}
    varying = set()
    for row, residual in enumerate(probe.residuals):
        inputs = [*probe.entries.values(), probe.places[time]]
        *slopes, in_time = torch.autograd.grad(residual.sum(), inputs, allow_unused=True, retain_graph=True)
        if in_time is not None and in_time.any():
            raise InputError(f"the equations of {name} depend on {problem.time} explicitly, which is not supported here")
        for key, slope in zip(probe.entries, slopes, strict=True):
            if slope is None or not slope.any():
                continue
            if slope.max() - slope.min() <= 1e-9 * slope.abs().max():
                constant[row, key] = slope.mean().item()
            else:
                varying.add((row, key))
    evolution = _evolution(problem, constant, varying, time)
    constraints = [row for row in range(len(probe.residuals)) if row not in {row for row, _ in evolution.values()}]

    def vanishing(key: Key) -> Tensor:
        return torch.zeros(_POINTS, dtype=torch.float64)

    for row in constraints:
        (rest,) = evaluate_equations(problem, vanishing, probe.places, [row])
        if any(row == other for other, _ in varying) or rest.abs().max() > 1e-12:
            raise InputError(
                f"equation {row + 1} of {name} has no derivative in {problem.time}; it must be linear and homogeneous in "
                "the unknowns with constant coefficients"
            )
    return LinearPart(constant, varying, evolution, constraints)


def evaluate_equations(
    problem: Problem, entry: Callable[[Key], Tensor], places: Sequence[Tensor], rows: Sequence[int] | None = None
) -> list[Tensor]:
    """Residuals of the equations numbered ``rows`` (all by default).

    Args:
        entry: a derivative of an unknown, of any shape that broadcasts with the others.
        places: one tensor for every coordinate.
    """
    names = problem.coordinates

    def jet(unknown: str) -> Field:
        return Field(names, lambda index: entry((unknown, index)))

    jets = [jet(unknown) for unknown in problem.unknowns]
    coordinates = [Coordinate(names, axis, values) for axis, values in enumerate(places)]
    residuals = list(problem.equations(*jets, *coordinates).values())
    return [as_tensor(residuals[row], places[0]) for row in (range(len(residuals)) if rows is None else rows)]


def same_equations(first: Problem, other: Problem) -> bool:
    """Whether the equations, though not the conditions, of two problems are the same."""
    if type(first) is not type(other):
        return False
    one, two = _probe(first), _probe(other)
    return all(torch.equal(a, b) for a, b in zip(one.residuals, two.residuals, strict=True))


class _Probe(NamedTuple):
    residuals: list[Tensor]
    entries: dict[Key, Tensor]
    places: list[Tensor]


def _probe(problem: Problem) -> _Probe:
    """The equations for arbitrary jets, positive so that logarithms and quotients stay finite, at arbitrary places."""
    generator = torch.Generator().manual_seed(0)
    points = problem.domain.sample(_POINTS, generator)
    places = [column.clone().requires_grad_() for column in points.unbind(1)]
    entries: dict[Key, Tensor] = {}

    def entry(key: Key) -> Tensor:
        if key not in entries:
            entries[key] = (0.5 + torch.rand(_POINTS, generator=generator, dtype=torch.float64)).requires_grad_()
        return entries[key]

    with torch.enable_grad():
        residuals = evaluate_equations(problem, entry, places)
    return _Probe(residuals, entries, places)


def _evolution(
    problem: Problem, constant: dict[tuple[int, Key], float], varying: set[tuple[int, Key]], time: int
) -> dict[str, tuple[int, float]]:
    found = {
        unknown: (row, slope) for (row, (unknown, index)), slope in constant.items() if index[time] == 1 and sum(index) == 1
    }
    in_time = [(row, key) for row, key in [*constant, *varying] if key[1][time]]
    if not found or len(in_time) != len(found) or len({row for row, _ in found.values()}) != len(found):
        t = problem.time
        raise InputError(
            f"every equation of {type(problem).__name__} may hold one derivative in {t}, the first one of an unknown with a "
            f"constant coefficient, and every unknown may have one; write u_{t}{t} as v_{t} with v = u_{t}"
        )
    return {unknown: found[unknown] for unknown in problem.unknowns if unknown in found}
