"""ETDRK4 against systems and equations with closed solutions."""

from __future__ import annotations

import cmath
import math

import pytest
import torch

from sciml.errors import DivergenceError, InputError
from sciml.reference import FourierGrid, etdrk4


@pytest.mark.parametrize("symbol", [0, 1e-9, -1e-3, -1, 1, 1j, -1.2j, -0.7 + 0.7j, 300j, -1e3, -1e6])
def test_a_quadratic_forcing_is_integrated_exactly(symbol: complex) -> None:
    # v' = L v + s^2, s' = 1: the stages reproduce s^2, and the weights integrate it exactly for every L.
    symbols = torch.tensor([symbol, 0], dtype=torch.complex128)
    v = etdrk4(
        symbols, lambda v: torch.stack([v[1] ** 2, torch.ones_like(v[1])]),
        torch.tensor([1, 0], dtype=torch.complex128), [0, 0.5], steps=1,
    )[-1, 0].item()  # fmt: skip
    assert v == pytest.approx(_forced(symbol, 0.5), rel=2e-13)


def _forced(symbol: complex, t: float) -> complex:
    """exp(L t) + integral over s of exp(L (t - s)) s^2, by its series for small L t."""
    z = symbol * t
    if abs(z) < 1:
        phi = sum(z**k / math.factorial(k + 3) for k in range(25))
    else:
        phi = (cmath.exp(z) - 1 - z - z**2 / 2) / z**3
    return cmath.exp(z) + 2 * t**3 * phi


def test_linear_equations_are_exact_in_any_number_of_dimensions_and_batches() -> None:
    grid = FourierGrid((0.0, -1.0), (2 * math.pi, 1.0), (16, 12))
    x, y = grid.points()
    symbol = -2 * grid.derivative(1, 0) + 0.1 * (grid.derivative(2, 0) + grid.derivative(0, 2))
    amplitude = torch.tensor([1.0, -3.0], dtype=torch.float64).reshape(2, 1, 1)
    initial = grid.forward(amplitude * torch.sin(x) * torch.cos(math.pi * y))
    fields = grid.inverse(etdrk4(symbol, torch.zeros_like, initial, [0, 0.3, 1.0], steps=2))
    assert fields.shape == (3, 2, 16, 12)
    for t, field in zip([0, 0.3, 1.0], fields, strict=True):
        exact = amplitude * math.exp(-0.1 * (1 + math.pi**2) * t) * torch.sin(x - 2 * t) * torch.cos(math.pi * y)
        assert (field - exact).abs().max() < 1e-13


def test_order_four() -> None:
    grid = FourierGrid((0.0,), (2 * math.pi,), (64,))
    flux = -grid.derivative(1) / 2

    def burgers(steps: int) -> torch.Tensor:
        start = grid.forward(torch.sin(*grid.points()))
        coefficients = etdrk4(
            0.1 * grid.derivative(2), lambda v: flux * grid.forward(grid.inverse(v) ** 2), start, [0, 1], steps
        )
        return grid.inverse(coefficients[-1])

    truth = burgers(640)
    coarse, fine = ((burgers(n) - truth).abs().max().item() for n in (20, 40))
    assert 3.7 < math.log2(coarse / fine) < 4.5


def test_soliton_of_kdv() -> None:
    # u_t + 6 u u_x + u_xxx = 0 on a period so long that the soliton is zero at its ends to rounding.
    grid = FourierGrid((-20.0,), (20.0,), (384,))
    (x,) = grid.points()
    flux = -3 * grid.derivative(1) * grid.dealias()
    times = [0.0, 0.25, 0.5]
    coefficients = etdrk4(
        -grid.derivative(3),
        lambda v: flux * grid.forward(grid.inverse(v) ** 2),
        grid.forward(_soliton(x, 0.0)),
        times,
        750,
    )
    for t, field in zip(times, grid.inverse(coefficients), strict=True):
        assert (field - _soliton(x, t)).abs().max() < 1e-9
    mean = coefficients[:, 0].real
    assert (mean - mean[0]).abs().max() < 1e-12 * mean[0]


def _soliton(x: torch.Tensor, t: float, speed: float = 4.0) -> torch.Tensor:
    return speed / 2 / torch.cosh(math.sqrt(speed) / 2 * (x + 1 - speed * t)) ** 2


def test_rounding_does_not_accumulate() -> None:
    frequency = torch.linspace(0.5, 2, 200, dtype=torch.float64)
    start = torch.ones(200, dtype=torch.complex128)
    v = etdrk4(1j * frequency, torch.zeros_like, start, [0, 1], steps=20_000)[-1]
    assert (v - torch.polar(torch.ones_like(frequency), frequency)).abs().max() < 1e-13


def test_single_precision_stays_single() -> None:
    start = torch.ones(3, dtype=torch.complex64)
    v = etdrk4(
        torch.tensor([-1.0, 0.0, -50.0], dtype=torch.float64), torch.zeros_like, start, torch.tensor([0.0, 1.0]), 4
    )
    assert v.dtype == torch.complex64
    assert (v[-1] - torch.exp(torch.tensor([-1.0, 0.0, -50.0]))).abs().max() < 1e-6


def test_bad_input_is_named() -> None:
    one = torch.ones(1, dtype=torch.float64)
    with pytest.raises(InputError, match="times"):
        etdrk4(-one, torch.zeros_like, one, [0, 1, 1], 4)
    with pytest.raises(InputError, match="steps=0"):
        etdrk4(-one, torch.zeros_like, one, [0, 1], 0)
    with pytest.raises(DivergenceError, match="steps=2"):
        etdrk4(-one, lambda v: v**9, 1e9 * one, [0, 1], 2)


@pytest.mark.skipif(not torch.accelerator.is_available(), reason="needs an accelerator")
def test_an_accelerator_gives_what_the_processor_gives() -> None:
    grid = FourierGrid((0.0, 0.0), (1.0, 1.0), (16, 16))
    fields = []
    for device in (torch.device("cpu"), torch.accelerator.current_accelerator()):
        x, y = grid.points(device=device)
        keep = grid.dealias(device=device)
        flux = -(grid.derivative(1, 0, device=device) + grid.derivative(0, 1, device=device)) / 2 * keep
        diffusion = 0.05 * (grid.derivative(2, 0, device=device) + grid.derivative(0, 2, device=device))
        start = grid.forward(torch.sin(2 * math.pi * x) * torch.cos(2 * math.pi * y))
        coefficients = etdrk4(
            diffusion, lambda v, flux=flux: flux * grid.forward(grid.inverse(v) ** 2), start, [0, 0.2], 20
        )
        fields.append(grid.evaluate(coefficients[-1], x[:, 0], y[0]).cpu())
    assert (fields[0] - fields[1]).abs().max() < 1e-12
