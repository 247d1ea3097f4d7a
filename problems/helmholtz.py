"""The Helmholtz equation on a square."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciml.geometry import Rectangle
from sciml.problem import Condition, Dirichlet, Problem


@dataclass(frozen=True)
class Helmholtz(Problem):
    """Helmholtz: u_xx + u_yy + k^2 u = q on [-1, 1]^2, zero on the boundary.

    The source makes u = sin(a1 pi x) sin(a2 pi y) exact; a1 = 1, a2 = 4, k = 1 is the case of Wang, Teng and Perdikaris
    (arXiv 2001.04536, section 2.3).
    """

    a1: int = 1
    a2: int = 4
    k: float = 1.0
    coordinates = ("x", "y")
    unknowns = ("u",)
    domain = Rectangle(("x", "y"), (-1, -1), (1, 1))

    def equations(self, u: Any, x: Any, y: Any) -> Mapping[str, Any]:
        factor = self.k**2 - (self.a1 * math.pi) ** 2 - (self.a2 * math.pi) ** 2
        source = factor * torch.sin(self.a1 * math.pi * x) * torch.sin(self.a2 * math.pi * y)
        return {"helmholtz": u.xx + u.yy + self.k**2 * u - source}

    def conditions(self) -> list[Condition]:
        return [Dirichlet(u=0.0)]

    def exact(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"u": torch.sin(self.a1 * math.pi * x) * torch.sin(self.a2 * math.pi * y)}
