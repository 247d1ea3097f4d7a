"""Families of incompressible flows on the torus: the Navier-Stokes equations from random initial vorticity."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from problems.random_fields import Function, periodic_field
from sciml.geometry import Domain, Rectangle, Time
from sciml.jets import Jet
from sciml.problem import Condition, Initial, Integral, Periodic, RandomProblem


@dataclass(frozen=True)
class VorticityFlow(RandomProblem):
    """The Navier-Stokes equations for the velocity (u, v), of mean zero, and its vorticity w = v_x - u_y, periodic."""

    coordinates = ("x", "y", "t")
    unknowns = ("u", "v", "w")
    channels: ClassVar[dict[str, str]] = {"u": "velocity", "v": "velocity"}
    courant = 2.0  # the shortest waves, for which it is large, are damped

    nu: float = 1e-3
    duration: float = 1.0

    @property
    def domain(self) -> Domain:
        return Rectangle(("x", "y"), (0, 0), (1, 1)) * Time("t", 0, self.duration)

    def equations(self, u: Jet, v: Jet, w: Jet, x: Any, y: Any, t: Any) -> dict[str, Jet]:
        return {
            "vorticity": w.t + u * w.x + v * w.y - self.nu * (w.xx + w.yy),
            "continuity": u.x + v.y,
            "definition": v.x - u.y - w,
        }

    def conditions(self) -> list[Condition]:
        return [Initial(w=self.vorticity()), Periodic("x"), Periodic("y"), Integral(u=0.0, v=0.0)]

    @abstractmethod
    def vorticity(self) -> Function:
        """The initial vorticity of this instance, a function of x and y."""


@dataclass(frozen=True)
class ShearLayers(VorticityFlow):
    """Two opposite shear layers on the torus [0, 1]^2, displaced at random: they roll up into vortices.

    w(x, y, 0) = -d/dy tanh(sin(2 pi (y + s(x))) / (2 pi thickness)) with a random s of up to ``waves`` waves, all alike.

    Args:
        nu: viscosity.
        duration: final time.
        thickness: of a layer; the velocity changes by 2 across it.
        displacement: root mean square of s.
        waves: largest number of waves of s.

    Source: NS-SL of Herde et al., NeurIPS 2024, 2405.19101, with layers that are periodic to all orders.
    """

    thickness: float = 0.05
    displacement: float = 0.02
    waves: int = 8

    def vorticity(self) -> Function:
        shift = periodic_field(self.generator(), 1, self.waves, torch.ones_like, mean_square=self.displacement**2)

        def vorticity(x: Tensor, y: Tensor) -> Tensor:
            phase = 2 * math.pi * (y + shift(x))
            profile = torch.tanh(torch.sin(phase) / (2 * math.pi * self.thickness))
            return (profile**2 - 1) * torch.cos(phase) / self.thickness

        return vorticity


@dataclass(frozen=True)
class SineVorticity(VorticityFlow):
    """A random sum of sines as initial vorticity on the torus [0, 1]^2: smooth eddies of many sizes.

    Args:
        nu: viscosity.
        duration: final time.
        speed: root mean square velocity that is expected at the start.
        waves: largest number of waves along an axis.
        decay: the amplitude of the vorticity falls as this power of the wavenumber.

    Source: in the spirit of NS-Sines of Herde et al., NeurIPS 2024, 2405.19101.
    """

    speed: float = 1.0
    waves: int = 10
    decay: float = 1.0

    def vorticity(self) -> Function:
        return _eddies(self.generator(), self.waves, self.speed, lambda k: k**-self.decay)


@dataclass(frozen=True)
class PiecewiseVortices(VorticityFlow):
    """Initial vorticity that is constant on squares, uniformly distributed, with steep edges, on the torus [0, 1]^2.

    Args:
        nu: viscosity.
        duration: final time.
        squares: along each axis.
        strength: largest vorticity.
        edge: length over which the vorticity changes; zero would be a jump, which no grid resolves.

    Source: NS-PwC of Herde et al., NeurIPS 2024, 2405.19101, whose edges are sharp.
    """

    squares: int = 10
    strength: float = 25.0
    edge: float = 0.02

    def vorticity(self) -> Function:
        drawn = torch.rand(self.squares, self.squares, dtype=torch.float64, generator=self.generator())
        strengths = 2 * self.strength * (drawn - drawn.mean())

        def inside(x: Tensor) -> Tensor:
            """How far (N, squares) every x lies within each square of a row."""
            edges = torch.arange(-1, self.squares + 2, dtype=x.dtype, device=x.device) / self.squares
            steps = torch.tanh((x.unsqueeze(1) - edges) / self.edge) / 2
            boxes = steps[:, :-1] - steps[:, 1:]
            boxes[:, 1] += boxes[:, -1]  # the images of the first and the last square
            boxes[:, -2] += boxes[:, 0]
            return boxes[:, 1:-1]

        return lambda x, y: (inside(x) @ strengths.to(x) * inside(y)).sum(1)


@dataclass(frozen=True)
class KolmogorovFlow(VorticityFlow):
    """Two-dimensional turbulence on the torus [0, 2 pi]^2, driven by the force strength sin(mode y) along x, with friction.

    From random eddies at t = 0 it has forgotten its start after some twenty units of time, when trajectories begin.

    Args:
        nu: viscosity.
        duration: from the start of a trajectory to its end.
        warm_up: when trajectories begin.
        strength, mode: of the force.
        friction: linear drag.

    Source: the setting of APEBench (Koehler et al., NeurIPS 2024).
    """

    nu: float = 0.01
    duration: float = 5.0
    warm_up: float = 20.0
    strength: float = 1.0
    mode: int = 4
    friction: float = 0.1

    @property
    def domain(self) -> Domain:
        return Rectangle(("x", "y"), (0, 0), (2 * math.pi, 2 * math.pi)) * Time("t", 0, self.warm_up + self.duration)

    def equations(self, u: Jet, v: Jet, w: Jet, x: Any, y: Any, t: Any) -> dict[str, Jet]:
        curl = -self.strength * self.mode * torch.cos(self.mode * y)
        declared = super().equations(u, v, w, x, y, t)
        return declared | {"vorticity": declared["vorticity"] + self.friction * w - curl}

    def vorticity(self) -> Function:
        return _eddies(self.generator(), 8, 1.0, lambda k: k * torch.exp(-((k / 4) ** 2)), period=2 * math.pi)


def _eddies(
    generator: torch.Generator, waves: int, speed: float, deviation: Callable[[Tensor], Tensor], period: float = 1.0
) -> Function:
    """A random vorticity whose velocity has the expected root mean square ``speed``."""
    return periodic_field(generator, 2, waves, deviation, period, mean_square=speed**2, measured=lambda k: 1 / k)
