"""The wave equation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from problems.random_fields import periodic_field
from sciml.geometry import Domain, Interval, Rectangle, Time
from sciml.jets import Jet
from sciml.problem import Condition, Dirichlet, Initial, Parameter, Periodic, Problem, RandomProblem


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


@dataclass(frozen=True)
class RandomWave(RandomProblem):
    """u_tt = c^2 Laplace(u) on [0, 1]^2, periodic, with a random speed c(x, y) and a random u(x, y, 0) at rest.

    v = u_t and c, which does not change, are unknowns too: together they are the state that determines what follows.

    Args:
        speed: median of c.
        variation: standard deviation of log c.
        duration: final time.
        waves: largest number of waves of u(x, y, 0) and of log c.

    Source: in the spirit of Wave-Gauss of Herde et al., NeurIPS 2024, 2405.19101, without boundaries.
    """

    speed: float = 1.0
    variation: float = 0.2
    duration: float = 1.0
    waves: int = 4

    coordinates = ("x", "y", "t")
    unknowns = ("u", "v", "c")
    channels: ClassVar[dict[str, str]] = {"u": "displacement", "v": "velocity", "c": "speed"}

    @property
    def domain(self) -> Domain:
        return Rectangle(("x", "y"), (0, 0), (1, 1)) * Time("t", 0, self.duration)

    def equations(self, u: Jet, v: Jet, c: Jet, x: Jet, y: Jet, t: Jet) -> dict[str, Jet]:
        return {"velocity": u.t - v, "wave": v.t - c**2 * (u.xx + u.yy), "medium": c.t}

    def conditions(self) -> list[Condition]:
        generator = self.generator()
        start = periodic_field(generator, 2, self.waves, torch.ones_like, mean_square=1.0)
        logarithm = periodic_field(generator, 2, self.waves, torch.ones_like, mean_square=self.variation**2)

        def medium(x: Tensor, y: Tensor) -> Tensor:
            return self.speed * torch.exp(logarithm(x, y))

        return [Initial(u=start, v=0.0, c=medium), Periodic("x"), Periodic("y")]
