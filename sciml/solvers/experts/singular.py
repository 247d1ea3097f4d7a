"""What polynomials cannot say at the corners of a plane domain.

At a corner of angle w the solution of a second-order elliptic equation is a sum of r^s sin(s phi) and r^s cos(s phi) with
s = k pi / w and smooth functions; where s is whole the pair has a logarithm: the imaginary and real part of z^s log z.
Source: Grisvard, Elliptic Problems in Nonsmooth Domains (1985), for Dirichlet, Neumann and smooth data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.geometry import Domain
from sciml.jets import MultiIndex

HIGHEST = 6.0  # power; higher ones are smooth enough
WHOLE = 1e-9
TINY = 1e-30
PROBES = 257  # along the cut of a function, to see that it stays outside


@dataclass(frozen=True)
class _Power:
    """z^power, or z^power log z, of z measured from a corner, real along the middle of its angle."""

    corner: complex
    turn: complex
    power: float
    logarithmic: bool

    def derivative(self, z: Tensor, order: int) -> Tensor:
        """Derivative in z, complex (N,)."""
        local = (z - self.corner) * self.turn
        local = torch.where(local.abs() < TINY, TINY, local)  # the value at the corner itself, which is zero
        plain, log = (0.0, 1.0) if self.logarithmic else (1.0, 0.0)
        for k in range(order):  # (z^s (a + b log z))' = z^(s - 1) ((s - k) a + b + (s - k) b log z)
            plain, log = (self.power - k) * plain + log, (self.power - k) * log
        return local ** (self.power - order) * (plain + log * local.log()) * self.turn**order


@dataclass(frozen=True)
class Singular:
    """The real and imaginary parts of all ``powers``."""

    powers: tuple[_Power, ...]

    def __len__(self) -> int:
        return 2 * len(self.powers)

    def jets(self, points: Tensor, indices: Sequence[MultiIndex]) -> Tensor:
        """Derivatives (J, S, N) of the J functions at ``points`` (N, 2), none at points of other dimensions."""
        if not self.powers:  # in any dimension
            return points.new_zeros(0, len(indices), len(points))
        z = torch.complex(points[:, 0], points[:, 1])
        rows = []
        for power in self.powers:
            # d/dx is d/dz, and d/dy is i d/dz
            found = torch.stack([1j ** index[1] * power.derivative(z, sum(index)) for index in indices])
            rows += [found.real, found.imag]
        return torch.stack(rows)


def singular(domain: Domain) -> Singular:
    """The functions of all corners of a plane domain that has a re-entrant one; none otherwise, as grading is enough.

    Each is cut along the ray that leaves the domain in the middle of the corner's outer angle; a corner whose ray meets the
    domain again gets none.
    """
    plane = domain.space
    if domain.time is not None or plane is None or plane.dimension != 2:
        return Singular(())
    corners = plane.corners
    if not any(corner.angle > math.pi * (1 + WHOLE) for corner in corners):
        return Singular(())
    low, high = plane.bounds
    size = float((high - low).norm())
    powers = []
    for corner in corners:
        middle = _middle(plane, corner.point, corner.angle, 1e-6 * size)
        ray = size * torch.linspace(0, 1, PROBES, dtype=torch.float64)[1:, None]
        outward = torch.tensor([[-math.cos(middle), -math.sin(middle)]], dtype=torch.float64)
        if plane.contains(torch.tensor([corner.point], dtype=torch.float64) + ray * outward).any():
            continue
        for k in range(1, int(HIGHEST * corner.angle / math.pi) + 1):
            power = k * math.pi / corner.angle
            turn = complex(math.cos(middle), -math.sin(middle))
            powers.append(_Power(complex(*corner.point), turn, power, abs(power - round(power)) < WHOLE))
    return Singular(tuple(powers))


def _middle(plane: Domain, point: tuple[float, float], angle: float, radius: float) -> float:
    """The direction in the middle of a corner's angle: that of the mean of the points inside on a small circle."""
    around = torch.arange(3600, dtype=torch.float64) * (2 * math.pi / 3600)
    circle = torch.stack([around.cos(), around.sin()], dim=1)
    inside = plane.contains(torch.tensor([point], dtype=torch.float64) + radius * circle)
    mean = circle[inside].mean(0)
    return float(torch.atan2(mean[1], mean[0]))
