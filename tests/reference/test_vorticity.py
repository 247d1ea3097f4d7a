"""The vorticity solver: closed forms, invariants, convergence, batches."""

from __future__ import annotations

import math

import pytest
import torch

from sciml.errors import InputError
from sciml.reference import FourierGrid, vorticity_flow

TIMES = torch.linspace(0, 1, 3, dtype=torch.float64)


def points(n: int, length: float = 1.0) -> tuple[torch.Tensor, ...]:
    return FourierGrid((0.0, 0.0), (length, length), (n, n)).points()


def swirl(n: int) -> torch.Tensor:
    x, y = (2 * math.pi * axis for axis in points(n))
    return torch.sin(x) * torch.cos(2 * y) + torch.cos(x + y)


def test_vortices_of_one_wave_number_decay() -> None:
    x, y = points(16, length=3.0)
    k = 2 * math.pi / 3
    start = torch.sin(k * x) * torch.sin(k * y)
    flow = vorticity_flow(start, 0.02, TIMES, length=3.0)
    expected = start * torch.exp(-2 * k**2 * 0.02 * TIMES)[:, None, None]
    torch.testing.assert_close(flow, expected, rtol=0, atol=1e-13)


def test_a_steady_force_balances_decay() -> None:
    x, y = points(16)
    wave = torch.sin(2 * math.pi * x) * torch.sin(2 * math.pi * y)
    flow = vorticity_flow(wave, 0.02, TIMES, forcing=0.02 * 8 * math.pi**2 * wave)
    torch.testing.assert_close(flow, wave.expand_as(flow), rtol=0, atol=1e-13)


def test_without_viscosity_energy_and_enstrophy_stay() -> None:
    n = 32
    flow = vorticity_flow(swirl(n), 1e-12, TIMES, steps=40)
    grid = FourierGrid((0.0, 0.0), (1.0, 1.0), (n, n))
    psi = grid.inverse(-grid.inverse_laplacian() * grid.forward(flow))
    assert (flow[2] - flow[0]).abs().max() > 0.1
    for invariant in ((flow**2).mean((1, 2)), (psi * flow).mean((1, 2))):
        torch.testing.assert_close(invariant, invariant[:1].expand(3), rtol=1e-6, atol=0)


def test_it_has_converged_in_space_and_time() -> None:
    fine = vorticity_flow(swirl(64), 1e-3, TIMES, steps=40)[:, ::2, ::2]
    error = (vorticity_flow(swirl(32), 1e-3, TIMES) - fine).norm() / fine.norm()
    assert error < 1e-5


def test_a_batch_is_its_members() -> None:
    starts = torch.stack([swirl(16), 2 * swirl(16).T])
    together = vorticity_flow(starts, 1e-3, TIMES, steps=20)
    apart = torch.stack([vorticity_flow(start, 1e-3, TIMES, steps=20) for start in starts], dim=1)
    torch.testing.assert_close(together, apart, rtol=1e-12, atol=1e-14)


def test_a_grid_that_is_not_square_is_refused() -> None:
    with pytest.raises(InputError, match="square"):
        vorticity_flow(torch.zeros(8, 16), 1e-3, TIMES)
