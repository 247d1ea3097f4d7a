"""Evolution equations on periodic boxes, solved from their declaration: Fourier in space, ETDRK4 in time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.problem import Initial, Integral, Periodic, Problem
from sciml.problem.condition import evaluate
from sciml.reference.exponential import etdrk4
from sciml.reference.fourier import FourierGrid
from sciml.reference.linear_part import same_equations
from sciml.reference.spectral_system import SpectralSystem

_STEPS = 32  # after which the length of a step is chosen anew


def solve_periodic(
    problems: Sequence[Problem],
    points: int,
    times: Sequence[float] | Tensor,
    *,
    refine: int = 1,
    courant: float = 1.0,
    device: torch.device | None = None,
) -> dict[str, Tensor]:
    """Solve instances of a problem that is periodic in space and of first order in time.

    What is linear in the unknowns with constant coefficients is read off ``problem.equations`` and integrated exactly;
    the rest is evaluated by the equations themselves on a grid half as fine again, which keeps quadratic products free
    of aliases. Unknowns without a derivative in time must follow from the others by linear equations, their means zero.

    Args:
        problems: instances; those with the same equations are solved together.
        points: of the result, along every axis of space.
        times: increasing (T,), none of them before the problem's initial time.
        refine: number of computed waves for every one that ``points`` can show.
        courant: largest time step times the highest frequency. The error falls with its fourth power; a wave as short as the
            grid can show is stable up to 2.8.
        device: where to compute, in float64.

    Returns:
        Every unknown (instances, T, *grid) by name, the last point of a period left out.

    Raises:
        InputError: the problem is not of this kind, and why.
        DivergenceError: the computation left the finite numbers.
    """
    first = problems[0]
    _check(first)
    if not all(same_equations(first, problem) for problem in problems[1:]):
        parts = [solve_periodic([p], points, times, refine=refine, courant=courant, device=device) for p in problems]
        return {unknown: torch.cat([part[unknown] for part in parts]) for unknown in first.unknowns}
    low, high = (tuple(bound[list(first.space_axes)].tolist()) for bound in first.domain.bounds)
    even = 2 * math.ceil(3 * points * refine / 4)
    grid = FourierGrid(low, high, (even,) * len(low))
    system = SpectralSystem(first, grid, device)
    state = system.consistent(_initial(problems, system.evolving, grid, device))
    fraction = torch.arange(points, dtype=torch.float64, device=device) / points
    axes = [a + (b - a) * fraction for a, b in zip(low, high, strict=True)]
    now, output = first.domain.time.bounds[0].item(), []
    for end in map(float, times):
        state = _advance(system, state, now, end, courant)
        output.append(grid.evaluate(system.unknowns(state), *axes))
        now = end
    fields = torch.stack(output, dim=2)
    return {unknown: fields[i] for i, unknown in enumerate(first.unknowns)}


def _advance(system: SpectralSystem, state: Tensor, now: float, end: float, courant: float) -> Tensor:
    """Integrate from ``now`` to ``end`` in steps that follow the fastest wave."""
    while now < end:
        steps = max(1, math.ceil((end - now) * system.rate(state) / courant))
        taken = min(steps, _STEPS)
        until = end if taken == steps else now + (end - now) * taken / steps
        state = etdrk4(system.symbol, system.nonlinear, state, (now, until), taken)[-1]
        now = until
    return state


def _initial(problems: Sequence[Problem], evolving: Sequence[str], grid: FourierGrid, device: torch.device | None) -> Tensor:
    """Coefficients (unknowns, instances, *modes)."""
    points = torch.stack([axis.reshape(-1) for axis in grid.points(device=device)], dim=-1)
    rows = []
    for problem in problems:
        values = {key: value for c in problem.conditions() if isinstance(c, Initial) for key, value in c.values.items()}
        for unknown in evolving:
            if unknown not in values:
                raise InputError(f"{type(problem).__name__} has no Initial({unknown}=...), from where {unknown} evolves")
            value = evaluate(values[unknown], problem.space, points, f"Initial({unknown}=...)")
            rows.append(torch.as_tensor(value, dtype=torch.float64, device=device).expand(len(points)))
    fields = torch.stack(rows).reshape(len(problems), len(evolving), *grid.shape).transpose(0, 1)
    return grid.forward(fields) * grid.dealias(device=device)


def _check(problem: Problem) -> None:
    name = type(problem).__name__
    if problem.time is None:
        raise InputError(f"{name} has no Time coordinate to evolve in")
    conditions = problem.conditions()
    around = {condition.coordinate for condition in conditions if isinstance(condition, Periodic)}
    for coordinate in problem.space:
        if coordinate not in around:
            raise InputError(f"{name} is not periodic in {coordinate}; Fourier series need Periodic({coordinate!r})")
    for condition in conditions:
        zero_mean = isinstance(condition, Integral) and not any(condition.values.values())
        if not (zero_mean or isinstance(condition, (Periodic, Initial))):
            raise InputError(f"{name} has the condition {condition.name!r}, which a periodic evolution cannot take")
