"""The Klein-Gordon equation with a cubic term."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciml.geometry import Interval, Time
from sciml.jets import Jet
from sciml.problem import Condition, Dirichlet, Initial, Problem


@dataclass(frozen=True)
class KleinGordon(Problem):
    """u_tt - u_xx + u^3 = f on x in [0, 1], t in [0, 1], u given at both ends, u(x, 0) = x, u_t(x, 0) = 0.

    Exact: x cos(5 pi t) + (x t)^3, which fixes f.

    Source: Wang, Teng & Perdikaris, SIAM J. Sci. Comput. 43 (2021), 2001.04536. The text there states
    u(x, 0) = u_t(x, 0) = 0, which its own exact solution contradicts; the data here are those of the solution.
    """

    coordinates = ("x", "t")
    unknowns = ("u",)
    domain = Interval("x", 0, 1) * Time("t", 0, 1)

    def equations(self, u: Jet, x: Any, t: Any) -> dict[str, Jet]:
        linear = -25 * math.pi**2 * x * torch.cos(5 * math.pi * t) + 6 * t * x**3 - 6 * x * t**3
        return {"klein_gordon": u.tt - u.xx + u**3 - (linear + _solution(x, t) ** 3)}

    def conditions(self) -> list[Condition]:
        return [Initial(u=lambda x: x, u_t=0.0), Dirichlet(u=_solution)]

    def exact(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        return {"u": _solution(x, t)}


def _solution(x: Any, t: Any) -> Any:
    return x * torch.cos(5 * math.pi * t) + (x * t) ** 3
