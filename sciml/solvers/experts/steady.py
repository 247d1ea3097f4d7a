"""Boxes over the whole domain, cut until the solution is resolved."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from sciml.problem import Problem
from sciml.solvers.experts.adapt import Criterion
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.expansion import project
from sciml.solvers.experts.passes import Clock, Pass
from sciml.solvers.experts.system import System, first_shared
from sciml.solvers.experts.terms import State
from sciml.solvers.experts.tiling import Tiling

ITERATIONS = 5  # of Gauss-Newton on boxes that may still be too coarse
ROUNDS = 4  # after which boxes that the boundary cuts are left as they are
PATIENCE = 3  # rounds of them on fine boxes, before even finer ones are tried


def refine(
    problem: Problem, tiling: Tiling, basis: Legendre, tolerance: float, boxes: Boxes, linear: bool, clock: Clock,
    start: Pass | None = None,
) -> Iterator[Pass]:  # fmt: skip
    """Solve, cut the boxes where the tails are largest, and again until all are below ``tolerance``.

    Every solution on the way is yielded.

    Args:
        start: an earlier pass to begin Gauss-Newton from.
        clock: raises OutOfTime when the next solution does not fit into the budget.
    """
    criterion = Criterion.of(problem, range(boxes.dimension), tiling)
    function = None if start is None else start.expansion.smooth.values
    shared = first_shared(problem, tiling) if start is None else start.shared
    worst, unsettled, rounds = 1.0, 0, 0
    while True:
        clock.check(clock.expects(boxes, basis))
        began, tried = clock.spent, boxes
        shape = len(boxes), len(problem.unknowns), len(basis)
        guess = boxes.low.new_zeros(shape) if function is None else project(function, boxes, basis)
        # While the boxes are coarse, Gauss-Newton need not be more exact than they are.
        goal = max(0.03 * tolerance, 0.1 * min(worst, 1.0))
        system = System(problem, tiling, boxes, basis)
        solved = system.solve(State(guess, shared), linear, goal, ITERATIONS, clock)
        found = system.expansion(solved.state)
        function, shared, held = found.smooth.values, solved.state.shared, criterion.tails(found)
        cut, tails = tiling.cut(boxes), held.amax(1)
        if rounds >= ROUNDS and bool((~cut).any()):  # what a cut box holds is not certain enough to cut it for ever
            held, tails = torch.where(cut[:, None], 0.0, held), tails[~cut]
        worst = float(tails.square().mean().sqrt())  # of the whole
        resolved, rounds = worst <= tolerance and solved.settled, rounds + 1
        clock.note(tried, basis, clock.spent - began)
        yield Pass(found, tolerance, (len(boxes),), solved.iterations, resolved=resolved, shared=shared)
        if resolved:
            return
        unsettled = 0 if solved.settled else unsettled + 1
        if worst > tolerance:
            boxes = tiling.trimmed(criterion.refined(boxes, held, tolerance))
        elif unsettled > PATIENCE:
            boxes = tiling.trimmed(boxes.bisected(held.argmax(1)))
