"""A solution compared with a better one on its own boxes."""

from __future__ import annotations

import torch

from sciml.problem import Problem
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.expansion import Expansion, project
from sciml.solvers.experts.passes import Clock, Pass
from sciml.solvers.experts.system import System
from sciml.solvers.experts.terms import State
from sciml.solvers.experts.tiling import Tiling

RAISED = 2  # degrees


def verification(problem: Problem, tiling: Tiling, found: Pass, clock: Clock) -> Expansion:
    """``found`` solved again on its own boxes, window by window, with a higher degree.

    One Gauss-Newton step is enough so close to the solution. Its difference to ``found`` is the error of ``found``, less
    what the higher degree leaves of that. No tail enters, and kinks or rounding are seen as they are.

    Args:
        clock: raises OutOfTime once the budget is spent.
    """
    coarse = found.expansion
    basis = Legendre(coarse.basis.dimension, coarse.basis.degree + RAISED)
    before: Expansion | None = None
    done: list[Expansion] = []
    for low, high in zip(coarse.boxes.low.split(found.sizes), coarse.boxes.high.split(found.sizes), strict=True):
        clock.check()
        boxes = Boxes(low, high)
        system = System(problem, tiling, boxes, basis, before)
        guess = project(coarse.smooth.values, boxes, basis)
        before = system.expansion(system.step(State(guess, found.shared.to(guess))))
        done.append(before)
    coefficients = torch.cat([part.coefficients for part in done])
    return Expansion(coarse.boxes, basis, coefficients, singular=done[-1].singular, amplitudes=done[-1].amplitudes)


def cost(found: Pass, seconds: float) -> float:
    """What a verification is expected to take, where ``found`` took ``seconds``."""
    modes = len(Legendre(found.expansion.basis.dimension, found.expansion.basis.degree + RAISED))
    share = found.windows / max(found.windows, found.iterations)
    return seconds * share * (modes / len(found.expansion.basis)) ** 2
