"""The iteration of Levenberg and Marquardt for batches of problems, whatever form their linear models take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor
from torch.linalg import vector_norm

from sciml.optim.linear import cholesky_with_ridge, linear_least_squares

REASONS = np.array(
    [
        "running",
        "converged: residual",
        "converged: gradient",
        "converged: step",
        "converged: decrease",
        "maximum steps",
        "no decrease found",
        "not finite",
    ]
)
_RUNNING, _RESIDUAL, _GRADIENT, _STEP, _DECREASE, _MAXIMUM, _STALLED, _NOT_FINITE = range(len(REASONS))
_DAMPING_LIMIT = 1e16


class Model(Protocol):
    """Residuals r of a batch of problems (E,) and their linear models r + J s."""

    @property
    def square(self) -> Tensor:
        """|r|^2, (E,)."""

    @property
    def gradient(self) -> Tensor:
        """J^T r, (E, n)."""

    @property
    def lengths(self) -> Tensor:
        """Of the columns of J, (E, n)."""

    def step(self, damping: Tensor, scale: Tensor) -> Tensor:
        """argmin |J s + r|^2 + damping |scale s|^2, (E, n)."""

    def change(self, step: Tensor) -> Tensor:
        """|J s|^2, (E,)."""

    def decrease(self, other: Self) -> Tensor:
        """|r|^2 less that of ``other``, (E,)."""

    def finite(self) -> Tensor:
        """(E,)."""

    def __getitem__(self, kept: Tensor) -> Self:
        """The problems in a mask (E,)."""

    def replaced(self, accept: Tensor, other: Self) -> Self:
        """``other`` in the problems of a mask (E,)."""


@dataclass(frozen=True)
class RowModel:
    """By the residuals (E, m) and their Jacobian (E, m, n); ``method`` is that of ``linear_least_squares``."""

    residual: Tensor
    jacobian: Tensor
    method: str

    @property
    def square(self) -> Tensor:
        return self.residual.square().sum(-1)

    @property
    def gradient(self) -> Tensor:
        return torch.einsum("emn,em->en", self.jacobian, self.residual)

    @property
    def lengths(self) -> Tensor:
        return vector_norm(self.jacobian, dim=-2)

    def step(self, damping: Tensor, scale: Tensor) -> Tensor:
        rows = torch.cat([self.jacobian, torch.diag_embed(damping.sqrt()[:, None] * scale)], -2)
        return linear_least_squares(rows, torch.cat([-self.residual, torch.zeros_like(scale)], -1), method=self.method).x

    def change(self, step: Tensor) -> Tensor:
        return torch.einsum("emn,en->em", self.jacobian, step).square().sum(-1)

    def decrease(self, other: RowModel) -> Tensor:
        return ((self.residual - other.residual) * (self.residual + other.residual)).sum(-1)

    def finite(self) -> Tensor:
        return torch.isfinite(self.residual).all(-1) & torch.isfinite(self.jacobian).all(-1).all(-1)

    def __getitem__(self, kept: Tensor) -> RowModel:
        return RowModel(self.residual[kept], self.jacobian[kept], self.method)

    def replaced(self, accept: Tensor, other: RowModel) -> RowModel:
        residual = torch.where(accept[:, None], other.residual, self.residual)
        return RowModel(residual, torch.where(accept[:, None, None], other.jacobian, self.jacobian), self.method)


@dataclass(frozen=True)
class NormalModel:
    """By the normal equations: |r|^2 (E,), J^T r (E, n) and J^T J (E, n, n), which many rows make small.

    A step has half the digits of one by ``RowModel``, but the gradient has all: the iteration ends in the same place.
    """

    square: Tensor
    gradient: Tensor
    matrix: Tensor

    @property
    def lengths(self) -> Tensor:
        return self.matrix.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt()

    def step(self, damping: Tensor, scale: Tensor) -> Tensor:
        scaled = self.matrix / (scale[:, :, None] * scale[:, None, :])
        scaled.diagonal(dim1=-2, dim2=-1).add_(damping[:, None])
        factor, _ = cholesky_with_ridge(scaled)
        return -torch.cholesky_solve((self.gradient / scale)[..., None], factor, upper=True)[..., 0] / scale

    def change(self, step: Tensor) -> Tensor:
        return torch.einsum("em,emn,en->e", step, self.matrix, step)

    def decrease(self, other: NormalModel) -> Tensor:
        return self.square - other.square

    def finite(self) -> Tensor:
        return torch.isfinite(self.square) & torch.isfinite(self.matrix).all(-1).all(-1)

    def __getitem__(self, kept: Tensor) -> NormalModel:
        return NormalModel(self.square[kept], self.gradient[kept], self.matrix[kept])

    def replaced(self, accept: Tensor, other: NormalModel) -> NormalModel:
        vector, matrix = accept[:, None], accept[:, None, None]
        return NormalModel(
            torch.where(accept, other.square, self.square),
            torch.where(vector, other.gradient, self.gradient),
            torch.where(matrix, other.matrix, self.matrix),
        )


def minimise(
    evaluate: Callable[[Tensor, Tensor], Any],
    start: Tensor,
    *,
    maximum_steps: int,
    residual_tolerance: float,
    gradient_tolerance: float,
    step_tolerance: float,
    damping: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Minimisers (E, n) from ``start``, their stop reasons (numbers of REASONS) and steps; see ``least_squares``.

    ``evaluate(x, problems)`` gives the model at x (E', n) of the problems with these numbers (E',): those that have
    stopped cost no more.
    """
    eps = torch.finfo(start.dtype).eps
    found, reasons = start.clone(), torch.zeros(len(start), dtype=torch.long, device=start.device)
    steps, taken = torch.zeros_like(reasons), 0
    x, numbers = start, torch.arange(len(start), device=start.device)
    model = evaluate(x, numbers)
    scale, mu = torch.zeros_like(x), x.new_zeros(len(x))
    growth, reason = torch.full_like(mu, 2.0), torch.where(model.finite(), _RUNNING, _NOT_FINITE)
    cosine = _cosine(model)

    while True:
        reason = _stop(reason, model.square.sqrt() <= residual_tolerance, _RESIDUAL)
        reason = _stop(reason, cosine <= gradient_tolerance, _GRADIENT)
        if taken >= maximum_steps:
            reason = _stop(reason, torch.ones_like(reason, dtype=torch.bool), _MAXIMUM)
        active = reason == _RUNNING
        if not active.all():
            stopped = numbers[~active]
            found[stopped], reasons[stopped], steps[stopped] = x[~active], reason[~active], taken
            if len(stopped) == len(numbers):
                return found, reasons, steps
            x, numbers, scale, mu, growth, cosine, reason = (
                value[active] for value in (x, numbers, scale, mu, growth, cosine, reason)
            )
            model = model[active]
        taken += 1
        scale = torch.maximum(scale, model.lengths)
        unit = torch.where(scale > 0, scale, 1.0)
        step = model.step(mu, unit)
        new = evaluate(x + step, numbers)
        new_cosine = _cosine(new)

        length = vector_norm(scale * step, dim=-1)
        predicted = 0.5 * model.change(step) + mu * length.square()
        gain = 0.5 * model.decrease(new) / predicted
        undamped = mu <= 1  # the columns have unit length in the scaled unknowns
        invisible = undamped & (predicted <= 4 * eps * model.square)
        accept = torch.where(invisible, new_cosine < cosine, torch.where(mu == 0, (gain - 1).abs() < 0.1, gain > 1e-4))
        accept &= new.finite()

        reason = _stop(reason, undamped & (length <= step_tolerance * vector_norm(scale * x, dim=-1)), _STEP)
        reason = _stop(reason, invisible & ~accept, _DECREASE)
        x = torch.where(accept[:, None], x + step, x)
        model = model.replaced(accept, new)
        cosine = torch.where(accept, new_cosine, cosine)
        gain = torch.where(invisible, 0.5, gain)  # too small to be measured: leave the damping as it is
        mu, growth = _nielsen(mu, growth, gain, accept, damping)
        reason = _stop(reason, mu > _DAMPING_LIMIT, _STALLED)


def converged(reasons: Tensor) -> Tensor:
    return (reasons >= _RESIDUAL) & (reasons <= _DECREASE)


def _nielsen(mu: Tensor, growth: Tensor, gain: Tensor, accept: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    """Nielsen (1999), eq. 2.5: a good model lowers the damping, threefold at most; failures raise it ever faster."""
    lowered = mu * (1 - (2 * gain - 1) ** 3).clamp(min=1 / 3)
    raised = torch.where(mu == 0, damping, mu * growth)
    return torch.where(accept, lowered, raised), torch.where(accept | (mu == 0), 2.0, 2 * growth)


def _stop(reason: Tensor, condition: Tensor, code: int) -> Tensor:
    return torch.where((reason == _RUNNING) & condition, code, reason)


def _cosine(model: Model) -> Tensor:
    """The largest |cos| of the angle between the residual and a column of the Jacobian: zero at a stationary point."""
    lengths = model.lengths * model.square.sqrt()[:, None]
    return torch.where(lengths == 0, 0.0, model.gradient.abs() / lengths).amax(-1)
