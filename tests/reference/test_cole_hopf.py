"""The Cole-Hopf solution against Gauss-Hermite quadrature, its equation, and a spectral solver."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.reference import FourierGrid, cole_hopf, etdrk4


def _sine(x: Tensor, t: Tensor, viscosity: float) -> Tensor:
    return cole_hopf(
        x, t, viscosity, lambda y: -torch.sin(math.pi * y), lambda y: torch.cos(math.pi * y) / math.pi,
        variation=2 / math.pi, steepness=math.pi,
    )  # fmt: skip


def _gauss_hermite(x: Tensor, t: Tensor, viscosity: float, n: int = 100) -> Tensor:
    z, weights = (torch.as_tensor(a) for a in np.polynomial.hermite.hermgauss(n))
    origin = x[:, None] - 2 * torch.sqrt(viscosity * t)[:, None] * z
    exponent = -torch.cos(math.pi * origin) / (2 * math.pi * viscosity)
    density = weights * torch.exp(exponent - exponent.amax(1, keepdim=True))
    return -(torch.sin(math.pi * origin) * density).sum(1) / density.sum(1)


@pytest.mark.parametrize("t", [0.0, 0.01, 0.25, 0.5, 1.0])
def test_agrees_with_gauss_hermite(t: float) -> None:
    x = torch.linspace(-1, 1, 101, dtype=torch.float64)
    times = torch.full_like(x, t)
    nu = 0.01 / math.pi
    assert (_sine(x, times, nu) - _gauss_hermite(x, times, nu)).abs().max() < 1e-13


def test_agrees_with_a_fourier_solver() -> None:
    nu = 0.05 / math.pi
    grid = FourierGrid((-1.0,), (1.0,), (512,))
    (x,) = grid.points()
    flux = -grid.derivative(1) / 2
    start = grid.forward(-torch.sin(math.pi * x))
    coefficients = etdrk4(
        nu * grid.derivative(2), lambda v: flux * grid.forward(grid.inverse(v) ** 2), start, [0, 0.5, 1], 1000
    )
    for t, field in zip([0, 0.5, 1], grid.inverse(coefficients), strict=True):
        assert (field - _sine(x, torch.full_like(x, t), nu)).abs().max() < 1e-10


def test_satisfies_burgers_equation() -> None:
    nu = 0.02
    x = torch.linspace(-0.9, 0.9, 40, dtype=torch.float64, requires_grad=True)
    t = torch.linspace(0.05, 1, 40, dtype=torch.float64, requires_grad=True)
    u = _sine(x, t, nu)
    u_x, u_t = torch.autograd.grad(u.sum(), (x, t), create_graph=True)
    (u_xx,) = torch.autograd.grad(u_x.sum(), x)
    assert (u_t + u * u_x - nu * u_xx).abs().max() < 1e-10


def test_small_viscosity_leaves_the_shock_at_the_origin() -> None:
    # Outside the thin layer the solution is the inviscid one, u = u0(x - u t), to the order of the viscosity.
    x = torch.tensor([-0.6, -0.1, 0.1, 0.6], dtype=torch.float64)
    u = _sine(x, torch.ones_like(x), 1e-5)
    assert (u + torch.sin(math.pi * (x - u))).abs().max() < 1e-3
    assert (u + u.flip(0)).abs().max() < 1e-12


def test_many_points_are_the_same_as_few() -> None:
    x = torch.linspace(-1, 1, 40_000, dtype=torch.float64)
    t = torch.linspace(0, 1, 40_000, dtype=torch.float64)
    assert (_sine(x, t, 0.1)[::5000] - _sine(x[::5000], t[::5000], 0.1)).abs().max() < 1e-14


def test_bad_viscosity_is_named() -> None:
    x = torch.zeros(2, dtype=torch.float64)
    with pytest.raises(InputError, match="viscosity=0"):
        _sine(x, x, 0.0)
