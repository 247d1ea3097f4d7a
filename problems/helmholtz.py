"""The Helmholtz equation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciml.geometry import Rectangle
from sciml.jets import Jet
from sciml.problem import Condition, Dirichlet, Problem


@dataclass(frozen=True)
class Helmholtz(Problem):
    """u_xx + u_yy + k^2 u = q on [-1, 1]^2, u = 0 on the boundary, with q such that u = sin(a1 pi x) sin(a2 pi y).

    a1 = a2 = 1 is easy; the two directions' unequal frequencies, or a1 = a2 = 6, make it hard.

    Args:
        a1: half waves along x on [0, 1].
        a2: half waves along y on [0, 1].
        k: wave number.

    Source: Wang, Teng & Perdikaris, SIAM J. Sci. Comput. 43 (2021), 2001.04536.
    """

    a1: int = 1
    a2: int = 4
    k: float = 1.0

    coordinates = ("x", "y")
    unknowns = ("u",)
    domain = Rectangle(("x", "y"), (-1, -1), (1, 1))

    def equations(self, u: Jet, x: Any, y: Any) -> dict[str, Jet]:
        eigenvalue = (self.a1 * math.pi) ** 2 + (self.a2 * math.pi) ** 2
        source = (self.k**2 - eigenvalue) * torch.sin(self.a1 * math.pi * x) * torch.sin(self.a2 * math.pi * y)
        return {"helmholtz": u.xx + u.yy + self.k**2 * u - source}

    def conditions(self) -> list[Condition]:
        return [Dirichlet(u=0.0)]

    def exact(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"u": torch.sin(self.a1 * math.pi * x) * torch.sin(self.a2 * math.pi * y)}
