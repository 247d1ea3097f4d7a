"""Linear transport on a circle, without and with diffusion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.geometry import Interval, Time
from sciml.jets import Jet
from sciml.problem import Condition, Initial, Parameter, Periodic, Problem


@dataclass(frozen=True)
class Convection(Problem):
    """u_t + beta u_x = 0 on x in [0, 2 pi], t in [0, 1], periodic in x, u(x, 0) = sin(x). Exact: sin(x - beta t).

    Args:
        beta: speed; a plain network fails from about 30 on.

    Source: Krishnapriyan et al., NeurIPS 2021 (2109.01050).
    """

    beta: float | Parameter = 30.0

    coordinates = ("x", "t")
    unknowns = ("u",)
    domain = Interval("x", 0, 2 * math.pi) * Time("t", 0, 1)

    def equations(self, u: Jet, x: Jet, t: Jet) -> dict[str, Jet]:
        return {"convection": u.t + self.beta * u.x}

    def conditions(self) -> list[Condition]:
        return [Initial(u=lambda x: torch.sin(x)), Periodic("x")]

    def exact(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        return {"u": torch.sin(x - self.beta * t)}


@dataclass(frozen=True)
class ConvectionDiffusion(Problem):
    """u_t + beta u_x = nu u_xx on x in [0, 2 pi], t in [0, 1], periodic in x, u(x, 0) = sin(x).

    Exact, by the one Fourier mode present: exp(-nu t) sin(x - beta t).

    Args:
        beta: speed.
        nu: diffusivity.

    Source: Mojgani, Balajewicz & Hassanzadeh, Comput. Methods Appl. Mech. Engrg. 404 (2023).
    """

    beta: float | Parameter = 30.0
    nu: float | Parameter = 0.01

    coordinates = ("x", "t")
    unknowns = ("u",)
    domain = Interval("x", 0, 2 * math.pi) * Time("t", 0, 1)

    def equations(self, u: Jet, x: Jet, t: Jet) -> dict[str, Jet]:
        return {"convection_diffusion": u.t + self.beta * u.x - self.nu * u.xx}

    def conditions(self) -> list[Condition]:
        return [Initial(u=lambda x: torch.sin(x)), Periodic("x")]

    def exact(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        return {"u": torch.exp(-self.nu * t) * torch.sin(x - self.beta * t)}
