"""The Taylor-Green vortex."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.geometry import Rectangle, Time
from sciml.jets import Jet
from sciml.problem import Condition, Initial, Observations, Parameter, Periodic, Problem


@dataclass(frozen=True)
class TaylorGreen(Problem):
    """The incompressible Navier-Stokes equations with viscosity nu on (x, y) in [0, 2 pi]^2, t in [0, 1], periodic.

    Exact: u = -cos(x) sin(y) F, v = sin(x) cos(y) F, p = -(cos(2x) + cos(2y)) F^2 / 4 with F = exp(-2 nu t).
    The pressure, otherwise known up to a function of time, is set to zero at x = y = pi/4, where the exact one is.

    Args:
        nu: viscosity.

    Source: Taylor & Green, Proc. R. Soc. Lond. A 158 (1937), in two dimensions.
    """

    nu: float | Parameter = 0.01

    coordinates = ("x", "y", "t")
    unknowns = ("u", "v", "p")
    domain = Rectangle(("x", "y"), (0, 0), (2 * math.pi, 2 * math.pi)) * Time("t", 0, 1)

    def equations(self, u: Jet, v: Jet, p: Jet, x: Jet, y: Jet, t: Jet) -> dict[str, Jet]:
        return {
            "momentum_x": u.t + u * u.x + v * u.y + p.x - self.nu * (u.xx + u.yy),
            "momentum_y": v.t + u * v.x + v * v.y + p.y - self.nu * (v.xx + v.yy),
            "continuity": u.x + v.y,
        }

    def conditions(self) -> list[Condition]:
        t = torch.linspace(0, 1, 65, dtype=torch.float64)
        place = torch.full_like(t, math.pi / 4)
        return [
            Initial(u=lambda x, y: -torch.cos(x) * torch.sin(y), v=lambda x, y: torch.sin(x) * torch.cos(y)),
            Periodic("x"),
            Periodic("y"),
            Observations(torch.stack([place, place, t], dim=1), p=torch.zeros_like(t)),
        ]

    def exact(self, x: Tensor, y: Tensor, t: Tensor) -> dict[str, Tensor]:
        decay = torch.exp(-2 * self.nu * t)
        return {
            "u": -torch.cos(x) * torch.sin(y) * decay,
            "v": torch.sin(x) * torch.cos(y) * decay,
            "p": -(torch.cos(2 * x) + torch.cos(2 * y)) / 4 * decay**2,
        }
