"""Boxes over the whole domain, cut until the solution is resolved."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from sciml.problem import Problem
from sciml.solvers.experts.adapt import Criterion
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.expansion import Expansion, project
from sciml.solvers.experts.passes import Clock, Pass
from sciml.solvers.experts.system import System
from sciml.solvers.experts.tiling import Tiling

ITERATIONS = 5  # of Gauss-Newton on boxes that may still be too coarse
ROUNDS = 4  # after which boxes that the boundary cuts are left as they are
PATIENCE = 3  # rounds of them on fine boxes, before even finer ones are tried


def refine(
    problem: Problem, tiling: Tiling, basis: Legendre, tolerance: float, boxes: Boxes, linear: bool, clock: Clock,
    start: Expansion | None = None,
) -> Iterator[Pass]:  # fmt: skip
    """Solve, cut the boxes where the tails are largest, and again until all are below ``tolerance``.

    Every solution on the way is yielded; the iteration ends early when the next one does not fit into the budget.

    Args:
        start: an earlier solution to begin Gauss-Newton from.
    """
    criterion = Criterion.of(problem, range(boxes.dimension), tiling)
    worst, cost, unsettled, rounds = 1.0, 0.0, 0, 0
    while clock.allows(cost):
        began, count = clock.spent, len(boxes)
        guess = None if start is None else project(start.values, boxes, basis)
        # While the boxes are coarse, Gauss-Newton need not be more exact than they are.
        goal = max(0.03 * tolerance, 0.1 * min(worst, 1.0))
        solved = System(problem, tiling, boxes, basis).solve(guess, linear, goal, ITERATIONS)
        start = Expansion(boxes, basis, solved.coefficients)
        held = criterion.tails(start)
        cut, tails = tiling.cut(boxes), held.amax(1)
        if rounds >= ROUNDS and bool((~cut).any()):  # what a cut box holds is not certain enough to cut it for ever
            held, tails = torch.where(cut[:, None], 0.0, held), tails[~cut]
        worst = float(tails.square().mean().sqrt())  # of the whole
        resolved, rounds = worst <= tolerance and solved.settled, rounds + 1
        yield Pass(start, tolerance, 1, solved.iterations, resolved=resolved)
        if resolved:
            return
        unsettled = 0 if solved.settled else unsettled + 1
        if worst > tolerance:
            boxes = tiling.trimmed(criterion.refined(boxes, held, tolerance))
        elif unsettled > PATIENCE:
            boxes = tiling.trimmed(boxes.bisected(held.argmax(1)))
        cost = (clock.spent - began) * (len(boxes) / count) ** 1.3
