"""Flow through a random porous medium."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from problems.random_fields import Function
from sciml.geometry import Rectangle
from sciml.jets import Jet
from sciml.problem import Condition, Dirichlet, RandomProblem, Simulation
from sciml.reference import darcy_square


@dataclass(frozen=True)
class DarcyFlow(RandomProblem):
    """-div(a grad u) = 1 on [0, 1]^2, u = 0 on the boundary, with a random a of two values: a map from a to u.

    a is ``high`` where a Gaussian field of covariance (-Laplace + 9)^-2, with Neumann conditions and mean zero, is positive
    and ``low`` elsewhere. The unknowns are u and its fluxes p = a u_x, q = a u_y, which need no derivative of a.

    Args:
        high, low: the two values.
        waves: largest number of half waves of the field along an axis.

    Source: Li et al., ICLR 2021, 2010.08895.
    """

    high: float = 12.0
    low: float = 3.0
    waves: int = 32

    coordinates = ("x", "y")
    unknowns = ("u", "p", "q")
    channels = {"u": "u"}  # noqa: RUF012 - a declaration
    domain = Rectangle(("x", "y"), (0, 0), (1, 1))

    def coefficient(self) -> Function:
        """a, a function of x and y."""
        counts = math.pi * torch.arange(self.waves + 1, dtype=torch.float64)
        noise = torch.randn(len(counts), len(counts), dtype=torch.float64, generator=self.generator())
        weights = noise / (counts.unsqueeze(1) ** 2 + counts**2 + 9)
        weights[0, 0] = 0

        def coefficient(x: Tensor, y: Tensor) -> Tensor:
            along_x, along_y = (torch.cos(torch.outer(axis, counts.to(axis))) for axis in (x, y))
            return torch.where((along_x @ weights.to(x) * along_y).sum(1) > 0, self.high, self.low).to(x)

        return coefficient

    def equations(self, u: Jet, p: Jet, q: Jet, x: Any, y: Any) -> dict[str, Jet]:
        a = self.coefficient()(x.value, y.value)
        return {"flux_x": p - a * u.x, "flux_y": q - a * u.y, "balance": p.x + q.y + 1}

    def conditions(self) -> list[Condition]:
        return [Dirichlet(u=0.0)]

    def simulate(
        self, instances: Sequence[DarcyFlow], points: int, times: Tensor, refine: int, device: torch.device | None
    ) -> Simulation:
        """By finite volumes on ``refine`` times as many cells; both ends of an axis are on the grid."""
        axis = torch.linspace(0, 1, (points - 1) * refine + 1, dtype=torch.float64, device=device)
        x, y = (c.reshape(-1) for c in torch.meshgrid(axis, axis, indexing="ij"))
        a = torch.stack([instance.coefficient()(x, y) for instance in instances]).unflatten(1, (len(axis),) * 2)
        kept = (..., slice(None, None, refine), slice(None, None, refine))
        fields = {"u": darcy_square(a, torch.ones_like(a))[kept].unsqueeze(1)}
        axes = {"x": axis[::refine], "y": axis[::refine]}
        return Simulation(fields, axes, (False, False), {"a": a[kept]})
