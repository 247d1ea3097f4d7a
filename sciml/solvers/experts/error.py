"""How wrong a computed solution is, from its residual alone.

With u the computed solution and u + e the true one, e solves the problem's own equations in which u + e stands for the
unknown. For a small error one Gauss-Newton step from e = 0 solves it: the linearised equation for the error, with the
residual of u as its right-hand side. Source: Verfürth, A Posteriori Error Estimation Techniques for Finite Element
Methods (2013), section 1.7 for the idea; here the error is computed rather than bounded.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from sciml.jets import Field, Jet, MultiIndexSet
from sciml.problem import INTERIOR, Condition, Points, Problem
from sciml.solvers.experts import parallel
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.march import march
from sciml.solvers.experts.passes import Clock, OutOfTime, Pass
from sciml.solvers.experts.steady import refine
from sciml.solvers.experts.tiling import Tiling

LEVELS = ((6, 0.1), (8, 0.03), (10, 0.01), (12, 0.003))  # degree, and tolerance relative to the error itself
AGREED = 1.25  # two estimates within this factor are one
COMPARED = 4096  # points at which norms are taken

P = TypeVar("P", bound=Problem)


class Evaluator(Protocol):
    """A computed solution."""

    def jets(self, points: Tensor, indices: MultiIndexSet) -> Mapping[str, Jet]:
        """Jets of the unknowns at ``points`` (N, d), with the derivatives ``indices``."""


@parallel.alone()
def estimate_error(
    problem: Problem, evaluator: Evaluator, seconds: float = 10.0, device: torch.device | str = "cpu"
) -> dict[str, float]:
    """Relative L2 error of every unknown of a computed solution, without a reference.

    Every process that asks computes it for itself, whether others ask or not.

    Args:
        problem: what was solved; its unknown coefficients are taken as fitted.
        evaluator: the solution, in double precision.
        seconds: after which no finer estimate is begun. The first one is finished in any case.

    Raises:
        DivergenceError: the equation for the error could not be solved.
    """
    if problem.parameters():
        problem = problem.bind(evaluator.coefficients())  # type: ignore[attr-defined]
    tiling, clock = Tiling(problem, torch.device(device)), Clock(seconds, device)
    unknown_error = about(problem, evaluator)
    points = problem.domain.sample(COMPARED, torch.Generator().manual_seed(0), method="sobol", device=device)
    zero = MultiIndexSet((), len(problem.coordinates))
    with torch.no_grad():
        solution = torch.stack([evaluator.jets(points, zero)[u].value for u in problem.unknowns])
        solution = torch.where(problem.present(points), solution, 0.0)
    boxes, estimate = tiling.root, None
    for degree, tolerance in LEVELS:
        basis = Legendre(len(problem.coordinates), degree)
        try:
            if problem.time is not None:
                found: Pass | None = march(unknown_error, tiling, basis, tolerance, True, clock)
            else:
                found = None
                for found in refine(unknown_error, tiling, basis, tolerance, boxes, True, clock):
                    boxes = found.expansion.boxes
        except OutOfTime:
            break
        if found is None:
            break
        before, clock.binding = estimate, True
        error = torch.where(problem.present(points), found.expansion.values(points), 0.0)
        estimate = _norm(problem, error) / _norm(problem, solution + error).clamp(min=1e-300)
        if before is not None and (estimate / before).log().abs().max() < math.log(AGREED):
            break
        if not clock.allows(2 * clock.spent):
            break
    assert estimate is not None
    return dict(zip(problem.unknowns, estimate.tolist(), strict=True))


def _norm(problem: Problem, values: Tensor) -> Tensor:
    """Root mean square (U,) of fields (U, N), of the deviation from the mean for those known up to a constant."""
    free = torch.tensor([u in problem.gauge for u in problem.unknowns], device=values.device)[:, None]
    return torch.where(free, values - values.mean(1, keepdim=True), values).square().mean(1).sqrt()


def about(problem: P, evaluator: Evaluator) -> P:
    """The problem whose solution is what ``evaluator`` lacks to the solution of ``problem``."""
    derivatives = problem.derivatives
    shifted = copy.copy(problem)

    def residuals(fields: Mapping[str, Jet], points: Tensor) -> dict[str, Tensor]:
        return problem.residuals(_sum(fields, evaluator, points, derivatives[INTERIOR]), points)

    conditions = {name: _about(c, evaluator, derivatives[name]) for name, c in problem.named_conditions().items()}
    object.__setattr__(shifted, "residuals", residuals)  # dataclass instances are frozen
    object.__setattr__(shifted, "named_conditions", lambda: conditions)
    return shifted


def _about(condition: Condition, evaluator: Evaluator, indices: MultiIndexSet) -> Condition:
    shifted = copy.copy(condition)

    def residuals(problem: Problem, fields: Mapping[str, Jet], points: Points, images: Any = None) -> dict[str, Tensor]:
        both = _sum(fields, evaluator, points.coordinates, indices)
        return condition.residuals(problem, both, points, images)

    shifted.residuals = residuals  # type: ignore[method-assign]
    return shifted


def _sum(fields: Mapping[str, Jet], evaluator: Evaluator, points: Tensor, indices: MultiIndexSet) -> dict[str, Jet]:
    """The unknown errors plus the computed solution, which is a constant here."""
    known = evaluator.jets(points.detach(), indices)

    def constant(jet: Jet) -> Jet:
        return Field(jet.names, lambda index: jet.partial(index).detach())

    return {name: jet + constant(known[name]) for name, jet in fields.items()}
