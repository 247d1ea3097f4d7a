"""The wave equation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.geometry import Interval, Time
from sciml.jets import Jet
from sciml.problem import Condition, Dirichlet, Initial, Parameter, Problem


@dataclass(frozen=True)
class Wave(Problem):
    """u_tt = c^2 u_xx on x in [0, 1], t in [0, 1], u(0, t) = u(1, t) = 0, u_t(x, 0) = 0.

    Exact: sin(pi x) cos(c pi t) + sin(n pi x) cos(c n pi t) / 2, which also gives u(x, 0).

    Args:
        c: speed.
        mode: n.

    Source: Wang, Yu & Perdikaris, J. Comput. Phys. 449 (2022), with c = 2 and n = 4. The closed form of PINNacle's
    two-dimensional Wave2D_LongTime does not satisfy its equation; do not score against it.
    """

    c: float | Parameter = 2.0
    mode: int = 4

    coordinates = ("x", "t")
    unknowns = ("u",)
    domain = Interval("x", 0, 1) * Time("t", 0, 1)

    def equations(self, u: Jet, x: Jet, t: Jet) -> dict[str, Jet]:
        return {"wave": u.tt - self.c**2 * u.xx}

    def conditions(self) -> list[Condition]:
        def initial(x: Tensor) -> Tensor:
            return torch.sin(math.pi * x) + torch.sin(self.mode * math.pi * x) / 2

        return [Initial(u=initial, u_t=0.0), Dirichlet(u=0.0)]

    def exact(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        def standing(k: float) -> Tensor:
            return torch.sin(k * x) * torch.cos(k * self.c * t)

        return {"u": standing(math.pi) + standing(self.mode * math.pi) / 2}
