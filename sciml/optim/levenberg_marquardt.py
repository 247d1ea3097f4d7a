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


@dataclass(frozen=True)
class LevenbergMarquardt:
    """Steps -(J^T J + mu I)^-1 J^T r; most accurate in float64, for up to a few thousand parameters or residuals.

    The damping mu follows the ratio of the actual to the predicted decrease (Nielsen 1999); a step that fails is tried
    again with more damping and the same Jacobian J. The linear system solved is the smaller of J^T J + mu I (parameters)
    and J J^T + mu I (residuals). If the objective has a method ``jacobian() -> (r (M,), J (M, P))`` it is used;
    otherwise the rows of J come from backward passes over the whole residual vector, which is slow for many rows.

    Args:
        damping: the first mu, in units of the largest diagonal entry of J^T J.
        limit: stop once mu exceeds this many of the same units without finding a decrease.
        gradient_tolerance: stop once no entry of the loss's gradient is larger.

    Sources: Levenberg (1944); Marquardt (1963); Nielsen, Damping parameter in Marquardt's method (IMM-REP-1999-05).
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

        system, origin, tries = _DampedSystem(j, r, gradient), flatten(self.parameters), 0
        while self._damping <= self._settings.limit * unit:
            tries += 1
            mu, step = self._damping, system.solve(self._damping)
            if step is not None:
                assign(self.parameters, origin + step.to(origin.dtype))
                new_loss = _loss(objective)
                gain = (loss - new_loss) / float(mu * step @ step - gradient @ step)
                if gain > _SUFFICIENT and math.isfinite(gain):
                    self._damping *= max(1 / 3, 1 - (2 * gain - 1) ** 3)
                    self._growth = 2.0
                    return Step(new_loss, None, {"damping": mu, "gain": gain, "tries": tries})
            self._damping *= self._growth
            self._growth *= 2
        assign(self.parameters, origin)
        self._damping, self._growth = None, 2.0
        return Step(loss, "damping exceeded its limit: no decrease found")

    def state_dict(self) -> dict[str, Any]:
        return {"damping": self._damping, "growth": self._growth}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._damping, self._growth = state["damping"], state["growth"]


class _DampedSystem:
    """Solves (J^T J + mu I) step = -J^T r for several mu, in the smaller of the parameters' and the residuals' space."""

    def __init__(self, j: Tensor, r: Tensor, gradient: Tensor) -> None:
        self._j, self._primal = j, j.shape[1] <= j.shape[0]
        self._gram = j.mT @ j if self._primal else j @ j.mT
        self._rhs = -(gradient if self._primal else r)
        self._diagonal = self._gram.diagonal().clone()

    def solve(self, mu: float) -> Tensor | None:
        """The step, None where mu is too small for the matrix to be positive definite in floating point."""
        self._gram.diagonal().copy_(self._diagonal + mu)
        factor, info = torch.linalg.cholesky_ex(self._gram)
        if info:
            return None
        solution = torch.cholesky_solve(self._rhs.unsqueeze(1), factor).squeeze(1)
        return solution if self._primal else self._j.mT @ solution


def linearised_residual(objective: Objective) -> tuple[Tensor, Tensor]:
    """r (M,) and its Jacobian (M, P) by all parameters, detached and in float64."""
    if hasattr(objective, "jacobian"):
        r, j = objective.jacobian()
    else:
        r = objective.residual_vector()
        identity = torch.eye(len(r), dtype=r.dtype, device=r.device)
        blocks = [
            torch.autograd.grad(
                r, objective.parameters, rows, retain_graph=True, is_grads_batched=True, materialize_grads=True
            )
            for rows in identity.split(_ROWS_AT_ONCE)
        ]
        j = torch.cat([torch.cat([piece.flatten(1) for piece in block], 1) for block in blocks])
    return r.detach().to(torch.float64), j.detach().to(torch.float64)


@torch.no_grad()
def _loss(objective: Objective) -> float:
    return float(objective.residual_vector().to(torch.float64).square().sum())
