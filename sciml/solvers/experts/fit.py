"""Problems with measurements, whose noise limits what can be resolved."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from sciml.problem import Problem
from sciml.solvers.experts.adapt import Criterion
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.expansion import project
from sciml.solvers.experts.passes import Clock, Pass
from sciml.solvers.experts.system import Score, System, first_shared
from sciml.solvers.experts.terms import State
from sciml.solvers.experts.tiling import Tiling

ITERATIONS = 25  # of Gauss-Newton
SETTLED = 1e-3  # of a step, relative to what the highest modes hold
ROUNDING = 1e-13
HIGHEST = 20  # degree
FAST = 0.5  # a higher degree that lowers the score to less than this is not compared with smaller boxes
MARGIN = 0.99  # otherwise smaller boxes must be better by this: what differs less may differ by chance
COARSE = 0.03  # part of an unknown in the highest modes, above which scores do not decide yet
GAIN = 3e-3  # of the score, that is worth a finer expansion


@dataclass(frozen=True)
class _Fitted:
    """A pass, and how well it predicts."""

    found: Pass
    score: Score

    def beats(self, other: _Fitted) -> bool:
        """Whether it predicts better than ``other``, by more than two standard deviations of chance."""
        adapted = max(0.0, self.score.freedom - other.score.freedom)
        return self.score.misfit < (1 - max(GAIN, math.sqrt(2 * adapted) / self.score.number)) * other.score.misfit


def fit(problem: Problem, tiling: Tiling, degree: int, clock: Clock) -> Iterator[Pass]:
    """Raise the degree or cut boxes, whichever predicts new measurements better, for as long as that does any better.

    All times are solved for at once, because measurements tell of earlier ones. Every better solution is yielded.

    Args:
        degree: to begin with, on the fewest boxes.
        clock: raises OutOfTime once the budget is spent.
    """
    criterion = Criterion.of(problem, range(len(problem.coordinates)), tiling)

    def fitted(boxes: Boxes, degree: int, start: Pass | None) -> _Fitted:
        basis = Legendre(boxes.dimension, degree)
        if start is None:
            state = State(boxes.low.new_zeros(len(boxes), len(problem.unknowns), len(basis)), first_shared(problem, tiling))
        else:
            state = State(project(start.expansion.smooth.values, boxes, basis), start.shared)
        clock.check(clock.expects(boxes, basis))
        began, system = clock.spent, System(problem, tiling, boxes, basis)
        tail = 1.0 if start is None else float(start.expansion.tail.max())
        goal = SETTLED * min(1.0, tail) + ROUNDING
        solved = system.solve(state, tolerance=goal, limit=ITERATIONS, clock=clock)
        expansion, shared = system.expansion(solved.state), solved.state.shared
        found = Pass(expansion, goal, (len(boxes),), iterations=solved.iterations, resolved=solved.settled, shared=shared)
        fitted = _Fitted(found, system.score(solved.state))
        clock.note(boxes, basis, clock.spent - began)
        return fitted

    best = current = fitted(tiling.root, degree, None)
    yield best.found
    while True:
        boxes, degree = current.found.expansion.boxes, current.found.expansion.basis.degree
        higher = None
        if degree + 2 <= HIGHEST:
            higher = fitted(boxes, degree + 2, current.found)
        if higher is None or higher.score.misfit > FAST * current.score.misfit:
            held = criterion.tails(current.found.expansion)
            smaller = fitted(tiling.trimmed(criterion.refined(boxes, held, 0.0)), degree, current.found)
            if higher is None or smaller.score.misfit < MARGIN * higher.score.misfit:
                higher = smaller
        coarse = float(current.found.expansion.tail.max()) > COARSE
        current = higher
        if current.beats(best):
            best = current
            yield best.found
        elif not coarse:
            return
