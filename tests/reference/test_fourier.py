"""Transforms, derivatives and evaluation on periodic grids."""

from __future__ import annotations

import math

import pytest
import torch

from sciml.errors import InputError
from sciml.reference import FourierGrid


@pytest.mark.parametrize("n", [15, 16])
def test_derivatives_of_trigonometric_polynomials(n: int) -> None:
    grid = FourierGrid((-1.0,), (1.0,), (n,))
    (x,) = grid.points()
    w = math.pi * 5
    coefficients = grid.forward(torch.sin(w * x))
    for order, exact in enumerate([torch.sin(w * x), w * torch.cos(w * x), -(w**2) * torch.sin(w * x)]):
        assert (grid.inverse(grid.derivative(order) * coefficients) - exact).abs().max() < 1e-11


def test_mixed_derivative_in_two_dimensions() -> None:
    grid = FourierGrid((0.0, -1.0), (2 * math.pi, 1.0), (12, 10))
    x, y = grid.points()
    field = torch.sin(2 * x) * torch.cos(math.pi * y)
    mixed = grid.inverse(grid.derivative(1, 1) * grid.forward(field))
    assert (mixed + 2 * math.pi * torch.cos(2 * x) * torch.sin(math.pi * y)).abs().max() < 1e-12
    assert not grid.derivative(0, 2).is_complex()


def test_an_odd_derivative_of_the_highest_mode_is_zero() -> None:
    grid = FourierGrid((0.0,), (2 * math.pi,), (8,))
    sawtooth = torch.cos(4 * grid.points()[0])
    assert grid.inverse(grid.derivative(1) * grid.forward(sawtooth)).abs().max() < 1e-13
    assert (grid.inverse(grid.derivative(2) * grid.forward(sawtooth)) + 16 * sawtooth).abs().max() < 1e-12


@pytest.mark.parametrize("shape", [(9, 12), (12, 9)])
def test_evaluation_anywhere(shape: tuple[int, int]) -> None:
    def field(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return 1 + torch.sin(3 * x - 1) * torch.cos(2 * math.pi * y) + torch.stack([torch.cos(x), torch.sin(4 * x)])

    grid = FourierGrid((0.0, -1.0), (2 * math.pi, 1.0), shape)
    coefficients = grid.forward(field(*grid.points()))
    x = torch.tensor([0.0, 0.4, 1.7, 2 * math.pi], dtype=torch.float64)
    y = torch.tensor([-1.0, 0.123, 1.0], dtype=torch.float64)
    values = grid.evaluate(coefficients, x, y)
    assert values.shape == (2, 4, 3)
    assert (values - field(*torch.meshgrid(x, y, indexing="ij"))).abs().max() < 1e-13


def test_evaluation_interpolates_what_is_on_the_grid() -> None:
    grid = FourierGrid((0.0, 0.0), (1.0, 1.0), (6, 8))
    field = torch.randn(6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x, y = grid.points()
    assert (grid.evaluate(grid.forward(field), x[:, 0], y[0]) - field).abs().max() < 1e-14


def test_a_dealiased_product_is_the_true_one() -> None:
    grid, fine = (FourierGrid((0.0,), (2 * math.pi,), (n,)) for n in (24, 96))
    keep = grid.dealias()
    random = torch.randn(2, 13, dtype=torch.complex128, generator=torch.Generator().manual_seed(0)) * keep
    random[:, 0] = random[:, 0].real.to(random.dtype)
    a, b = random
    x = fine.points()[0]
    product = grid.forward(grid.inverse(a) * grid.inverse(b)) * keep
    true = fine.forward(grid.evaluate(a, x) * grid.evaluate(b, x))[:13] / 4 * keep
    assert (product - true).abs().max() < 1e-12
    assert keep.sum() == 8  # wavenumbers 0 to 7 of a grid of 24: three of them wrap around to 24 - 14 = 10 > 7


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="shape"):
        FourierGrid((0.0,), (1.0,), (4, 4))
    with pytest.raises(InputError, match="orders"):
        FourierGrid((0.0,), (1.0,), (4,)).derivative(1, 0)
