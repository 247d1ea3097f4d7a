"""Kovasznay flow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.geometry import Rectangle
from sciml.jets import Jet
from sciml.problem import Condition, Dirichlet, Problem


@dataclass(frozen=True)
class Kovasznay(Problem):
    """The steady Navier-Stokes equations on x in [-1/2, 1], y in [-1/2, 3/2]: the laminar wake behind a grid.

    Exact: u = 1 - exp(s x) cos(2 pi y), v = s / (2 pi) exp(s x) sin(2 pi y), p = (1 - exp(2 s x)) / 2 with
    s = re/2 - sqrt(re^2/4 + 4 pi^2). Velocities are given on the whole boundary; they determine the pressure up to a
    constant, which its values at x = 1 fix.

    Args:
        re: Reynolds number.

    Source: Kovasznay, Proc. Camb. Phil. Soc. 44 (1948); domain and conditions of DeepXDE's example.
    """

    re: float = 20.0

    coordinates = ("x", "y")
    unknowns = ("u", "v", "p")
    domain = Rectangle(("x", "y"), (-0.5, -0.5), (1, 1.5))

    def equations(self, u: Jet, v: Jet, p: Jet, x: Jet, y: Jet) -> dict[str, Jet]:
        return {
            "momentum_x": u * u.x + v * u.y + p.x - (u.xx + u.yy) / self.re,
            "momentum_y": u * v.x + v * v.y + p.y - (v.xx + v.yy) / self.re,
            "continuity": u.x + v.y,
        }

    def conditions(self) -> list[Condition]:
        return [
            Dirichlet(u=lambda x, y: self.exact(x, y)["u"], v=lambda x, y: self.exact(x, y)["v"]),
            Dirichlet(p=lambda x, y: self.exact(x, y)["p"], on="right"),
        ]

    def exact(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        rate = self.re / 2 - math.sqrt(self.re**2 / 4 + 4 * math.pi**2)
        wake = torch.exp(rate * x)
        return {
            "u": 1 - wake * torch.cos(2 * math.pi * y),
            "v": rate / (2 * math.pi) * wake * torch.sin(2 * math.pi * y),
            "p": (1 - wake**2) / 2,
        }
