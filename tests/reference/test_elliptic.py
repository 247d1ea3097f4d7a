"""Poisson's and Darcy's equation on the square against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from sciml.errors import DivergenceError, InputError
from sciml.reference import darcy_square, poisson_square


def grid(n):
    axis = torch.linspace(0, 1, n, dtype=torch.float64)
    return torch.meshgrid(axis, axis, indexing="ij")


def smooth(n):
    """u and -Laplace(u)."""
    x, y = grid(n)
    u = torch.sin(math.pi * x) * torch.sin(2 * math.pi * y) * torch.exp(x)
    along = (1 - math.pi**2) * torch.sin(math.pi * x) + 2 * math.pi * torch.cos(math.pi * x)
    return u, 4 * math.pi**2 * u - torch.sin(2 * math.pi * y) * torch.exp(x) * along


def order(error):
    coarse, fine = error(17), error(33)
    return math.log2(coarse / fine)


def test_poisson_is_solved_to_fourth_order():
    def error(n):
        u, source = smooth(n)
        return (poisson_square(source) - u).abs().max().item()

    assert order(error) == pytest.approx(4, abs=0.1)
    assert error(33) < 1e-5


def test_a_batch_is_solved_one_by_one():
    _, source = smooth(9)
    both = poisson_square(torch.stack([source, 2 * source.T]))
    assert (both[0] - poisson_square(source)).abs().max() < 1e-15
    assert (both[1] - 2 * poisson_square(source).T).abs().max() < 1e-14


def test_darcy_with_a_smooth_coefficient_is_solved_to_second_order():
    def error(n):
        x, y = grid(n)
        a = 2 + torch.sin(x + 3 * y)
        u = torch.sin(math.pi * x) * torch.sin(math.pi * y)
        slope_x = math.pi * torch.cos(math.pi * x) * torch.sin(math.pi * y)
        slope_y = math.pi * torch.sin(math.pi * x) * torch.cos(math.pi * y)
        source = 2 * math.pi**2 * a * u - torch.cos(x + 3 * y) * (slope_x + 3 * slope_y)
        return (darcy_square(a, source) - u).abs().max().item()

    assert order(error) == pytest.approx(2, abs=0.15)


def test_the_flux_is_continuous_across_a_jump():
    # Resistances of half cells in series, assembled entry by entry.
    n, generator = 8, torch.Generator().manual_seed(0)
    a = torch.where(torch.rand(n, n, generator=generator) > 0.5, 12.0, 3.0).double()
    f = torch.rand(n, n, generator=generator).double()
    inner = [(i, j) for i in range(1, n - 1) for j in range(1, n - 1)]
    matrix = torch.zeros(len(inner), len(inner), dtype=torch.float64)
    for row, (i, j) in enumerate(inner):
        for k, m in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
            conductance = 2 / (1 / a[i, j] + 1 / a[k, m]) * (n - 1) ** 2
            matrix[row, row] += conductance
            if (k, m) in inner:
                matrix[row, inner.index((k, m))] -= conductance
    right = torch.stack([f[place] for place in inner])
    dense = torch.linalg.solve(matrix, right)
    u = darcy_square(torch.stack([a, torch.ones_like(a)]), torch.stack([f, f]))[0]
    assert (torch.stack([u[place] for place in inner]) - dense).abs().max() < 1e-9 * dense.abs().max()
    assert u[0].abs().max() == 0


def test_what_cannot_be_solved():
    f = torch.ones(5, 5, dtype=torch.float64)
    with pytest.raises(InputError, match="coefficient must be positive everywhere, its minimum is -1"):
        darcy_square(-f, f)
    with pytest.raises(InputError, match=r"shape \(5, 4\)"):
        poisson_square(f[:, :4])
    rough = torch.logspace(-9, 9, 81 * 81, dtype=torch.float64).reshape(81, 81)
    with pytest.raises(DivergenceError, match="lower the coefficient's contrast"):
        darcy_square(rough[:, torch.randperm(81, generator=torch.Generator().manual_seed(0))], torch.ones_like(rough))
