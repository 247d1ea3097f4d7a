"""Proof that a declared exact solution satisfies its problem."""

from __future__ import annotations

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.jets import Jet, autograd
from sciml.problem.problem import INTERIOR, Problem, blamed, sample_batch


def check_problem(problem: Problem, n: int = 256, tolerance: float = 1e-8, seed: int = 0) -> dict[str, float]:
    """Check the declaration, and that ``problem.exact`` satisfies every equation and condition.

    Derivatives of the exact solution come from automatic differentiation in float64.

    Args:
        n: points a term.
        tolerance: largest residual allowed, relative to the largest derivative of the solution at those points.
        seed: of the points.

    Returns:
        The largest relative residual of every term; empty when the problem has no exact solution.

    Raises:
        InputError: the declaration does not fit together, or a term is not satisfied.
    """
    problem.validate()
    if not hasattr(problem, "exact"):
        return {}
    parameters = problem.parameters()
    if parameters:
        raise InputError(
            f"{type(problem).__name__} has unknown coefficients {sorted(parameters)}; "
            "give them their true values before checking its exact solution"
        )
    generator = torch.Generator().manual_seed(seed)
    missing = set(problem.unknowns) - problem.exact_fields(problem.domain.sample(3, generator)).keys()
    if missing:
        raise InputError(f"{type(problem).__name__}.exact does not return {sorted(missing)}; every unknown is checked")
    conditions = problem.named_conditions()
    batch = sample_batch(problem, conditions, dict.fromkeys([INTERIOR, *conditions], n), generator)
    worst: dict[str, float] = {}
    for key, points in batch.items():
        fields = exact_jets(problem, points.coordinates)
        if key == INTERIOR:
            residuals = problem.residuals(fields, points.coordinates)
        else:
            images = None if points.images is None else exact_jets(problem, points.images)
            residuals = conditions[key].residuals(problem, fields, points, images)
        needed = problem.derivatives[key]
        scale = max(1.0, *(f.partial(i).abs().max().item() for f in fields.values() for i in needed))
        for term, residual in residuals.items():
            worst[term] = residual.abs().max().item() / scale
    for term, value in worst.items():
        if not value <= tolerance:
            raise InputError(
                f"the exact solution of {type(problem).__name__} does not satisfy {term!r}: relative residual "
                f"{value:.1e} > {tolerance:.0e}; check the signs and coefficients of that term and of exact()"
            )
    return worst


def exact_jets(problem: Problem, points: Tensor) -> dict[str, Jet]:
    """Jets of ``problem.exact`` by automatic differentiation, at ``points`` (N, d)."""

    def function(x: Tensor) -> Tensor:
        values = problem.exact_fields(x)
        return torch.stack([values[unknown] for unknown in problem.unknowns], dim=-1)

    with blamed(f"{type(problem).__name__}.exact", "write it with functions of torch, which can be differentiated"):
        jets = autograd(function, points, problem.coordinates)
    return dict(zip(problem.unknowns, jets, strict=True))
