"""Passes of increasing accuracy, until the target or the budget is reached."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.errors import DivergenceError
from sciml.problem import INTERIOR, Observations, Problem, sample_batch
from sciml.solvers.experts import parallel, verify
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.expansion import Expansion
from sciml.solvers.experts.fit import fit
from sciml.solvers.experts.journal import Journal
from sciml.solvers.experts.march import march
from sciml.solvers.experts.passes import Clock, OutOfTime, Pass
from sciml.solvers.experts.soundness import doubts
from sciml.solvers.experts.steady import refine
from sciml.solvers.experts.tiling import Tiling
from sciml.solvers.linearise import is_linear

# (degree, tolerance) of one pass after another, by the number of coordinates
LEVELS = {
    2: ((6, 1e-2), (8, 1e-4), (12, 1e-7), (16, 1e-10), (20, 1e-12)),
    3: ((4, 1e-1), (6, 1e-2), (8, 1e-4), (10, 1e-6), (12, 1e-8)),
}
Report = Callable[[Pass, dict[str, float], float], None]
SAFETY = 2.0  # of the error estimate
ROUNDING = 1e-13
SLOW, SLOWEST = 0.3, 0.8  # ratio of successive differences, above which the later ones count; the largest believed
COMPARED = 4096  # points inside, at which two passes are compared
INTERRUPTED = "interrupted by the user"


@dataclass(frozen=True)
class Outcome:
    """The last pass, how wrong each unknown is in it by estimate, and why there was no other, or why it is no solution.

    There is no estimate where there are other solutions or none.
    """

    last: Pass
    estimate: dict[str, float]
    stop_reason: str
    passes: int


def solve(
    problem: Problem, seconds: float, target: float, device: torch.device, report: Report, most: float = math.inf,
    journal: Journal | None = None,
) -> Outcome:  # fmt: skip
    """The solution of ``problem`` to the relative error ``target``, or as far as ``seconds`` go.

    Ctrl-C ends it with the last pass, if there is one. Warns where the solution is not the only one or no solution.

    Args:
        report: called with every pass, its error estimates and the seconds spent.
        most: Gauss-Newton iterations after which no pass is begun.
        journal: of the solves; may know those of an earlier run.

    Raises:
        DivergenceError: not even the coarsest pass succeeds.
    """
    clock = Clock(seconds, device, journal)
    tiling = Tiling(problem, device)
    estimator, verified = Estimator(problem, device), measured(problem)
    last: Pass | None = None
    estimate: dict[str, float] = {}
    count, iterations, reason = 0, 0, "noise" if measured(problem) else "finest level"
    began = lasted = 0.0
    try:
        for found in passes(problem, tiling, clock):
            estimate, last, verified = estimator(found), found, measured(problem)
            began, lasted = clock.spent, clock.spent - began
            clock.binding = True
            count, iterations = count + 1, iterations + found.iterations
            report(found, estimate, clock.spent)
            if clock.journal.ahead:  # the earlier run went on from here
                continue
            if iterations >= most:
                reason = f"step budget of {most:g} reached"
                break
            if found.resolved and max(estimate.values()) <= target:
                if not verified and clock.allows(verify.cost(found, lasted)):
                    estimate, verified = estimator.verified(found, verify.verification(problem, tiling, found, clock)), True
                    began = clock.spent
                if max(estimate.values()) <= target:
                    reason = "target"
                    break
    except OutOfTime:
        reason = "time"
    except DivergenceError:
        if last is None:
            raise
        reason = "the next pass diverged"
    except KeyboardInterrupt:
        if last is None:
            raise
        reason = INTERRUPTED
    finally:
        clock.journal.flush()
    assert last is not None
    if not verified and reason != INTERRUPTED and iterations < most and clock.allows(verify.cost(last, lasted)):
        try:
            estimate, verified = estimator.verified(last, verify.verification(problem, tiling, last, clock)), True
        except OutOfTime:
            pass
        except KeyboardInterrupt:
            reason = INTERRUPTED
    if not verified:
        estimate = estimator.cautious()
    if reason != INTERRUPTED and not measured(problem):
        try:
            if doubt := doubts(problem, tiling, last):
                estimate, reason = {}, doubt
                if parallel.rank() == 0:
                    warnings.warn(f"{type(problem).__name__}: {doubt}", stacklevel=2)
        except KeyboardInterrupt:
            reason = INTERRUPTED
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


class Estimator:
    """Relative L2 errors of one pass after another, as on a uniform grid that has points on the boundary too.

    Where initial and boundary values disagree, most of an error can lie at the initial time.
    """

    def __init__(self, problem: Problem, device: torch.device) -> None:
        self.problem = problem
        self.points, self._weights = _grid_like(problem, device)
        self._values: Tensor | None = None
        self._tail = self._difference = self._estimates = self.points.new_zeros(0)

    def __call__(self, found: Pass) -> dict[str, float]:
        """By the difference to the pass before, which is the error of that one.

        The error has fallen since as the tails have, which are an expansion's own measure of it: the ratio of both is the
        problem's. Where the differences fall slower than that, all that are still to come add up.
        """
        values, tail, before = self._at(found.expansion), found.expansion.tail, self._values
        self._estimates = tail
        if before is not None:
            difference = self._relative(values - before, values)
            left = (tail / self._tail.clamp(min=1e-300)).clamp(max=1.0)
            if len(self._difference):
                ratio = (difference / self._difference.clamp(min=1e-300)).clamp(max=SLOWEST)
                left = torch.where(ratio > SLOW, torch.maximum(left, ratio / (1 - ratio)), left)
            self._estimates, self._difference = difference * left, difference
        self._values, self._tail = values, tail
        return self._named(self._estimates)

    def cautious(self) -> dict[str, float]:
        """Of the last pass, if nothing has verified it: half way to the error of the one before, on a logarithmic scale."""
        if not len(self._difference):
            return self._named(self._estimates)
        return self._named(torch.maximum(self._estimates, (self._estimates * self._difference).sqrt()))

    def verified(self, found: Pass, better: Expansion) -> dict[str, float]:
        """By the difference to a better solution."""
        values = self._at(better)
        return self._named(self._relative(values - self._at(found.expansion), values))

    def _at(self, expansion: Expansion) -> Tensor:
        values = torch.where(self.problem.present(self.points), expansion.values(self.points), 0.0)
        free = torch.tensor([u in self.problem.gauge for u in self.problem.unknowns], device=values.device)[:, None]
        return torch.where(free, values - values.mean(1, keepdim=True), values)

    def _relative(self, difference: Tensor, values: Tensor) -> Tensor:
        square, whole = ((self._weights * v.square()).sum(1) for v in (difference, values))
        return (square / whole.clamp(min=1e-300)).sqrt()

    def _named(self, estimates: Tensor) -> dict[str, float]:
        return dict(zip(self.problem.unknowns, (SAFETY * estimates + ROUNDING).tolist(), strict=True))


def _grid_like(problem: Problem, device: torch.device) -> tuple[Tensor, Tensor]:
    """Points (N, d), and weights (N,) that give every condition the share of its face in a uniform grid."""
    conditions = {n: c for n, c in problem.named_conditions().items() if not isinstance(c, Observations)}
    sizes = {INTERIOR: COMPARED} | dict.fromkeys(conditions, COMPARED // 4)
    batch = sample_batch(problem, conditions, sizes, torch.Generator().manual_seed(0), "sobol", device)
    face = COMPARED ** (-1 / len(problem.coordinates))
    shares = [(points.coordinates, 1.0 if name == INTERIOR else face) for name, points in batch.items()]
    weights = [torch.full_like(x[:, 0], share / len(x)) for x, share in shares]
    return torch.cat([x for x, _ in shares]), torch.cat(weights)
