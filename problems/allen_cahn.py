"""The Allen-Cahn equation in the two forms that are used as benchmarks; they are different problems."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from problems.random_fields import periodic_field
from sciml.geometry import Domain, Interval, Rectangle, Time
from sciml.jets import Jet
from sciml.problem import Condition, Dirichlet, Initial, Parameter, Periodic, Problem, RandomProblem
from sciml.reference import FourierGrid, chebyshev_nodes, etdrk4, interpolate, reaction_diffusion

if TYPE_CHECKING:
    import xarray as xr


def _initial(x: Tensor) -> Tensor:
    return x**2 * torch.cos(math.pi * x)


@dataclass(frozen=True)
class AllenCahn(Problem):
    """u_t = d u_xx + 5 (u - u^3) with d = 0.001 on x in [-1, 1], t in [0, 1], u = -1 at both ends.

    u(x, 0) = x^2 cos(pi x).

    Args:
        diffusivity: d.

    Source: the form of DeepXDE's examples (Lu et al., SIAM Review 63, 2021). The data distributed with them are 1.6e-4
    away from this reference in relative L2.
    """

    diffusivity: float | Parameter = 1e-3

    coordinates = ("x", "t")
    unknowns = ("u",)
    domain = Interval("x", -1, 1) * Time("t", 0, 1)

    def equations(self, u: Jet, x: Jet, t: Jet) -> dict[str, Jet]:
        return {"reaction_diffusion": u.t - self.diffusivity * u.xx - 5 * (u - u**3)}

    def conditions(self) -> list[Condition]:
        return [Initial(u=_initial), Dirichlet(u=-1.0)]

    def reference(self) -> xr.Dataset:
        """u on 513 x 201 uniform points: Chebyshev collocation in space, Radau IIA in time.

        u is even, so x in [0, 1] is solved for. The polynomial is evaluated at the grid exactly. Converged to 1e-10 for
        the default diffusivity.
        """
        return _dirichlet(float(self.diffusivity)).copy(deep=True)


@dataclass(frozen=True)
class AllenCahnPeriodic(Problem):
    """u_t = d u_xx + 5 (u - u^3) with d = 0.0001 on x in [-1, 1], t in [0, 1], periodic in x.

    u(x, 0) = x^2 cos(pi x), whose slope jumps from -2 to 2 where the period closes; diffusion smooths the kink at once.

    Args:
        diffusivity: d.

    Source: Raissi, Perdikaris & Karniadakis, J. Comput. Phys. 378 (2019). A reference that starts from u sampled at
    512 points, as is common, is wrong by 1e-3 at t = 0.005 and by 1e-6 at t = 1.
    """

    diffusivity: float | Parameter = 1e-4

    coordinates = ("x", "t")
    unknowns = ("u",)
    domain = Interval("x", -1, 1) * Time("t", 0, 1)

    def equations(self, u: Jet, x: Jet, t: Jet) -> dict[str, Jet]:
        return {"reaction_diffusion": u.t - self.diffusivity * u.xx - 5 * (u - u**3)}

    def conditions(self) -> list[Condition]:
        return [Initial(u=_initial), Periodic("x")]

    def reference(self) -> xr.Dataset:
        """u on 513 x 201 uniform points, both ends of the period included: Fourier in space, ETDRK4 in time.

        It starts from the exact Fourier coefficients of u(x, 0), so the kink costs no aliasing, and its trigonometric
        polynomial is evaluated at the grid. Converged to 1e-10 for the default diffusivity.
        """
        return _periodic(float(self.diffusivity)).copy(deep=True)


@dataclass(frozen=True)
class RandomAllenCahn(RandomProblem):
    """u_t = d Laplace(u) + r (u - u^3) on [0, 1]^2, periodic, from a random u(x, y, 0): phases separate, then coarsen.

    Args:
        diffusivity: d; an interface is about sqrt(8 d / r) wide.
        rate: r.
        duration: final time.
        waves: largest number of waves of u(x, y, 0), whose expected mean square is 1/4.

    Source: in the spirit of ACE of Herde et al., NeurIPS 2024, 2405.19101.
    """

    diffusivity: float = 2e-3
    rate: float = 10.0
    duration: float = 1.0
    waves: int = 6

    coordinates = ("x", "y", "t")
    unknowns = ("u",)

    @property
    def domain(self) -> Domain:
        return Rectangle(("x", "y"), (0, 0), (1, 1)) * Time("t", 0, self.duration)

    def equations(self, u: Jet, x: Jet, y: Jet, t: Jet) -> dict[str, Jet]:
        return {"reaction_diffusion": u.t - self.diffusivity * (u.xx + u.yy) - self.rate * (u - u**3)}

    def conditions(self) -> list[Condition]:
        initial = periodic_field(self.generator(), 2, self.waves, torch.ones_like, mean_square=0.25)
        return [Initial(u=initial), Periodic("x"), Periodic("y")]


@lru_cache(maxsize=8)
def _dirichlet(diffusivity: float) -> xr.Dataset:
    n = max(64, round(384 * math.sqrt(1e-3 / diffusivity)))  # a front is as wide as the root of the diffusivity
    nodes, x, t = chebyshev_nodes(n, 0, 1), *_axes()
    u = reaction_diffusion(
        nodes, diffusivity, lambda u: 5 * (u - u**3), _initial(nodes), t.tolist(),
        left=(0, 1, 0), right=(1, 0, -1),
    )  # fmt: skip
    return _dataset(x, t, interpolate(nodes, u, x.abs()))


@lru_cache(maxsize=8)
def _periodic(diffusivity: float) -> xr.Dataset:
    x, t = _axes()
    n = 2 * max(256, round(2048 * math.sqrt(1e-4 / diffusivity)))
    grid = FourierGrid((-1.0,), (1.0,), (n,))
    coefficients = etdrk4(
        diffusivity * grid.derivative(2) + 5,
        lambda v: -5 * grid.forward(grid.inverse(v) ** 3),
        _coefficients(n),
        t,
        steps=10,
    )
    u = grid.evaluate(coefficients, x)
    u[0] = _initial(x)  # the truncated series misses the kink
    return _dataset(x, t, u)


def _coefficients(n: int) -> Tensor:
    """Fourier coefficients of x^2 cos(pi x) on [-1, 1], by integration, scaled as those of a grid of n points."""
    m = torch.arange(n // 2 + 1, dtype=torch.float64)
    cosine = 2 * (-1) ** (m + 1) / math.pi**2 * (1 / (m + 1) ** 2 + 1 / (m - 1) ** 2)
    cosine[0] = -4 / math.pi**2
    cosine[1] = 1 / 3 + 1 / (2 * math.pi**2)
    return (n / 2 * (-1) ** m * cosine).to(torch.complex128)


def _axes() -> tuple[Tensor, Tensor]:
    return torch.linspace(-1, 1, 513, dtype=torch.float64), torch.linspace(0, 1, 201, dtype=torch.float64)


def _dataset(x: Tensor, t: Tensor, u: Tensor) -> xr.Dataset:
    import xarray as xr

    return xr.Dataset({"u": (("t", "x"), u.numpy())}, coords={"x": x.numpy(), "t": t.numpy()}).transpose("x", "t")
