"""Limited-memory BFGS in its compact form (Byrd, Nocedal & Schnabel 1994, equation 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciml.optim.quasi_newton import QuasiNewton, QuasiNewtonSettings


@dataclass(frozen=True)
class LBFGS(QuasiNewtonSettings):
    """Limited-memory BFGS with a strong Wolfe line search; most accurate in float64.

    Args:
        memory: number of past steps that shape the direction.
    """

    memory: int = 50

    def build(self, parameters: list[Tensor]) -> QuasiNewton:
        return _LBFGS(parameters, self)


class _LBFGS(QuasiNewton):
    def __init__(self, parameters: list[Tensor], settings: LBFGS) -> None:
        super().__init__(parameters, settings)
        self._memory = settings.memory
        self._s: Tensor | None = None  # past steps (m, n), oldest first
        self._y: Tensor | None = None  # their changes of the gradient (m, n)

    def _direction(self, gradient: Tensor) -> Tensor:
        """The compact form of the inverse Hessian: a few products instead of two loops over the memory."""
        if self._s is None or self._y is None:
            return -gradient
        s, y = self._s, self._y
        sy, yy = s @ y.mT, y @ y.mT
        scale = sy[-1, -1] / yy[-1, -1]
        upper = sy.triu()
        a = torch.linalg.solve_triangular(upper, s @ gradient.unsqueeze(1), upper=True)
        b = sy.diagonal().unsqueeze(1) * a + scale * (yy @ a - y @ gradient.unsqueeze(1))
        b = torch.linalg.solve_triangular(upper.mT, b, upper=False)
        return (scale * (y.mT @ a) - s.mT @ b).squeeze(1) - scale * gradient

    def _learn(self, s: Tensor, y: Tensor, gradient: Tensor, length: float) -> None:
        self._s, self._y = self._append(self._s, s), self._append(self._y, y)

    def _append(self, past: Tensor | None, latest: Tensor) -> Tensor:
        return latest.unsqueeze(0) if past is None else torch.cat([past, latest.unsqueeze(0)])[-self._memory :]

    def _forget(self) -> None:
        self._s = self._y = None

    @property
    def _informed(self) -> bool:
        return self._s is not None

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"s": self._s, "y": self._y}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._s, self._y = (None if past is None else past.to(self.parameters[0]) for past in (state["s"], state["y"]))
