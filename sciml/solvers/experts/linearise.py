"""Residuals and their pointwise derivatives with respect to the jets of the unknowns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from sciml.jets import Field, Jet, MultiIndexSet
from sciml.problem import INTERIOR, Condition, Integral, Periodic, Points, Problem

Residuals = Callable[[Mapping[str, Jet]], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Linearised:
    """One residual ``value`` (N,) and ``slopes`` (U, S, N) = d value / d (derivative S of unknown U)."""

    value: Tensor
    slopes: Tensor


def fields_of(values: Tensor, unknowns: Sequence[str], coordinates: Sequence[str], indices: MultiIndexSet) -> dict[str, Jet]:
    """Jets from the table ``values`` (U, S, N) of derivatives."""

    def field(row: int) -> Jet:
        return Field(coordinates, lambda index: values[row, indices.position[index]])

    return {unknown: field(row) for row, unknown in enumerate(unknowns)}


def linearise(
    residuals: Residuals, values: Tensor, unknowns: Sequence[str], coordinates: Sequence[str], indices: MultiIndexSet
) -> dict[str, Linearised]:
    """Every residual at the jets ``values`` (U, S, N), with its slopes.

    A residual depends on the jets at its own point alone, so the gradient of the sum is the pointwise derivative.
    """
    leaf = values.detach().requires_grad_()
    with torch.enable_grad():
        computed = residuals(fields_of(leaf, unknowns, coordinates, indices))
        result = {}
        for name, value in computed.items():
            slopes = torch.zeros_like(leaf)
            if value.requires_grad:
                (slopes,) = torch.autograd.grad(value.sum(), leaf, retain_graph=True, materialize_grads=True)
            result[name] = Linearised(value.detach(), slopes.detach())
    return result


def is_linear(problem: Problem) -> bool:
    """Whether equations and conditions are affine in the unknowns: equal slopes at two different states."""
    generator = torch.Generator().manual_seed(0)

    def affine(function: Residuals, indices: MultiIndexSet, n: int) -> bool:
        def slopes() -> Tensor:
            state = torch.rand(len(problem.unknowns), len(indices), n, generator=generator, dtype=torch.float64) + 0.5
            found = linearise(function, state, problem.unknowns, problem.coordinates, indices)
            return torch.stack([item.slopes for item in found.values()])

        first, second = slopes(), slopes()
        return torch.allclose(first, second, rtol=1e-10, atol=1e-12 * float(first.abs().max()))

    points = problem.domain.sample(8, generator)
    if not affine(lambda fields: problem.residuals(fields, points), problem.derivatives[INTERIOR], len(points)):
        return False
    for name, condition in problem.named_conditions().items():
        if isinstance(condition, Periodic | Integral):
            continue
        drawn = condition.sample(problem, 8, generator)
        if not affine(partial(_residuals, problem, condition, drawn), problem.derivatives[name], len(drawn)):
            return False
    return True


def _residuals(problem: Problem, condition: Condition, points: Points, fields: Mapping[str, Jet]) -> Mapping[str, Tensor]:
    return condition.residuals(problem, fields, points)
