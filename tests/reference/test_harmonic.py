"""Series for Poisson's equation: harmonic, and on the boundary what they should be, which bounds their error."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sciml.jets import autograd
from sciml.reference import BoundaryFit, laplace_on_perforated_square, poisson_on_l_shape
from sciml.reference.harmonic import fit_boundary

# Fractions of an edge, down to a distance of 1e-14 from its ends and the ends themselves.
NEAR = torch.logspace(-14, -1, 400, dtype=torch.float64)
ALONG = torch.cat([torch.linspace(0, 1, 4001, dtype=torch.float64), NEAR, 1 - NEAR])


def _edges(vertices: list[complex]) -> Tensor:
    ends = torch.tensor(vertices, dtype=torch.complex128)
    return torch.cat([a + (b - a) * ALONG for a, b in zip(ends, ends.roll(-1), strict=True)])


def _circles() -> Tensor:
    angle = 2 * math.pi * ALONG
    centres = [0.3 + 0.3j, -0.3 + 0.3j, -0.3 - 0.3j, 0.3 - 0.3j]
    return torch.cat([centre + torch.polar(torch.full_like(angle, 0.1), angle) for centre in centres])


L_SHAPE = _edges([0, 1j, -1 + 1j, -1 - 1j, 1 - 1j, 1])
SQUARE = _edges([-0.5 - 0.5j, 0.5 - 0.5j, 0.5 + 0.5j, -0.5 + 0.5j])


@pytest.mark.parametrize(
    "fit, boundary, value",
    [(poisson_on_l_shape, L_SHAPE, 0), (laplace_on_perforated_square, SQUARE, 1),
     (laplace_on_perforated_square, _circles(), 0)],
)  # fmt: skip
def test_the_boundary_values_are_met(fit: Callable[[], BoundaryFit], boundary: Tensor, value: float) -> None:
    assert (fit()(boundary.real, boundary.imag) - value).abs().max() < 1e-12
    assert fit().error < 1e-12


@pytest.mark.parametrize("fit, right, scale", [(poisson_on_l_shape, -1, 1.0), (laplace_on_perforated_square, 0, 0.5)])
def test_the_equation_holds_everywhere(fit: Callable[[], BoundaryFit], right: float, scale: float) -> None:
    points = scale * (2 * torch.rand(4000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1)
    if right:
        inside = (points > -1e-9).any(1) & ~(points > -1e-9).all(1) | (points < 0).all(1)
    else:
        inside = (points.abs() - 0.3).norm(dim=1) > 0.1
    x, y = points[inside].unbind(1)
    (u,) = autograd(lambda p: fit()(*p.unbind(1)).unsqueeze(1), torch.stack([x, y], 1), ("x", "y"))
    scale = (u.xx.value.abs() + 1).max().item()
    assert (u.xx.value + u.yy.value - right).abs().max() < 1e-12 * scale


def test_the_bound_shows_a_basis_that_is_too_small() -> None:
    # u = x^3 - 3 x y^2 on a circle by polynomials of degree 2: the best approximation is 0, the error 1.
    def boundary(n: int) -> tuple[Tensor, Tensor]:
        angle = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
        z = torch.polar(torch.ones_like(angle), angle)
        return z, (z**3).real

    def zero(z: Tensor) -> Tensor:
        return torch.zeros_like(z.real)

    def error(powers: int) -> float:
        return fit_boundary(lambda z: torch.linalg.vander(z, N=powers).real, zero, boundary, 40).error

    assert error(3) == pytest.approx(1)
    assert error(4) < 1e-14


def test_the_type_of_the_points_is_kept() -> None:
    x = torch.tensor([-0.5, 0.0, -1.0], dtype=torch.float64)
    for fit in (poisson_on_l_shape(), laplace_on_perforated_square()):
        y = x.flip(0) / 3
        single = fit(x.float(), y.float())
        assert single.dtype == torch.float32
        torch.testing.assert_close(single.double(), fit(x, y), atol=1e-4, rtol=1e-4)
