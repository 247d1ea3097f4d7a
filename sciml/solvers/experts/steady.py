"""Boxes over the whole domain, cut until the solution is resolved."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sciml.problem import Problem
from sciml.solvers.experts.adapt import Criterion
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.expansion import Expansion, project
from sciml.solvers.experts.march import Pass
from sciml.solvers.experts.system import System

def refine(
    problem: Problem, basis: Legendre, tolerance: float, boxes: Boxes, linear: bool, check: Callable[[], None],
    start: Expansion | None = None,
) -> Pass:  # fmt: skip
    """Solve, cut the boxes where the tails are largest, and again until all are below ``tolerance``."""
    criterion = Criterion.of(problem, range(boxes.dimension))
    iterations = 0
    while True:
        check()
        guess = None if start is None else project(start.values, boxes, basis)
        solved = System(problem, boxes, basis).solve(guess, linear, tolerance=0.03 * tolerance)
        iterations += solved.iterations
        start = Expansion(boxes, basis, solved.coefficients)
        held = criterion.tails(start)
        worst = float(held.max())
        print('   refine', len(boxes), 'worst %.1e'%worst, 'res %.1e'%solved.residual, solved.iterations, solved.settled)
        if worst <= tolerance:
            return Pass(start, tolerance, worst, 1, iterations)
        boxes = boxes.bisected(criterion.cuts(held, tolerance))
