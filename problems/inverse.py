"""Inverse problems: coefficients from noisy measurements of the solution."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sciml.geometry import Interval, Rectangle, Time
from sciml.jets import Jet
from sciml.problem import Condition, Dirichlet, Initial, Observations, Parameter, Problem


@dataclass(frozen=True)
class InverseDiffusion(Problem):
    """Find the diffusivity d of u_t = d u_xx on x in [0, 1], t in [0, 1] from u(x_i, t_i), measured at random points.

    u(0, t) = u(1, t) = 0 and u(x, 0) = sin(pi x), so that u = exp(-d pi^2 t) sin(pi x). With the defaults the data
    determine d to 0.2 % (one standard deviation).

    Args:
        diffusivity: d, an unknown coefficient.
        true: the value that the measurements belong to.
        measurements: how many.
        noise: standard deviation of the independent normal errors, relative to max |u| = 1.
        seed: of places and errors.
    """

    diffusivity: float | Parameter = field(default=Parameter(1.0, positive=True))
    true: float = 0.1
    measurements: int = 500
    noise: float = 0.01
    seed: int = 0

    coordinates = ("x", "t")
    unknowns = ("u",)
    domain = Interval("x", 0, 1) * Time("t", 0, 1)

    def equations(self, u: Jet, x: Jet, t: Jet) -> dict[str, Jet]:
        return {"diffusion": u.t - self.diffusivity * u.xx}

    def conditions(self) -> list[Condition]:
        generator = torch.Generator().manual_seed(self.seed)
        points = self.domain.sample(self.measurements, generator)
        return [
            Initial(u=lambda x: torch.sin(math.pi * x)),
            Dirichlet(u=0.0),
            Observations(points, u=_measured(self.exact(*points.unbind(1))["u"], self.noise, generator)),
        ]

    def exact(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        return {"u": torch.exp(-self.true * math.pi**2 * t) * torch.sin(math.pi * x)}


@dataclass(frozen=True)
class InversePoisson(Problem):
    """Find the field a(x, y) in div(a grad u) + f = 0 on [0, 1]^2 from u, measured at the points of a grid.

    a is known on the boundary, f is known; both belong to u = sin(pi x) sin(pi y) and
    a = 1 / (1 + x^2 + y^2 + (x - 1)^2 + (y - 1)^2).

    Args:
        side: measurements along each axis, ends included.
        noise: standard deviation of the independent normal errors, relative to max |u| = 1.
        seed: of the errors.

    Source: PINNacle's PoissonInv (Hao et al., NeurIPS 2024, 2306.08827), best reported error of a 2.45e-2.
    """

    side: int = 50
    noise: float = 0.1
    seed: int = 0

    coordinates = ("x", "y")
    unknowns = ("u", "a")
    domain = Rectangle(("x", "y"), (0, 0), (1, 1))

    def equations(self, u: Jet, a: Jet, x: Any, y: Any) -> dict[str, Jet]:
        known = self.exact(x, y)
        return {"poisson": _divergence(a, u) - _divergence(known["a"], known["u"])}

    def conditions(self) -> list[Condition]:
        generator = torch.Generator().manual_seed(self.seed)
        axis = torch.linspace(0, 1, self.side, dtype=torch.float64)
        points = torch.cartesian_prod(axis, axis)
        return [
            Dirichlet(a=lambda x, y: self.exact(x, y)["a"]),
            Observations(points, u=_measured(self.exact(*points.unbind(1))["u"], self.noise, generator)),
        ]

    def exact(self, x: Any, y: Any) -> dict[str, Any]:
        a = 1 / (1 + x**2 + y**2 + (x - 1) ** 2 + (y - 1) ** 2)
        return {"u": torch.sin(math.pi * x) * torch.sin(math.pi * y), "a": a}


def _divergence(a: Jet, u: Jet) -> Jet:
    return (a * u.x).x + (a * u.y).y


def _measured(values: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    return values + noise * torch.randn(values.shape, generator=generator, dtype=values.dtype)
