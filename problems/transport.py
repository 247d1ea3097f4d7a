"""Transport along characteristics: a steepening wave, a speed that varies, a rotation, an inflow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciml.geometry import Disk, Domain, Interval, Time
from sciml.jets import Jet
from sciml.problem import Condition, Dirichlet, Initial, Periodic, Problem
from sciml.reference import cole_hopf


@dataclass(frozen=True)
class BurgersPeriodic(Problem):
    """u_t + u u_x = nu u_xx on x in [0, 2 pi], periodic in x, u(x, 0) = mean + sin(x).

    The wave steepens as it travels at the speed ``mean``; without viscosity it would break at t = 1. The exact solution
    is that of Cole and Hopf in the frame that moves with the mean.

    Args:
        nu: viscosity.
        mean: of u, the speed of the wave.
        end: final time.

    Source: Mojgani, Balajewicz & Hassanzadeh, Comput. Methods Appl. Mech. Engrg. 404 (2023).
    """

    nu: float = 0.01
    mean: float = 1.0
    end: float = 1.0

    coordinates = ("x", "t")
    unknowns = ("u",)

    @property
    def domain(self) -> Domain:
        return Interval("x", 0, 2 * math.pi) * Time("t", 0, self.end)

    def equations(self, u: Jet, x: Jet, t: Jet) -> dict[str, Jet]:
        return {"momentum": u.t + u * u.x - self.nu * u.xx}

    def conditions(self) -> list[Condition]:
        return [Initial(u=lambda x: self.mean + torch.sin(x)), Periodic("x")]

    def exact(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        wave = cole_hopf(
            x - self.mean * t, t, self.nu,
            initial=torch.sin, potential=lambda y: -torch.cos(y), variation=2.0, steepness=1.0,
        )  # fmt: skip
        return {"u": self.mean + wave}


@dataclass(frozen=True)
class VariableConvection(Problem):
    """u_t + c(x) u_x = 0 with c = mean + variation cos(x) on x in [0, 2 pi], t in [0, 1], periodic, u(x, 0) = sin(x).

    With w = sqrt(mean^2 - variation^2) and q = sqrt((mean - variation) / (mean + variation)), the travel time to x is
    (2 / w) atan(q tan(x / 2)), so that the foot of the characteristic through (x, t) is in closed form.

    Args:
        mean, variation: of the speed, 0 <= variation < mean.
    """

    mean: float = 2.0
    variation: float = 1.0

    coordinates = ("x", "t")
    unknowns = ("u",)
    domain = Interval("x", 0, 2 * math.pi) * Time("t", 0, 1)

    def equations(self, u: Jet, x: Any, t: Any) -> dict[str, Jet]:
        return {"convection": u.t + (self.mean + self.variation * torch.cos(x)) * u.x}

    def conditions(self) -> list[Condition]:
        return [Initial(u=lambda x: torch.sin(x)), Periodic("x")]

    def exact(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        w = math.sqrt(self.mean**2 - self.variation**2)
        q = math.sqrt((self.mean - self.variation) / (self.mean + self.variation))
        phase = torch.atan2(q * torch.sin(x / 2), torch.cos(x / 2)) - w * t / 2
        foot = 2 * torch.atan2(torch.sin(phase), q * torch.cos(phase))
        return {"u": torch.sin(foot)}


@dataclass(frozen=True)
class Rotation(Problem):
    """u_t + omega (-y u_x + x u_y) = 0 on the unit disk, t in [0, 1]: a Gaussian bump goes round like a solid body.

    No characteristic crosses the rim, so that there is no boundary condition. Exact: the initial bump, rotated.

    Args:
        turns: made in unit time.
        width: of the bump, exp(-r^2 / (2 width^2)) about (0.5, 0) at first.
    """

    turns: float = 1.0
    width: float = 0.15

    coordinates = ("x", "y", "t")
    unknowns = ("u",)
    domain = Disk(("x", "y"), (0, 0), 1) * Time("t", 0, 1)

    def equations(self, u: Jet, x: Jet, y: Jet, t: Jet) -> dict[str, Jet]:
        omega = 2 * math.pi * self.turns
        return {"convection": u.t - omega * y * u.x + omega * x * u.y}

    def conditions(self) -> list[Condition]:
        return [Initial(u=self._bump)]

    def exact(self, x: Tensor, y: Tensor, t: Tensor) -> dict[str, Tensor]:
        angle = 2 * math.pi * self.turns * t
        c, s = torch.cos(angle), torch.sin(angle)
        return {"u": self._bump(c * x + s * y, c * y - s * x)}

    def _bump(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.exp(-((x - 0.5) ** 2 + y**2) / (2 * self.width**2))


@dataclass(frozen=True)
class InflowConvection(Problem):
    """u_t + beta u_x = -decay u on x in [0, 1], t in [0, 1], u(x, 0) = cos(2 pi x), u(0, t) = cos(frequency t).

    What is inside at first leaves on the right while the signal at the left end travels in; the solution has a kink
    along the characteristic x = beta t that parts them. Exact: either signal, delayed and decayed.

    Args:
        beta: speed, positive.
        decay: rate at which u decays.
        frequency: of the signal at the inflow.
    """

    beta: float = 1.0
    decay: float = 0.5
    frequency: float = 10.0

    coordinates = ("x", "t")
    unknowns = ("u",)
    domain = Interval("x", 0, 1) * Time("t", 0, 1)

    def equations(self, u: Jet, x: Jet, t: Jet) -> dict[str, Jet]:
        return {"convection": u.t + self.beta * u.x + self.decay * u}

    def conditions(self) -> list[Condition]:
        return [
            Initial(u=lambda x: torch.cos(2 * math.pi * x)),
            Dirichlet(u=lambda t: torch.cos(self.frequency * t), on="left"),
        ]

    def exact(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        delay = x / self.beta
        inside = torch.exp(-self.decay * t) * torch.cos(2 * math.pi * (x - self.beta * t))
        entered = torch.exp(-self.decay * delay) * torch.cos(self.frequency * (t - delay))
        return {"u": torch.where(t < delay, inside, entered)}
