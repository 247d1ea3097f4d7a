"""Families of compressible flows on the torus: the Euler equations of an ideal gas."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from problems.random_fields import Function, periodic_field
from sciml.geometry import Domain, Rectangle, Time
from sciml.jets import Jet
from sciml.problem import Condition, Initial, Periodic, RandomProblem, Simulation
from sciml.reference import compressible_euler


@dataclass(frozen=True)
class CompressibleFlow(RandomProblem):
    """The Euler equations for density rho, velocity (u, v) and pressure p of an ideal gas on [0, 1]^2, periodic."""

    coordinates = ("x", "y", "t")
    unknowns = ("rho", "u", "v", "p")
    channels: ClassVar[dict[str, str]] = {"rho": "density", "u": "velocity", "v": "velocity", "p": "pressure"}

    duration: float = 1.0
    gamma: float = 1.4

    @property
    def domain(self) -> Domain:
        return Rectangle(("x", "y"), (0, 0), (1, 1)) * Time("t", 0, self.duration)

    def equations(self, rho: Jet, u: Jet, v: Jet, p: Jet, x: Jet, y: Jet, t: Jet) -> dict[str, Jet]:
        energy = p / (self.gamma - 1) + rho * (u**2 + v**2) / 2
        return {
            "mass": rho.t + (rho * u).x + (rho * v).y,
            "momentum_x": (rho * u).t + (rho * u**2 + p).x + (rho * u * v).y,
            "momentum_y": (rho * v).t + (rho * u * v).x + (rho * v**2 + p).y,
            "energy": energy.t + ((energy + p) * u).x + ((energy + p) * v).y,
        }

    def conditions(self) -> list[Condition]:
        return [Initial(**self.initial()), Periodic("x"), Periodic("y")]

    @abstractmethod
    def initial(self) -> Mapping[str, Function]:
        """The initial fields of this instance by unknown, functions of x and y."""

    def simulate(
        self, instances: Sequence[CompressibleFlow], points: int, times: Tensor, refine: int, device: torch.device | None
    ) -> Simulation:
        """By finite volumes on ``refine`` times as many cells; fields are means over cells, the grid their centres."""
        n = points * refine
        axis = (torch.arange(n, dtype=torch.float64, device=device) + 0.5) / n
        x, y = (c.reshape(-1) for c in torch.meshgrid(axis, axis, indexing="ij"))
        functions = [instance.initial() for instance in instances]
        start = torch.stack([torch.stack([f[name](x, y) for f in functions]) for name in self.unknowns])
        flow = compressible_euler(start.unflatten(-1, (n, n)), times, (1.0, 1.0), self.gamma)
        flow = flow.unflatten(-1, (points, refine)).mean(-1).unflatten(-2, (points, refine)).mean(-2)
        axes = dict.fromkeys(("x", "y"), axis.unflatten(0, (points, refine)).mean(1))
        return Simulation(dict(zip(self.unknowns, flow.transpose(0, 1).transpose(1, 2), strict=True)), axes, (True, True))


@dataclass(frozen=True)
class EulerRiemann(CompressibleFlow):
    """The compressible Euler equations from random constant states in the four quadrants of the torus: shocks and contacts.

    Density and pressure are uniform in [0.1, 1], velocities in [-1, 1].

    Args:
        duration: final time.
        gamma: ratio of specific heats.

    Source: CE-RP of Herde et al., NeurIPS 2024, 2405.19101.
    """

    def initial(self) -> Mapping[str, Function]:
        drawn = torch.rand(4, 2, 2, dtype=torch.float64, generator=self.generator())
        low = {"rho": 0.1, "u": -1.0, "v": -1.0, "p": 0.1}

        def constant(values: Tensor) -> Function:
            return lambda x, y: values.to(x)[(x >= 0.5).long(), (y >= 0.5).long()]

        return {name: constant(low[name] + (1 - low[name]) * unit) for name, unit in zip(self.unknowns, drawn, strict=True)}


@dataclass(frozen=True)
class EulerKelvinHelmholtz(CompressibleFlow):
    """The compressible Euler equations from a dense layer that slides through a light gas: its edges roll up.

    Density 2 and velocity 1/2 within the layer 1/4 < y < 3/4, 1 and -1/2 outside, pressure 2.5; the edges are displaced at
    random.

    Args:
        duration: final time.
        gamma: ratio of specific heats.
        displacement: root mean square displacement of the edges.
        thickness: of the edges.
        waves: largest number of waves of the displacement.

    Source: CE-KH of Herde et al., NeurIPS 2024, 2405.19101, with smooth edges.
    """

    displacement: float = 0.01
    thickness: float = 0.01
    waves: int = 10

    def initial(self) -> Mapping[str, Function]:
        generator = self.generator()
        lower, upper = (
            periodic_field(generator, 1, self.waves, torch.ones_like, mean_square=self.displacement**2) for _ in range(2)
        )

        def layer(x: Tensor, y: Tensor) -> Tensor:
            """From 0 outside to 1 within."""
            below, above = y - 0.25 - lower(x), 0.75 + upper(x) - y
            return (torch.tanh(below / self.thickness) + torch.tanh(above / self.thickness)) / 2

        return {
            "rho": lambda x, y: 1 + layer(x, y),
            "u": lambda x, y: layer(x, y) - 0.5,
            "v": lambda x, y: torch.zeros_like(x),
            "p": lambda x, y: torch.full_like(x, 2.5),
        }
