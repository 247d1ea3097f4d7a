"""Samplers that put the equations' points where the residual is large."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.losses.sampler import Batch, Sampled, Sampler
from sciml.problem import INTERIOR, Points


@dataclass(eq=False, kw_only=True)
class ResidualAdaptive(Sampler):
    """RAD: interior points drawn from a uniform pool with probability ``|r|^k / mean|r|^k + c``, without repetition.

    Source: Wu, Zhu, Tan, Kartha, Lu, arXiv 2207.10289.

    Attributes:
        every: steps between two draws.
        k: large ones concentrate the points.
        c: share of uniform points.
        pool_factor: size of the pool over that of the batch.

    Raises:
        InputError: an attribute is out of its range.
    """

    every: int | None = 100
    k: float = 1.0
    c: float = 1.0
    pool_factor: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k < 0 or self.c < 0:
            raise InputError(f"k and c must not be negative, got k={self.k} and c={self.c}")
        if self.pool_factor < 2:
            raise InputError(f"pool_factor must be at least 2, got {self.pool_factor}")

    def draw(self, solver: Sampled, generator: torch.Generator) -> Batch:
        batch = solver.sample(generator, self.method)
        pool = solver.sample(generator, self.method, scale=self.pool_factor)[INTERIOR]
        density = residual_magnitude(solver, {**batch, INTERIOR: pool}) ** self.k
        density = density.nan_to_num(0.0, 0.0, 0.0)
        # The last summand keeps every point possible when c = 0 and the residual vanishes.
        tiny = torch.finfo(density.dtype).tiny
        density = density / density.mean().clamp(min=tiny) + self.c + torch.finfo(density.dtype).eps
        chosen = torch.multinomial(density.to(generator.device), len(batch[INTERIOR]), generator=generator)
        return batch | {INTERIOR: pool[chosen.to(density.device)]}


@dataclass(eq=False, kw_only=True)
class RetainResampleRelease(Sampler):
    """R3: interior points whose residual exceeds the mean are retained, the others released and drawn anew.

    Source: Daw, Bu, Wang, Perdikaris, Karpatne, arXiv 2207.02338.
    """

    def draw(self, solver: Sampled, generator: torch.Generator) -> Batch:
        batch = solver.sample(generator, self.method)
        if self.batch is None:
            return batch
        old = self.batch[INTERIOR].coordinates
        magnitude = residual_magnitude(solver, {**batch, INTERIOR: self.batch[INTERIOR]})
        retained = magnitude > magnitude.mean()
        return batch | {INTERIOR: Points(torch.where(retained[:, None], old, batch[INTERIOR].coordinates))}


def residual_magnitude(solver: Sampled, batch: Batch) -> Tensor:
    """Root of the sum of the squared residuals of all equations at the interior points, (N,), without a graph."""
    with _frozen(solver):
        residuals = solver.residuals(batch)
    equations = [name for name, key in solver.term_points.items() if key == INTERIOR]
    return torch.stack([residuals[name].detach() for name in equations]).square().sum(dim=0).sqrt()


@contextmanager
def _frozen(solver: Sampled) -> Iterator[None]:
    # Not torch.no_grad: a solver may differentiate with respect to its points, and only the weights' graph is spared.
    trainable = [parameter for parameter in solver.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
