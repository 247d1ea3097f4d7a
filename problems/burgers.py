"""The viscous Burgers equation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from problems.random_fields import periodic_field
from sciml.geometry import Domain, Interval, Time
from sciml.jets import Jet
from sciml.problem import Condition, Dirichlet, Initial, Parameter, Periodic, Problem, RandomProblem
from sciml.reference import cole_hopf


@dataclass(frozen=True)
class Burgers(Problem):
    """u_t + u u_x = nu u_xx on x in [-1, 1], t in [0, 1], u(-1, t) = u(1, t) = 0, u(x, 0) = -sin(pi x).

    The exact solution is that of Cole and Hopf, by quadrature to rounding.

    Args:
        nu: viscosity.

    Source: Basdevant et al., Computers & Fluids 14 (1986); Raissi et al., J. Comput. Phys. 378 (2019). PINNacle's
    tabulated reference (2306.08827) is 1.3e-2 away from the exact solution, as far as its best scores.
    """

    nu: float | Parameter = 0.01 / math.pi

    coordinates = ("x", "t")
    unknowns = ("u",)
    domain = Interval("x", -1, 1) * Time("t", 0, 1)

    def equations(self, u: Jet, x: Jet, t: Jet) -> dict[str, Jet]:
        return {"momentum": u.t + u * u.x - self.nu * u.xx}

    def conditions(self) -> list[Condition]:
        return [Initial(u=lambda x: -torch.sin(math.pi * x)), Dirichlet(u=0.0)]

    def exact(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        viscosity: Any = self.nu
        u = cole_hopf(
            x, t, viscosity,
            initial=lambda y: -torch.sin(math.pi * y),
            potential=lambda y: torch.cos(math.pi * y) / math.pi,
            variation=2 / math.pi, steepness=math.pi,
        )  # fmt: skip
        return {"u": u}


@dataclass(frozen=True)
class RandomBurgers(RandomProblem):
    """u_t + u u_x = nu u_xx on x in [0, 1], periodic, from a random u(x, 0).

    u(x, 0) is the Gaussian field with mean zero and covariance 625 (-d^2/dx^2 + 25)^-2.

    Args:
        nu: viscosity; a shock is about nu wide.
        duration: final time.
        waves: largest number of waves of u(x, 0).

    Source: Li et al., ICLR 2021, 2010.08895, with nu = 0.1.
    """

    nu: float = 0.01
    duration: float = 1.0
    waves: int = 64

    coordinates = ("x", "t")
    unknowns = ("u",)

    @property
    def domain(self) -> Domain:
        return Interval("x", 0, 1) * Time("t", 0, self.duration)

    def equations(self, u: Jet, x: Jet, t: Jet) -> dict[str, Jet]:
        return {"momentum": u.t + u * u.x - self.nu * u.xx}

    def conditions(self) -> list[Condition]:
        initial = periodic_field(self.generator(), 1, self.waves, lambda k: math.sqrt(2) * 25 / (k**2 + 25))
        return [Initial(u=initial), Periodic("x")]
