"""The Kuramoto-Sivashinsky equation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from problems.random_fields import periodic_field
from sciml.geometry import Domain, Interval, Time
from sciml.jets import Jet
from sciml.problem import Condition, Initial, Periodic, Problem, RandomProblem
from sciml.reference import FourierGrid, etdrk4

if TYPE_CHECKING:
    import xarray as xr

_CONVECTION, _PRODUCTION, _DISSIPATION = 100 / 16, 100 / 16**2, 100 / 16**4


@dataclass(frozen=True)
class KuramotoSivashinsky(Problem):
    """u_t + (100/16) u u_x + (100/16^2) u_xx + (100/16^4) u_xxxx = 0 on x in [0, 2 pi], t in [0, 1], periodic in x.

    u(x, 0) = cos(x) (1 + sin(x)). Chaotic from about t = 0.4 on.

    Source: Wang, Sankaran & Perdikaris, Comput. Methods Appl. Mech. Engrg. 421 (2024), 2203.07404. PINNacle's version
    imposes no periodicity in its loss, which leaves the solution undetermined.
    """

    coordinates = ("x", "t")
    unknowns = ("u",)
    domain = Interval("x", 0, 2 * math.pi) * Time("t", 0, 1)

    def equations(self, u: Jet, x: Jet, t: Jet) -> dict[str, Jet]:
        linear = _PRODUCTION * u.xx + _DISSIPATION * u.xxxx
        return {"kuramoto_sivashinsky": u.t + _CONVECTION * u * u.x + linear}

    def conditions(self) -> list[Condition]:
        return [Initial(u=_initial), Periodic("x")]

    def reference(self) -> xr.Dataset:
        """u on 513 x 201 uniform points, both ends of the period included: Fourier in space, ETDRK4 in time.

        The trigonometric polynomial is evaluated at the grid exactly. Converged to 1e-9 in relative L2; rounding errors
        grow about ten-million-fold by t = 1, so that double precision allows little more.
        """
        return _solve().copy(deep=True)


@dataclass(frozen=True)
class RandomKuramotoSivashinsky(RandomProblem):
    """u_t + u u_x + u_xx + u_xxxx = 0 on x in [0, length], periodic, from a random u(x, 0); chaotic.

    Trajectories begin at ``warm_up``, when u has forgotten how it started.

    Args:
        length: of the period; the pattern's wavelength is about 9.
        duration: from the start of a trajectory to its end.
        warm_up: when trajectories begin.

    Source: Kuramoto, Prog. Theor. Phys. 55 (1976); Sivashinsky, Acta Astronaut. 4 (1977), in the usual scaling.
    """

    length: float = 64.0
    duration: float = 50.0
    warm_up: float = 50.0

    coordinates = ("x", "t")
    unknowns = ("u",)

    @property
    def domain(self) -> Domain:
        return Interval("x", 0, self.length) * Time("t", 0, self.warm_up + self.duration)

    def equations(self, u: Jet, x: Jet, t: Jet) -> dict[str, Jet]:
        return {"kuramoto_sivashinsky": u.t + u * u.x + u.xx + u.xxxx}

    def conditions(self) -> list[Condition]:
        initial = periodic_field(self.generator(), 1, 8, torch.ones_like, self.length, mean_square=0.25)
        return [Initial(u=initial), Periodic("x")]


def _initial(x: Tensor) -> Tensor:
    return torch.cos(x) * (1 + torch.sin(x))


@lru_cache(maxsize=1)
def _solve() -> xr.Dataset:
    import xarray as xr

    grid = FourierGrid((0.0,), (2 * math.pi,), (256,))
    flux = -_CONVECTION / 2 * grid.derivative(1)
    x = torch.linspace(0, 2 * math.pi, 513, dtype=torch.float64)
    t = torch.linspace(0, 1, 201, dtype=torch.float64)
    coefficients = etdrk4(
        -_PRODUCTION * grid.derivative(2) - _DISSIPATION * grid.derivative(4),
        lambda v: flux * grid.forward(grid.inverse(v) ** 2),
        grid.forward(_initial(*grid.points())),
        t,
        steps=250,
    )
    u = grid.evaluate(coefficients, x)
    return xr.Dataset({"u": (("t", "x"), u.numpy())}, coords={"x": x.numpy(), "t": t.numpy()}).transpose("x", "t")
