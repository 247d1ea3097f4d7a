"""Equations that are linear in their first derivatives: their characteristic speed, and what is left along characteristics."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.jets import Field, Jet, MultiIndexSet
from sciml.problem import INTERIOR, Problem

Slopes = Mapping[tuple[str, str], Tensor | float]
"""First derivatives by unknown and coordinate; those that are absent are zero."""


def speed(problem: Problem, values: Mapping[str, Tensor], points: Tensor) -> Tensor:
    """The characteristic speed (N, space), where the unknowns are ``values``, each (N,), at ``points`` (N, d).

    It is (d residual / d u_x) / (d residual / d u_t). The residual is affine in both, so that differences of it are
    these derivatives exactly. A system has one speed where its matrices of derivatives are proportional.
    """
    names, time = problem.coordinates, problem.time
    assert time is not None

    def jet(value: Tensor) -> Jet:
        return Field(names, lambda index: torch.zeros_like(value) if any(index) else value)

    jets = {unknown: jet(value) for unknown, value in values.items()}
    rest = _residuals(problem, jets, points, {})
    by = {
        (unknown, name): _residuals(problem, jets, points, {(unknown, name): 1.0}) - rest
        for unknown in problem.unknowns
        for name in names
    }
    in_time = torch.stack([by[unknown, time] for unknown in problem.unknowns])
    square = in_time.square().sum((0, 1))
    columns = [
        (in_time * torch.stack([by[unknown, name] for unknown in problem.unknowns])).sum((0, 1)) / square
        for name in problem.space
    ]
    return torch.stack(columns, dim=-1)


def along_characteristics(
    problem: Problem, jets: Mapping[str, Jet], rates: Mapping[str, Tensor], points: Tensor
) -> dict[str, Tensor]:
    """The equations' residuals (N,) by name for observers who move with the characteristic speed.

    They see the unknowns change at ``rates``, du/dt = u_t + speed . grad u, which stands for all first derivatives.

    Args:
        jets: of the unknowns, with the second and higher spatial derivatives.
    """
    assert problem.time is not None
    slopes = {(unknown, problem.time): rate for unknown, rate in rates.items()}
    return problem.residuals(_with_slopes(problem, jets, points, slopes), points)


def check_quasilinear(problem: Problem) -> None:
    """Raises InputError, with the reason and a solver that fits, where ``problem`` has no single characteristic speed."""
    name, time = type(problem).__name__, problem.time
    if time is None:
        raise InputError(f"{name} has no Time coordinate, so no characteristics to follow; use the pinn or experts solver")
    if not problem.space:
        raise InputError(f"{name} has time alone, so nothing travels; use the pinn solver")
    if problem.parameters():
        raise InputError(f"{name} has unknown coefficients {sorted(problem.parameters())}; fit them with the pinn solver")
    axis = problem.coordinates.index(time)
    for index in problem.derivatives[INTERIOR]:
        if index[axis] > 1 or (index[axis] == 1 and sum(index) > 1):
            wanted = "".join(n * order for n, order in zip(problem.coordinates, index, strict=True))
            raise InputError(
                f"{name} takes the derivative u_{wanted}; characteristics need time to enter as u_{time} alone: "
                "use the pinn solver"
            )
    points = problem.domain.sample(16, torch.Generator().manual_seed(0))
    unit = torch.linspace(0.5, 1.5, len(points), dtype=points.dtype)

    def jet(shift: int) -> Jet:
        return Field(problem.coordinates, lambda index: (unit + 0.1 * shift) / (1 + sum(index)))

    jets = {unknown: jet(i) for i, unknown in enumerate(problem.unknowns)}
    values = {unknown: field.value for unknown, field in jets.items()}
    equations = problem.residuals(jets, points)
    if len(equations) != len(problem.unknowns):
        raise InputError(
            f"{name} has {len(equations)} equations for {len(problem.unknowns)} unknowns; "
            f"characteristics need one equation with a derivative in {time} for each: use the pinn solver"
        )
    rest = _residuals(problem, jets, points, {})
    inertia = torch.stack([_residuals(problem, jets, points, {(u, time): 1.0}) - rest for u in problem.unknowns])
    if not bool((torch.linalg.det(inertia.permute(2, 1, 0)).abs() > 1e-12).all()):
        raise InputError(
            f"the equations of {name} do not determine the derivative in {time} of every unknown "
            f"({', '.join(problem.unknowns)}); characteristics need that: use the pinn solver"
        )
    slopes = {
        (unknown, coordinate): 0.7 * unit.flip(0) + 0.3 * i - 0.2 * k
        for i, unknown in enumerate(problem.unknowns)
        for k, coordinate in enumerate(problem.coordinates)
    }
    true = _residuals(problem, jets, points, slopes) - rest
    velocity = speed(problem, values, points)
    linear = sum(
        inertia[i] * (slopes[u, time] + sum(velocity[:, k] * slopes[u, x] for k, x in enumerate(problem.space)))
        for i, u in enumerate(problem.unknowns)
    )
    assert isinstance(linear, Tensor)
    if not torch.allclose(true, linear, rtol=1e-8, atol=1e-8):
        why = "is not linear in the first derivatives with coefficients of the unknowns and coordinates"
        if len(problem.unknowns) > 1:
            why += ", or its unknowns travel at different speeds"
        raise InputError(f"{name} {why}, so it has no single characteristic speed: use the pinn solver")


def eulerian(positions: Sequence[Jet], state: Jet, space: Sequence[str], time: str) -> Jet:
    """The jet in physical coordinates of a field that is known, like the positions, as a function of label and time.

    The labels carry the names ``space``. By the chain rule grad_xi = J^T grad_x with J = dX/dxi, solved by Cramer's
    rule; the derivative in time at a fixed place is W_t - X_t . grad_x.
    """
    jacobian = [[position.d(label) for position in positions] for label in space]
    determinant = _determinant(jacobian)

    def along(axis: int, jet: Jet) -> Jet:
        gradient = [jet.d(label) for label in space]
        replaced = [[*row[:axis], slope, *row[axis + 1 :]] for row, slope in zip(jacobian, gradient, strict=True)]
        return _determinant(replaced) / determinant

    def partial(index: tuple[int, ...]) -> Tensor:
        orders = dict(zip(state.names, index, strict=True))
        if orders[time]:
            drift = sum(x.d(time) * along(k, state) for k, x in enumerate(positions))
            return (state.d(time) - drift).value
        jet = state
        for axis, label in enumerate(space):
            for _ in range(orders[label]):
                jet = along(axis, jet)
        return jet.value

    return Field(state.names, partial)


def volume_gradient(positions: Sequence[Jet], space: Sequence[str], time: str) -> Tensor:
    """The gradient (N, space) in physical coordinates of J = det dX/dxi, the space that a label takes."""
    volume = _determinant([[position.d(label) for position in positions] for label in space])
    volume = eulerian(positions, volume, space, time)
    return torch.stack([volume.d(name).value for name in space], dim=-1)


def label_derivatives(problem: Problem, order: int) -> MultiIndexSet:
    """All derivatives in the labels up to ``order``, and the first in time: what ``eulerian`` takes."""
    time = tuple(int(name == problem.time) for name in problem.coordinates)
    ranges = [range(1 if is_time else order + 1) for is_time in time]
    return MultiIndexSet([time, *(index for index in itertools.product(*ranges) if sum(index) <= order)], len(time))


def _determinant(matrix: Sequence[Sequence[Jet]]) -> Jet:
    """By expansion along the first row; spaces have one to three dimensions."""
    first, *rest = matrix
    if not rest:
        return first[0]
    minors = [_determinant([[*row[:k], *row[k + 1 :]] for row in rest]) for k in range(len(first))]
    total = first[0] * minors[0]
    for k in range(1, len(first)):
        total = total + (-1) ** k * (first[k] * minors[k])
    return total


def _residuals(problem: Problem, jets: Mapping[str, Jet], points: Tensor, slopes: Slopes) -> Tensor:
    """Shape (equations, N)."""
    residuals = problem.residuals(_with_slopes(problem, jets, points, slopes), points)
    return torch.stack(list(residuals.values()))


def _with_slopes(problem: Problem, jets: Mapping[str, Jet], points: Tensor, slopes: Slopes) -> dict[str, Jet]:
    """The jets with their first derivatives replaced."""

    def replaced(unknown: str, jet: Jet) -> Jet:
        def partial(index: tuple[int, ...]) -> Tensor:
            if sum(index) != 1:
                return jet.partial(index)
            slope = slopes.get((unknown, problem.coordinates[index.index(1)]), 0.0)
            return slope if isinstance(slope, Tensor) else torch.full_like(points[:, 0], slope)

        return Field(problem.coordinates, partial)

    return {unknown: replaced(unknown, jet) for unknown, jet in jets.items()}
