"""Boxes over the whole domain, cut until the solution is resolved."""

from __future__ import annotations

from collections.abc import Iterator

from sciml.problem import Problem
from sciml.solvers.experts.adapt import Criterion
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.expansion import Expansion, project
from sciml.solvers.experts.passes import Clock, Pass
from sciml.solvers.experts.system import System
from sciml.solvers.experts.tiling import Tiling

UNSETTLED = 1.0  # tail of boxes on which Gauss-Newton did not settle


def refine(
    problem: Problem, tiling: Tiling, basis: Legendre, tolerance: float, boxes: Boxes, linear: bool, clock: Clock,
    start: Expansion | None = None,
) -> Iterator[Pass]:  # fmt: skip
    """Solve, cut the boxes where the tails are largest, and again until all are below ``tolerance``.

    Every solution on the way is yielded; the iteration ends early when the next one does not fit into the budget.

    Args:
        start: an earlier solution to begin Gauss-Newton from.
    """
    criterion = Criterion.of(problem, range(boxes.dimension))
    worst, cost = 1.0, 0.0
    while clock.allows(cost):
        began = clock.spent
        guess = None if start is None else project(start.values, boxes, basis)
        # Until the boxes are fine enough, Gauss-Newton need not be more exact than they are.
        solved = System(problem, tiling, boxes, basis).solve(guess, linear, tolerance=max(0.03 * tolerance, 0.1 * min(worst, 1.0)))
        start = Expansion(boxes, basis, solved.coefficients)
        held = criterion.tails(start)
        if not solved.settled:
            held = held.clamp(min=UNSETTLED)
        worst = float(held.max())
        yield Pass(start, tolerance, 1, solved.iterations, resolved=worst <= tolerance)
        if worst <= tolerance:
            return
        finer = tiling.trimmed(boxes.bisected(criterion.cuts(held, tolerance)))
        cost = (clock.spent - began) * (len(finer) / len(boxes)) ** 1.3
        boxes = finer
