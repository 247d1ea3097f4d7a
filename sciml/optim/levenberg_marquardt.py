"""Levenberg-Marquardt training of network weights: damped Gauss-Newton steps on the residual vector of an objective."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciml.optim.optimiser import Objective, Optimiser, Step, assign, flatten

_ROWS_AT_ONCE = 64  # rows of the Jacobian that one batched backward pass computes
_SUFFICIENT = 1e-4  # part of the predicted decrease that a step must achieve
_DIFFERENCE = 0.1  # of a step: the finite difference that gives the second derivative along it
_LARGEST_BEND = 0.75  # of twice the acceleration to the step: beyond, the acceleration is not trusted


@dataclass(frozen=True)
class LevenbergMarquardt:
    """Steps -(J^T J + mu I)^-1 J^T r; most accurate in float64, for up to a few thousand parameters or residuals.

    The damping mu follows the ratio of the actual to the predicted decrease (Nielsen 1999); a step that fails is tried
    again with more damping and the same Jacobian J. Steps follow the curvature of the residual to second order
    (geodesic acceleration), which takes one more residual and, on Helmholtz and Burgers networks, reached
    about a tenth of the loss in equal time. The linear system solved is the smaller of J^T J + mu I (parameters)
    and J J^T + mu I (residuals). If the objective has a method ``jacobian() -> (r (M,), J (M, P))`` it is used;
    otherwise the rows of J come from backward passes over the whole residual vector, which is slow for many rows.

    Args:
        damping: the first mu, in units of the largest diagonal entry of J^T J.
        limit: stop once mu exceeds this many of the same units without finding a decrease.
        gradient_tolerance: stop once no entry of the loss's gradient is larger.

    Sources: Marquardt (1963); Nielsen, Damping parameter in Marquardt's method (IMM-REP-1999-05); Transtrum & Sethna,
    Improvements to the Levenberg-Marquardt algorithm for nonlinear least-squares minimization (arXiv 1201.5885).
    """

    damping: float = 1e-3
    limit: float = 1e8
    gradient_tolerance: float = 1e-12

    def build(self, parameters: list[Tensor]) -> Optimiser:
        return _LevenbergMarquardt(parameters, self)


class _LevenbergMarquardt(Optimiser):
    def __init__(self, parameters: Sequence[Tensor], settings: LevenbergMarquardt) -> None:
        super().__init__(parameters)
        self._settings = settings
        self._damping: float | None = None
        self._growth = 2.0

    def step(self, objective: Objective) -> Step:
        r, j = linearised_residual(objective)
        loss, gradient, unit = float(r @ r), j.mT @ r, float(j.square().sum(0).max())
        largest = 2 * float(gradient.abs().max())
        if not math.isfinite(loss + unit):
            return Step(loss, "the residual or its Jacobian is not finite")
        if largest <= self._settings.gradient_tolerance:
            return Step(loss, f"gradient below tolerance ({largest:.1e} <= {self._settings.gradient_tolerance:.1e})")
        if self._damping is None:
            self._damping = self._settings.damping * unit

        system, origin, tries = _DampedSystem(r, j), flatten(self.parameters), 0
        while self._damping <= self._settings.limit * unit:
            tries += 1
            mu = self._damping
            if system.factorise(mu):
                step = system.solve(r)
                predicted = float(mu * step @ step - gradient @ step)
                bend = self._acceleration(objective, system, origin, step)
                assign(self.parameters, origin + (step + bend).to(origin.dtype))
                new_loss = float(_residual(objective).square().sum())
                gain = (loss - new_loss) / predicted
                if math.isfinite(gain) and gain > _SUFFICIENT:
                    self._damping *= max(1 / 9, 1 - (2 * gain - 1) ** 3)
                    self._growth = 2.0
                    return Step(new_loss, None, {"damping": mu, "gain": gain, "tries": tries})
            self._damping *= self._growth
            self._growth *= 2
        assign(self.parameters, origin)
        self._damping, self._growth = None, 2.0
        return Step(loss, "damping exceeded its limit: no decrease found")

    def _acceleration(self, objective: Objective, system: _DampedSystem, origin: Tensor, step: Tensor) -> Tensor:
        """Half the step's geodesic acceleration; zero where the expansion in powers of the step does not converge."""
        h = _DIFFERENCE
        assign(self.parameters, origin + (h * step).to(origin.dtype))
        second = 2 / h * ((_residual(objective) - system.r) / h - system.j @ step)  # d^2 r along the step
        acceleration = system.solve(second)
        if 2 * acceleration.norm() <= _LARGEST_BEND * step.norm():
            return acceleration / 2
        return torch.zeros_like(step)

    def state_dict(self) -> dict[str, Any]:
        return {"damping": self._damping, "growth": self._growth}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._damping, self._growth = state["damping"], state["growth"]


class _DampedSystem:
    """(J^T J + mu I) step = -J^T v, in the smaller of the parameters' and the residuals' spaces; one factor per mu."""

    def __init__(self, r: Tensor, j: Tensor) -> None:
        self.r, self.j = r, j
        self._primal = j.shape[1] <= j.shape[0]
        self._gram = _gram(j if self._primal else j.mT)
        self._diagonal = self._gram.diagonal().clone()
        self._factor = self._gram

    def factorise(self, mu: float) -> bool:
        """False where mu is too small for the matrix to be positive definite in floating point."""
        self._gram.diagonal().copy_(self._diagonal + mu)
        self._factor, info = torch.linalg.cholesky_ex(self._gram)
        return not info

    def solve(self, v: Tensor) -> Tensor:
        if self._primal:
            return -torch.cholesky_solve(self.j.mT @ v.unsqueeze(1), self._factor).squeeze(1)
        return -self.j.mT @ torch.cholesky_solve(v.unsqueeze(1), self._factor).squeeze(1)


def _gram(j: Tensor) -> Tensor:
    """J^T J, of which only the blocks on and above the diagonal are multiplied: five eighths of the work."""
    gram, start = j.new_empty(j.shape[1], j.shape[1]), 0
    for block in j.split(-(-j.shape[1] // 4), dim=1):
        end = start + block.shape[1]
        gram[start:end, start:] = block.mT @ j[:, start:]
        gram[end:, start:end] = gram[start:end, end:].mT
        start = end
    return gram


def linearised_residual(objective: Objective) -> tuple[Tensor, Tensor]:
    """r (M,) and its Jacobian (M, P) by all parameters, detached and in float64."""
    known = objective.jacobian() if hasattr(objective, "jacobian") else None
    if known is not None:
        r, j = known
    else:
        r = objective.residual_vector()
        identity = torch.eye(len(r), dtype=r.dtype, device=r.device)
        j = torch.cat([_rows(r, objective.parameters, weights) for weights in identity.split(_ROWS_AT_ONCE)])
    return r.detach().to(torch.float64), j.detach().to(torch.float64)


def _rows(r: Tensor, parameters: Sequence[Tensor], weights: Tensor) -> Tensor:
    """``weights`` (K, M) times the Jacobian (M, P) of ``r``, by one batched backward pass."""
    pieces = torch.autograd.grad(r, parameters, weights, retain_graph=True, is_grads_batched=True, materialize_grads=True)
    # A parameter without influence gets zeros of its own shape, not of a batch.
    return torch.cat([g.expand(len(weights), *p.shape).flatten(1) for g, p in zip(pieces, parameters, strict=True)], 1)


@torch.no_grad()
def _residual(objective: Objective) -> Tensor:
    return objective.residual_vector().to(torch.float64)
