"""The heat equation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.geometry import Interval, Time
from sciml.jets import Jet
from sciml.problem import Condition, Dirichlet, Initial, Parameter, Problem


@dataclass(frozen=True)
class Heat(Problem):
    """u_t = a u_xx on x in [0, 1], t in [0, 1], u(0, t) = u(1, t) = 0, u(x, 0) = sin(n pi x).

    Exact: exp(-a (n pi)^2 t) sin(n pi x).

    Args:
        diffusivity: a.
        mode: n.

    Source: DeepXDE's examples (Lu et al., SIAM Review 63, 2021), with a = 0.4 and n = 1.
    """

    diffusivity: float | Parameter = 0.4
    mode: int = 1

    coordinates = ("x", "t")
    unknowns = ("u",)
    domain = Interval("x", 0, 1) * Time("t", 0, 1)

    def equations(self, u: Jet, x: Jet, t: Jet) -> dict[str, Jet]:
        return {"heat": u.t - self.diffusivity * u.xx}

    def conditions(self) -> list[Condition]:
        return [Initial(u=lambda x: torch.sin(self.mode * math.pi * x)), Dirichlet(u=0.0)]

    def exact(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        k = self.mode * math.pi
        return {"u": torch.exp(-self.diffusivity * k**2 * t) * torch.sin(k * x)}
