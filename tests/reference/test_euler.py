"""Compressible flow: exact shocks, order, conservation, symmetry."""

from __future__ import annotations

import math

import pytest
import torch

from sciml.errors import DivergenceError
from sciml.reference import compressible_euler


def centres(n):
    return (torch.arange(n, dtype=torch.float64) + 0.5) / n


def test_sods_shock_tube():
    # Exact values between rarefaction and contact and between contact and shock (Toro's book, test 1).
    n, t = 256, 0.1
    x = centres(n)
    inside = (x > 0.25) & (x < 0.75)
    tube = torch.stack([torch.where(inside, 1.0, 0.125), 0 * x, 0 * x, torch.where(inside, 1.0, 0.1)])
    flow = compressible_euler(tube[:, :, None].expand(4, n, 2), [0, t], (1.0, 2 / n), 1.4)[-1, :, :, 0]
    left, right = (int((0.75 + place) * n) for place in (0.05, 0.92745 * t + 0.035))
    for place, density in ((left, 0.42632), (right, 0.26557)):
        assert flow[0, place].item() == pytest.approx(density, rel=3e-3)
        assert flow[1, place].item() == pytest.approx(0.92745, rel=3e-3)
        assert flow[3, place].item() == pytest.approx(0.30313, rel=3e-3)
    shock = x[(flow[0] > 0.19).nonzero().max()]
    assert shock.item() == pytest.approx(0.75 + 1.75216 * t, abs=1.5 / n)


def drifting(n):
    """A density wave that is carried along, and the mean error of its density after half a unit of time."""
    x, y = torch.meshgrid(centres(n), centres(n), indexing="ij")
    mean = (math.sin(math.pi / n) / (math.pi / n)) ** 2

    def density(shift):
        return 1 + 0.2 * mean * torch.sin(2 * math.pi * (x + y - shift))

    start = torch.stack([density(0), torch.full_like(x, 1.0), torch.full_like(x, 0.5), torch.full_like(x, 1.0)])
    flow = compressible_euler(start, [0, 0.25], (1.0, 1.0), 1.4)[-1]
    assert (flow[1] - 1).abs().max() < 1e-13 and (flow[3] - 1).abs().max() < 1e-13
    return (flow[0] - density(0.375)).abs().mean().item()


def test_second_order_where_the_flow_is_smooth():
    assert 1.7 < math.log2(drifting(24) / drifting(48)) < 2.5


def quadrants(n):
    drawn = torch.rand(4, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    low = torch.tensor([0.1, -1, -1, 0.1], dtype=torch.float64).reshape(4, 1, 1)
    return (low + (1 - low) * drawn).repeat_interleave(n // 2, 1).repeat_interleave(n // 2, 2)


def test_mass_momentum_and_energy_are_conserved():
    flow = compressible_euler(quadrants(16), [0, 0.2], (1.0, 1.0), 1.4)
    rho, u, v, p = flow.unbind(1)
    for total in (rho, rho * u, rho * v, p / 0.4 + rho * (u**2 + v**2) / 2):
        assert (total[1].sum() - total[0].sum()).abs() < 1e-11
    assert (flow[1] - flow[0]).abs().max() > 0.1
    assert rho.min() > 0 and p.min() > 0


def test_x_and_y_are_alike_and_so_are_batches():
    start = quadrants(12)
    turned = start[[0, 2, 1, 3]].transpose(1, 2)
    flow = compressible_euler(torch.stack([start, turned], 1), [0, 0.1], (1.0, 1.0), 1.4)[-1]
    assert (flow[:, 1][[0, 2, 1, 3]].transpose(1, 2) - flow[:, 0]).abs().max() < 1e-13


def test_a_vacuum_is_an_error():
    start = torch.ones(4, 4, 4, dtype=torch.float64)
    start[3, 0] = -1
    with pytest.raises(DivergenceError, match="no longer positive at t=0"):
        compressible_euler(start, [0, 0.1], (1.0, 1.0), 1.4)
