"""Laplace's and Poisson's equations by least squares on the boundary; the maximum principle bounds the error."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor

Field = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class BoundaryFit:
    """A particular solution plus the combination of harmonic functions that brings it to given boundary values.

    Attributes:
        basis: harmonic functions of z = x + iy, complex (N,) to real (N, m).
        particular: a solution of the equation whatever its boundary values, complex (N,) to real (N,).
        coefficients: of the basis (m,), float64 on the CPU.
        error: largest deviation from the boundary values, on points three times denser than the fitted ones. By the
            maximum principle the error is nowhere larger.
    """

    basis: Field
    particular: Field
    coefficients: Tensor
    error: float

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """The solution (N,) at points of the closed domain; differentiable except at its corners."""
        z = torch.complex(x, y)
        return self.basis(z) @ self.coefficients.to(x) + self.particular(z)


def fit_boundary(basis: Field, particular: Field, boundary: Callable[[int], tuple[Tensor, Tensor]], n: int) -> BoundaryFit:
    """Fit ``basis`` to boundary values.

    Args:
        basis: as in ``BoundaryFit``.
        particular: as in ``BoundaryFit``.
        boundary: makes n points z on every piece of the boundary, and the values there.
        n: how many to fit.
    """
    z, values = boundary(n)
    right = (values - particular(z)).unsqueeze(-1)
    coefficients = torch.linalg.lstsq(basis(z), right, rcond=1e-15, driver="gelsd").solution.squeeze(-1)
    z, values = boundary(3 * n)
    error = (basis(z) @ coefficients + particular(z) - values).abs().max().item()
    return BoundaryFit(basis, particular, coefficients, error)


@lru_cache(maxsize=1)
def poisson_on_l_shape() -> BoundaryFit:
    """-Laplace(u) = 1 in [-1, 1]^2 without the quadrant x, y > 0, with u = 0 on the boundary, to 1e-12.

    In w = z^(2/3) the two edges at the re-entrant corner lie on one line, in which u is odd: there, u is a polynomial
    and, at the other corners c, a sum of singularities (w - c)^k log(w - c) with k >= 2. Compare the lightning solver
    of Gopal & Trefethen, SIAM J. Numer. Anal. 57 (2019), which has poles in their place.
    """
    turn = cmath.exp(-1.25j * math.pi)  # the axis of symmetry becomes the positive real line

    def unfold(z: Tensor) -> Tensor:
        return (z * turn) ** (2 / 3)

    vertices = torch.tensor([1j, -1 + 1j, -1 - 1j], dtype=torch.complex128)  # half of the boundary
    corners = unfold(vertices)

    def singular(w: Tensor) -> Tensor:
        distance = 1 - w.unsqueeze(-1) / corners.to(w)
        logarithm = torch.log(torch.where(distance == 0, 1, distance))  # its cut leaves the domain at the corner
        terms = (distance**2 * logarithm).unsqueeze(-1) * torch.linalg.vander(distance, N=6)
        return terms.flatten(1)

    def basis(z: Tensor) -> Tensor:
        w = unfold(z)
        scaled = w / corners.abs().max()
        polynomials = scaled.unsqueeze(-1) * torch.linalg.vander(scaled**2, N=40)  # odd powers
        symmetric = singular(w) + singular(w.conj()) - singular(-w) - singular(-w.conj())
        return torch.cat([polynomials.real, symmetric.real, symmetric.imag], dim=1)

    def particular(z: Tensor) -> Tensor:
        # Zero on the two edges, where turned = |z| exp(+-3 pi i / 4).
        turned = z * turn
        logarithm = torch.log(torch.where(turned == 0, 1, turned))
        return (turned**2 * logarithm).real / (3 * math.pi) - (z * z.conj()).real / 4

    def boundary(n: int) -> tuple[Tensor, Tensor]:
        # Twice the cosine: as dense at the corners as their singularities need.
        angle = math.pi * (torch.arange(n, dtype=torch.float64) + 0.5) / n
        along = (1 - torch.cos(math.pi / 2 * (1 - torch.cos(angle)))) / 2
        z = torch.cat([a + (b - a) * along for a, b in pairwise(vertices)])
        return z, torch.zeros_like(z.real)

    return fit_boundary(basis, particular, boundary, n=300)


@lru_cache(maxsize=1)
def laplace_on_perforated_square() -> BoundaryFit:
    """Laplace(u) = 0 in [-1/2, 1/2]^2 without four disks of radius 0.1 at (+-0.3, +-0.3), to 1e-12.

    u = 1 on the square and 0 on the disks. The sum of a polynomial and of a logarithm and negative powers about every
    disk, all with the symmetry of the square. At the square's corners u is smooth, being odd about 1 in both sides.
    """
    centre, radius = 0.3 + 0.3j, 0.1

    def basis(z: Tensor) -> Tensor:
        turned = torch.stack([z, 1j * z, -z, -1j * z], dim=-1)
        about = (turned - centre) * cmath.exp(-0.25j * math.pi) / radius  # real along the diagonal
        laurent = torch.linalg.vander(1 / about, N=25)[:, :, 1:].sum(1)
        polynomials = torch.linalg.vander(4 * z**4, N=30)
        return torch.cat([polynomials.real, torch.log(about.abs()).sum(1, keepdim=True), laurent.real], dim=1)

    def boundary(n: int) -> tuple[Tensor, Tensor]:
        # By symmetry an eighth of the square and half of one circle.
        along = torch.linspace(0, 1, n, dtype=torch.float64)
        side = torch.complex(torch.full_like(along, 0.5), along / 2)
        circle = centre + torch.polar(torch.full_like(along, radius), math.pi * (along + 0.25))
        return torch.cat([side, circle]), torch.cat([torch.ones_like(along), torch.zeros_like(along)])

    return fit_boundary(basis, lambda z: torch.zeros_like(z.real), boundary, n=200)
