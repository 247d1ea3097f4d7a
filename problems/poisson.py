"""Poisson's and Laplace's equation on a square, an L and a perforated square."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from sciml.geometry import Disk, Polygon, Rectangle
from sciml.jets import Jet
from sciml.problem import Condition, Dirichlet, Problem, RandomProblem, Simulation
from sciml.reference import laplace_on_perforated_square, poisson_on_l_shape, poisson_square

_HOLES = reduce(operator.or_, (Disk(("x", "y"), (x, y), 0.1) for x in (-0.3, 0.3) for y in (-0.3, 0.3)))


@dataclass(frozen=True)
class PoissonSquare(Problem):
    """-Laplace(u) = f on [0, 1]^2, u = 0 on the boundary, with f such that u = sin(m pi x) sin(m pi y).

    Args:
        mode: m, half waves in each direction.

    Source: manufactured; m = 1 is the first example of Müller & Zeinhofer, ICML 2023, 2302.13163.
    """

    mode: int = 1

    coordinates = ("x", "y")
    unknowns = ("u",)
    domain = Rectangle(("x", "y"), (0, 0), (1, 1))

    def equations(self, u: Jet, x: Any, y: Any) -> dict[str, Jet]:
        k = self.mode * math.pi
        return {"poisson": u.xx + u.yy + 2 * k**2 * torch.sin(k * x) * torch.sin(k * y)}

    def conditions(self) -> list[Condition]:
        return [Dirichlet(u=0.0)]

    def exact(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        k = self.mode * math.pi
        return {"u": torch.sin(k * x) * torch.sin(k * y)}


@dataclass(frozen=True)
class PoissonLShape(Problem):
    """-Laplace(u) = 1 on [-1, 1]^2 without the quadrant x, y > 0, u = 0 on the boundary.

    At the re-entrant corner, the origin, u behaves as r^(2/3) and its gradient is infinite; at the other corners as
    r^2 log r.

    Source: DeepXDE's example Poisson_Lshape (Lu et al., SIAM Review 63, 2021).
    """

    coordinates = ("x", "y")
    unknowns = ("u",)
    domain = Polygon(("x", "y"), [(0, 0), (0, 1), (-1, 1), (-1, -1), (1, -1), (1, 0)])

    def equations(self, u: Jet, x: Jet, y: Jet) -> dict[str, Jet]:
        return {"poisson": u.xx + u.yy + 1}

    def conditions(self) -> list[Condition]:
        return [Dirichlet(u=0.0)]

    def exact(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """By a series that satisfies the equation exactly and the boundary values to 1e-12, which bounds the error."""
        return {"u": poisson_on_l_shape()(x, y)}


@dataclass(frozen=True)
class PoissonHoles(Problem):
    """Laplace(u) = 0 on [-1/2, 1/2]^2 without four disks of radius 0.1 at (+-0.3, +-0.3).

    u = 1 on the square's boundary and 0 on the disks. The pieces of the boundary are the rectangle's sides and "holes".

    Source: PINNacle's Poisson2D_Classic (Hao et al., NeurIPS 2024, 2306.08827), whose tabulated reference is a
    finite-element solution on 1246 nodes.
    """

    coordinates = ("x", "y")
    unknowns = ("u",)
    domain = Rectangle(("x", "y"), (-0.5, -0.5), (0.5, 0.5)) - _HOLES.named("holes")

    def equations(self, u: Jet, x: Jet, y: Jet) -> dict[str, Jet]:
        return {"laplace": u.xx + u.yy}

    def conditions(self) -> list[Condition]:
        return [Dirichlet(u=1.0, on=("left", "right", "bottom", "top")), Dirichlet(u=0.0, on="holes")]

    def exact(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """By a series that satisfies the equation exactly and the boundary values to 1e-12, which bounds the error."""
        return {"u": laplace_on_perforated_square()(x, y)}


@dataclass(frozen=True)
class RandomPoisson(RandomProblem):
    """-Laplace(u) = f on [0, 1]^2, u = 0 on the boundary, with a random sum f of Gaussians: a map from f to u.

    There are 1 to ``sources`` of them, of normally distributed strength and of widths between ``narrowest`` and ``widest``.

    Args:
        sources: largest number of Gaussians.
        narrowest, widest: bounds of their standard deviations.

    Source: in the spirit of Poisson-Gauss of Herde et al., NeurIPS 2024, 2405.19101.
    """

    sources: int = 8
    narrowest: float = 0.025
    widest: float = 0.1

    coordinates = ("x", "y")
    unknowns = ("u",)
    domain = Rectangle(("x", "y"), (0, 0), (1, 1))

    def source(self, x: Any, y: Any) -> Any:
        """f, of tensors or jets."""
        generator = self.generator()
        count = int(torch.randint(1, self.sources + 1, (), generator=generator))
        drawn = torch.rand(3, count, dtype=torch.float64, generator=generator).tolist()
        strengths = torch.randn(count, dtype=torch.float64, generator=generator).tolist()
        total = 0 * x
        for a, b, relative, strength in zip(*drawn, strengths, strict=True):
            width = self.narrowest + (self.widest - self.narrowest) * relative
            total = total + strength * torch.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * width**2))
        return total

    def equations(self, u: Jet, x: Any, y: Any) -> dict[str, Jet]:
        return {"poisson": u.xx + u.yy + self.source(x, y)}

    def conditions(self) -> list[Condition]:
        return [Dirichlet(u=0.0)]

    def simulate(
        self, instances: Sequence[RandomPoisson], points: int, times: Tensor, refine: int, device: torch.device | None
    ) -> Simulation:
        """By a compact scheme of fourth order on ``refine`` times as many cells; both ends of an axis are on the grid."""
        axis = torch.linspace(0, 1, (points - 1) * refine + 1, dtype=torch.float64, device=device)
        x, y = torch.meshgrid(axis, axis, indexing="ij")
        source = torch.stack([instance.source(x, y) for instance in instances])
        kept = (..., slice(None, None, refine), slice(None, None, refine))
        fields = {"u": poisson_square(source)[kept].unsqueeze(1)}
        axes = {"x": axis[::refine], "y": axis[::refine]}
        return Simulation(fields, axes, (False, False), {"f": source[kept]})
