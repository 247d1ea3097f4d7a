"""The Korteweg-de Vries equation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sciml.geometry import Interval, Time
from sciml.jets import Jet
from sciml.problem import Condition, Initial, Parameter, Periodic, Problem
from sciml.reference import FourierGrid, etdrk4

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class KdV(Problem):
    """u_t + u u_x + d u_xxx = 0 with d = 0.022^2 on x in [-1, 1], t in [0, 1], periodic in x, u(x, 0) = cos(pi x).

    A front steepens and breaks into solitons.

    Args:
        dispersion: d.

    Source: Zabusky & Kruskal, Phys. Rev. Lett. 15 (1965), whose 0.022 enters squared. The data of Raissi et al.,
    J. Comput. Phys. 378 (2019), belong to d = 0.0025: another equation, not a rounding of this one.
    """

    dispersion: float | Parameter = 0.022**2

    name = "kdv"
    coordinates = ("x", "t")
    unknowns = ("u",)
    domain = Interval("x", -1, 1) * Time("t", 0, 1)

    def equations(self, u: Jet, x: Jet, t: Jet) -> dict[str, Jet]:
        return {"kdv": u.t + u * u.x + self.dispersion * u.xxx}

    def conditions(self) -> list[Condition]:
        return [Initial(u=_initial), Periodic("x")]

    def reference(self) -> xr.Dataset:
        """u on 513 x 201 uniform points, both ends of the period included: Fourier in space, ETDRK4 in time.

        The trigonometric polynomial is evaluated at the grid exactly. Converged to 1e-9 for the default dispersion.
        """
        return _solve(float(self.dispersion)).copy(deep=True)


def _initial(x: Tensor) -> Tensor:
    return torch.cos(math.pi * x)


@lru_cache(maxsize=8)
def _solve(dispersion: float) -> xr.Dataset:
    import xarray as xr

    n = 2 * max(128, round(256 * 0.022 / math.sqrt(dispersion)))  # a soliton is as wide as the root of the dispersion
    grid = FourierGrid((-1.0,), (1.0,), (n,))
    flux = -grid.derivative(1) * grid.dealias() / 2
    x, t = torch.linspace(-1, 1, 513, dtype=torch.float64), torch.linspace(0, 1, 201, dtype=torch.float64)
    coefficients = etdrk4(
        -dispersion * grid.derivative(3),
        lambda v: flux * grid.forward(grid.inverse(v) ** 2),
        grid.forward(_initial(*grid.points())),
        t,
        steps=n**2 // 5000,
    )
    u = grid.evaluate(coefficients, x)
    return xr.Dataset({"u": (("t", "x"), u.numpy())}, coords={"x": x.numpy(), "t": t.numpy()}).transpose("x", "t")
