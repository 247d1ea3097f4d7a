"""Boxes over the whole domain, cut until the solution is resolved."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sciml.problem import Problem
from sciml.solvers.experts.adapt import cuts, excess
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.expansion import Expansion, project
from sciml.solvers.experts.march import Pass
from sciml.solvers.experts.system import System

WORST = 0.1  # boxes are cut whose tail is at least this part of the largest: the others may only be polluted by it


def refine(
    problem: Problem, basis: Legendre, tolerance: float, boxes: Boxes, linear: bool, check: Callable[[], None],
    start: Expansion | None = None,
) -> Pass:  # fmt: skip
    """Solve, cut the boxes where the tails are largest, and again until all are below ``tolerance``."""
    axes = range(boxes.dimension)
    zero = (0,) * boxes.dimension
    iterations = 0
    while True:
        check()
        guess = None if start is None else project(lambda p, e=start: e(p, [zero])[:, 0], boxes, basis)
        solved = System(problem, boxes, basis).solve(guess, linear, tolerance=0.03 * tolerance)
        iterations += solved.iterations
        start = Expansion(boxes, basis, solved.coefficients)
        held = excess(start, axes)
        worst = float(held.max())
        print('   refine', len(boxes), 'worst %.1e'%worst, 'res %.1e'%solved.residual, solved.iterations, solved.settled)
        if worst <= tolerance:
            return Pass(start, tolerance, worst, 1, iterations)
        boxes = boxes.bisected(cuts(held, axes, max(tolerance, WORST * worst)))
