"""Passes of increasing accuracy, until the target or the budget is reached."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.errors import DivergenceError
from sciml.problem import Observations, Problem
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.fit import fit
from sciml.solvers.experts.linearise import is_linear
from sciml.solvers.experts.march import march
from sciml.solvers.experts.passes import Clock, OutOfTime, Pass
from sciml.solvers.experts.steady import refine
from sciml.solvers.experts.tiling import Tiling

# (degree, tolerance) of one pass after another, by the number of coordinates
LEVELS = {
    2: ((6, 1e-2), (8, 1e-4), (12, 1e-7), (16, 1e-10), (20, 1e-12)),
    3: ((4, 1e-1), (6, 1e-2), (8, 1e-4), (10, 1e-6), (12, 1e-8)),
}
Report = Callable[[Pass, dict[str, float], float], None]
SAFETY = 2.0  # of the error estimate
ROUNDING = 1e-13
COMPARED = 4096  # points at which two passes are compared


@dataclass(frozen=True)
class Outcome:
    """The last pass, how wrong each unknown is in it by estimate, and why there was no other."""

    last: Pass
    estimate: dict[str, float]
    stop_reason: str
    passes: int


def solve(
    problem: Problem, seconds: float, target: float, device: torch.device, report: Report, most: float = math.inf
) -> Outcome:
    """The solution of ``problem`` to the relative error ``target``, or as far as ``seconds`` go.

    Args:
        report: called with every pass, its error estimates and the seconds spent.
        most: Gauss-Newton iterations after which no pass is begun.

    Raises:
        DivergenceError: not even the coarsest pass succeeds.
    """
    clock = Clock(seconds, device)
    points = problem.domain.sample(COMPARED, torch.Generator().manual_seed(0), method="sobol", device=device)
    last: Pass | None = None
    estimate: dict[str, float] = {}
    count, iterations, reason = 0, 0, "noise" if measured(problem) else "finest level"
    ladder = passes(problem, Tiling(problem, device), clock)
    try:
        for found in ladder:
            estimate, last = estimated(problem, last, found, points), found
            clock.binding = True
            count, iterations = count + 1, iterations + found.iterations
            report(found, estimate, clock.spent)
            if iterations >= most:
                reason = f"step budget of {most:g} reached"
                break
            if found.resolved and max(estimate.values()) <= target:
                reason = "target"
                break
    except OutOfTime:
        reason = "time"
    except DivergenceError:
        if last is None:
            raise
        reason = "the next pass diverged"
    assert last is not None
    return Outcome(last, estimate, reason, count)


def passes(problem: Problem, tiling: Tiling, clock: Clock) -> Iterator[Pass]:
    """Ever more accurate solutions; raises OutOfTime where the next one does not fit."""
    dimension = len(problem.coordinates)
    if measured(problem):
        yield from fit(problem, tiling, LEVELS.get(dimension, LEVELS[3])[0][0], clock)
        return
    linear, boxes = is_linear(problem), tiling.root
    last: Pass | None = None
    cost, ratio = 0.0, 2.0
    for degree, tolerance in LEVELS.get(dimension, LEVELS[3]):
        began, basis = clock.spent, Legendre(dimension, degree)
        if problem.time is not None:
            clock.check(ratio * cost)
            last = march(problem, tiling, basis, tolerance, linear, clock, None if last is None else last.width)
            yield last
        else:
            for found in refine(problem, tiling, basis, tolerance, boxes, linear, clock, last):
                last, boxes = found, found.expansion.boxes
                yield found
        ratio, cost = max(2.0, (clock.spent - began) / cost) if cost else 2.0, clock.spent - began


def measured(problem: Problem) -> bool:
    """Whether there are measurements, whose information may come from later times, or coefficients to be found from them."""
    return bool(problem.parameters()) or any(isinstance(c, Observations) for c in problem.named_conditions().values())


def estimated(problem: Problem, before: Pass | None, found: Pass, points: Tensor) -> dict[str, float]:
    """Relative L2 errors of ``found``.

    The difference to the pass before is the error of that one. It has fallen as the tails have, which are an
    expansion's own measure of its error: the ratio of error and tail is the problem's.
    """
    tail = found.expansion.tail
    if before is None:
        estimates = tail
    else:
        present = problem.present(points)
        new, old = (torch.where(present, e.expansion.values(points), 0.0) for e in (found, before))
        if problem.gauge:
            free = torch.tensor([u in problem.gauge for u in problem.unknowns], device=points.device)[:, None]
            new, old = (torch.where(free, v - v.mean(1, keepdim=True), v) for v in (new, old))
        difference = (new - old).norm(dim=1) / new.norm(dim=1).clamp(min=1e-300)
        estimates = difference * (tail / before.expansion.tail.clamp(min=1e-300)).clamp(max=1.0)
    return dict(zip(problem.unknowns, (SAFETY * estimates + ROUNDING).tolist(), strict=True))
