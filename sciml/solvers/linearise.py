"""Residuals and their pointwise derivatives with respect to the jets of the unknowns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd import forward_ad

from sciml.jets import Field, Jet, MultiIndexSet
from sciml.problem import INTERIOR, Integral, Periodic, Points, Problem

Residuals = Callable[[Problem, Mapping[str, Jet]], Mapping[str, Tensor]]
"""Residual vectors by name, from a problem whose coefficients are numbers and the jets of its unknowns."""


@dataclass(frozen=True)
class Linearised:
    """One residual ``value`` (N,) and its derivatives.

    Attributes:
        slopes: by derivative S of unknown U, (U, S, N).
        shared: by the unknown coefficients' raw values, (N, P).
    """

    value: Tensor
    slopes: Tensor
    shared: Tensor


def fields_of(values: Tensor, unknowns: Sequence[str], coordinates: Sequence[str], indices: MultiIndexSet) -> dict[str, Jet]:
    """Jets from the table ``values`` (U, S, N) of derivatives."""

    def field(row: int) -> Jet:
        return Field(coordinates, lambda index: values[row, indices.position[index]])

    return {unknown: field(row) for row, unknown in enumerate(unknowns)}


def bound(problem: Problem, raw: Tensor) -> Problem:
    """``problem`` with its unknown coefficients at their ``raw`` values (P,), in the order of ``problem.parameters()``."""
    if not len(raw):
        return problem
    known = problem.parameters().items()
    return problem.bind({name: p.from_raw(value) for (name, p), value in zip(known, raw.unbind(), strict=True)})


def linearise(
    residuals: Residuals, problem: Problem, values: Tensor, indices: MultiIndexSet, raw: Tensor
) -> dict[str, Linearised]:
    """Every residual at the jets ``values`` (U, S, N) and coefficients ``raw`` (P,), with its derivatives.

    A residual depends on the jets at its own point alone, so the gradient of the sum is the pointwise derivative.
    """
    leaf = values.detach().requires_grad_()
    with torch.enable_grad():
        computed = residuals(bound(problem, raw), fields_of(leaf, problem.unknowns, problem.coordinates, indices))
        slopes = {}
        for name, value in computed.items():
            slopes[name] = torch.zeros_like(leaf)
            if value.requires_grad:
                (slopes[name],) = torch.autograd.grad(value.sum(), leaf, retain_graph=True, materialize_grads=True)
    shared = {name: value.new_zeros(len(value), len(raw)) for name, value in computed.items()}
    with torch.no_grad(), forward_ad.dual_level():
        for place, direction in enumerate(torch.eye(len(raw)).to(raw)):
            fields = fields_of(values, problem.unknowns, problem.coordinates, indices)
            for name, value in residuals(bound(problem, forward_ad.make_dual(raw, direction)), fields).items():
                tangent = forward_ad.unpack_dual(value).tangent
                if tangent is not None:
                    shared[name][:, place] = tangent
    return {name: Linearised(value.detach(), slopes[name], shared[name]) for name, value in computed.items()}


def is_linear(problem: Problem) -> bool:
    """Whether equations and conditions are affine in the unknowns: equal slopes at two different states."""
    if problem.parameters():
        return False
    generator = torch.Generator().manual_seed(0)

    def affine(function: Residuals, indices: MultiIndexSet, n: int) -> bool:
        def slopes() -> Tensor:
            state = torch.rand(len(problem.unknowns), len(indices), n, generator=generator, dtype=torch.float64) + 0.5
            found = linearise(function, problem, state, indices, state.new_zeros(0))
            return torch.stack([item.slopes for item in found.values()])

        first, second = slopes(), slopes()
        return torch.allclose(first, second, rtol=1e-10, atol=1e-12 * float(first.abs().max()))

    points = problem.domain.sample(8, generator)
    if not affine(equations_at(points), problem.derivatives[INTERIOR], len(points)):
        return False
    for name, condition in problem.named_conditions().items():
        if isinstance(condition, Periodic | Integral):
            continue
        drawn = condition.sample(problem, 8, generator)
        if not affine(residuals_of(name, drawn), problem.derivatives[name], len(drawn)):
            return False
    return True


def equations_at(points: Tensor) -> Residuals:
    """Those of the equations at ``points`` (N, d)."""
    return lambda problem, fields: problem.residuals(fields, points)


def residuals_of(name: str, points: Points) -> Residuals:
    """Those of the condition ``name`` at ``points``."""
    return lambda problem, fields: problem.named_conditions()[name].residuals(problem, fields, points)
