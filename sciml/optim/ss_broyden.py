"""Self-scaled Broyden methods with a dense inverse Hessian.

Source: Urban, Stefanou & Pons, J. Comput. Phys. 523:113656 (2025).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.optim.quasi_newton import QuasiNewton, QuasiNewtonSettings

_LARGEST = 30_000  # parameters: the matrix then takes 7 GB


@dataclass(frozen=True)
class SSBFGS(QuasiNewtonSettings):
    """Self-scaled BFGS: the inverse Hessian is divided by tau = min(1, 1/b) before each update (Al-Baali 1998).

    Needs float64 and the memory of a matrix of parameters by parameters.
    """

    def build(self, parameters: list[Tensor]) -> QuasiNewton:
        return _SelfScaled(parameters, self, broyden=False)


@dataclass(frozen=True)
class SSBroyden(QuasiNewtonSettings):
    """Self-scaled Broyden: the member theta of Broyden's family and its scale tau are chosen in every iteration.

    "SSBroyden2" of the source (its equations 13 to 23, after Al-Baali & Khalfan 2005); far more accurate than BFGS on
    physics-informed losses. Needs float64 and the memory of a matrix of parameters by parameters.
    """

    def build(self, parameters: list[Tensor]) -> QuasiNewton:
        return _SelfScaled(parameters, self, broyden=True)


class _SelfScaled(QuasiNewton):
    def __init__(self, parameters: list[Tensor], settings: QuasiNewtonSettings, broyden: bool) -> None:
        super().__init__(parameters, settings)
        n = sum(parameter.numel() for parameter in parameters)
        if n > _LARGEST:
            raise InputError(
                f"{type(settings).__name__} keeps a matrix of parameters by parameters, too large for {n}; "
                "use LBFGS, or a smaller network"
            )
        self._broyden = broyden
        self._matrix: Tensor | None = None  # the inverse Hessian (n, n); None is the identity

    def _direction(self, gradient: Tensor) -> Tensor:
        return -gradient if self._matrix is None else -(self._matrix @ gradient)

    def _first_length(self, direction: Tensor, slope: float) -> float:
        """Scaling overshoots; the last decrease would be repeated here (Nocedal & Wright, equation 3.60)."""
        fall = self._losses[-2] - self._losses[-1] if len(self._losses) > 1 else 0.0
        if self._informed and fall > 0:
            return min(1.0, -2.02 * fall / slope)
        return super()._first_length(direction, slope)

    def _learn(self, s: Tensor, y: Tensor, gradient: Tensor, length: float) -> None:
        first = self._matrix is None
        matrix = torch.eye(len(s), dtype=s.dtype, device=s.device) if self._matrix is None else self._matrix
        hy = matrix @ y
        ys, yhy, sg = torch.stack([y @ s, y @ hy, s @ gradient]).tolist()
        phi, tau = _scaling(h=yhy / ys, b=-length * sg / ys, n=len(s), broyden=self._broyden, first=first)
        # [H - Hy Hy' / y'Hy + phi (y'Hy) v v'] / tau + s s' / y's, in one pass over the matrix
        columns = torch.stack([hy, s / ys - hy / yhy, s], 1)
        coefficients = columns.new_tensor([-1 / (yhy * tau), phi * yhy / tau, 1 / ys])
        self._matrix = matrix.addmm_(columns * coefficients, columns.mT, beta=1 / tau)

    def _forget(self) -> None:
        self._matrix = None

    @property
    def _informed(self) -> bool:
        return self._matrix is not None

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"matrix": self._matrix}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        matrix = state["matrix"]
        self._matrix = None if matrix is None else matrix.to(self.parameters[0], copy=True)


def _scaling(h: float, b: float, n: int, broyden: bool, first: bool) -> tuple[float, float]:
    """The factor phi of Broyden's family and the scale tau, from h = y'Hy / y's and b = s'H^-1 s / y's."""
    a = max(h * b - 1, 0.0)  # negative only by rounding (Cauchy-Schwarz)
    theta = 0.0
    if broyden and a > 1e-12:  # at a = 0 the whole family is one method
        root = math.sqrt(a / (1 + a))
        least = min(1.0, h / ((1 + a) * (1 + root)))  # h (1 - root), without cancellation
        theta = max((least - 1) / a, min(1 / least, (1 - b) / b))
    sigma = 1 + theta * a
    phi = (1 - theta) / sigma
    if first:  # the identity has no scale of its own
        return phi, h / sigma
    shrink = min(1.0, 1 / b)
    spread = sigma ** (1 / (1 - n)) if n > 1 else 1.0
    return phi, min(shrink * spread, sigma) if theta <= 0 else shrink * min(spread, 1 / theta)
