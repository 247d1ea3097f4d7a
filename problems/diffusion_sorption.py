"""Diffusion of a contaminant that the soil sorbs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.geometry import Domain, Interval, Time
from sciml.jets import Jet
from sciml.problem import Condition, Dirichlet, Initial, Problem, Robin
from sciml.reference import chebyshev_nodes, interpolate, reaction_diffusion

if TYPE_CHECKING:
    import xarray as xr

_TANGENT = 1e-2  # concentration below which R goes on along its tangent: the power is infinite at 0
_NODES = 96


@dataclass(frozen=True)
class DiffusionSorption(Problem):
    """R(u) u_t = diffusion u_xx with the retardation R of Freundlich sorption, on x in [0, 1], t in [0, duration].

    R(u) = 1 + (1 - porosity) / porosity density coefficient exponent u^(exponent - 1); below u = 0.01 its tangent goes on,
    so that R is smooth and finite for whatever a solver tries. That changes u by 1e-3 in relative L2 where initial = 0, by
    1e-5 where initial = 0.02. The concentration u is 1 at the left end, its flux through the right end is -diffusion u_x =
    u, and u = initial at t = 0.

    Args:
        diffusion: effective diffusion coefficient.
        porosity: volume of the pores per volume.
        density: of the bulk.
        coefficient, exponent: Freundlich's isotherm, coefficient u^exponent.
        initial: the concentration at t = 0; uniform in [0, 0.2] over the random instances.

    Source: PDEBench (Takamoto et al., NeurIPS 2022, 2210.07182), which adds 1e-6 to u in R instead. Its text has
    u = diffusion u_x at the right end, its code the sign above, which lets the contaminant out.

    Raises:
        InputError: a number out of range.
    """

    diffusion: float = 5e-4
    porosity: float = 0.29
    density: float = 2880.0
    coefficient: float = 3.5e-4
    exponent: float = 0.874
    initial: float = 0.1
    duration: float = 500.0

    coordinates = ("x", "t")
    unknowns = ("u",)

    def __post_init__(self) -> None:
        for name in ("diffusion", "density", "coefficient", "duration"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}={getattr(self, name)} must be positive")
        if not 0 < self.exponent <= 1:
            raise InputError(f"exponent={self.exponent} must lie between 0 and 1")
        if not 0 < self.porosity < 1:
            raise InputError(f"porosity={self.porosity} must lie between 0 and 1")
        if not 0 <= self.initial <= 1:
            raise InputError(f"initial={self.initial} must lie between 0 and 1, the concentration at the left end")

    @cached_property
    def domain(self) -> Domain:
        return Interval("x", 0, 1) * Time("t", 0, self.duration)

    def sample(self, generator: torch.Generator) -> DiffusionSorption:
        """This problem with another initial concentration."""
        drawn = torch.rand((), generator=generator, device=generator.device, dtype=torch.float64)
        return replace(self, initial=0.2 * float(drawn))

    def retardation(self, u: Any) -> Tensor:
        """R(u), finite for any u and at least 1."""
        sorbed = (1 - self.porosity) / self.porosity * self.density * self.coefficient * self.exponent
        power = self.exponent - 1
        below = (torch.clamp(u, max=_TANGENT) - _TANGENT) / _TANGENT
        return 1 + sorbed * torch.clamp(u, min=_TANGENT) ** power * (1 + power * below)

    def equations(self, u: Jet, x: Jet, t: Jet) -> dict[str, Any]:
        return {"diffusion_sorption": self.retardation(u) * u.t - self.diffusion * u.xx}

    def conditions(self) -> list[Condition]:
        outflow = Robin(u=(1.0, self.diffusion, 0.0), on="right")
        return [Initial(u=self.initial), Dirichlet(u=1.0, on="left"), outflow]

    def reference(self) -> xr.Dataset:
        """u on 257 x 101 uniform points: Chebyshev collocation and Radau's method. Good to 1e-7 in relative L2."""
        import xarray as xr

        x = torch.linspace(0, 1, 257, dtype=torch.float64)
        t = torch.linspace(0, self.duration, 101, dtype=torch.float64)
        u = self.concentration(x, t)
        return xr.Dataset({"u": (("x", "t"), u.numpy())}, coords={"x": x.numpy(), "t": t.numpy()})

    def concentration(self, x: Tensor, t: Tensor) -> Tensor:
        """u at the product of points x (m,) and increasing times t (T,) from 0 on: (m, T), float64."""
        nodes, u = _solve(self, tuple(t.tolist()))
        values = interpolate(nodes, u, x.to(nodes))
        # No polynomial follows the jump at the left end.
        values[t == 0] = torch.full_like(x, self.initial).masked_fill(x == 0, 1.0).to(values)
        return values.T


@lru_cache(maxsize=256)
def _solve(problem: DiffusionSorption, times: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    points = chebyshev_nodes(_NODES, 0, 1)
    u = reaction_diffusion(
        points, problem.diffusion, torch.zeros_like, torch.full_like(points, problem.initial), times,
        left=(1, 0, 1), right=(1, problem.diffusion, 0), capacity=problem.retardation, tolerance=1e-8,
    )  # fmt: skip
    return points, u
