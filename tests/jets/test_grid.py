"""Grid jets against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from sciml.errors import InputError
from sciml.jets import finite_difference, fourier


def test_fourier_derivatives_are_exact_for_resolved_modes():
    x = torch.arange(32, dtype=torch.float64) / 32 * 2 * math.pi
    y = torch.arange(16, dtype=torch.float64) / 16 * 3
    field = (torch.sin(3 * x)[:, None] * torch.cos(4 * math.pi / 3 * y)[None]).expand(2, 32, 16)
    u = fourier(field, (2 * math.pi, 3.0), ("x", "y"))
    torch.testing.assert_close(u.xx.value, -9 * field, rtol=1e-11, atol=1e-11)
    expected = -3 * 4 * math.pi / 3 * torch.cos(3 * x)[:, None] * torch.sin(4 * math.pi / 3 * y)[None]
    torch.testing.assert_close(u.xy.value, expected.expand(2, 32, 16), rtol=1e-11, atol=1e-11)
    torch.testing.assert_close((u * u.x).value, field * u.x.value)


@pytest.mark.parametrize(("accuracy", "order"), [(2, 1), (4, 1), (4, 2), (4, 3)])
def test_finite_differences_converge_at_their_order(accuracy, order):
    errors = []
    for n in (41, 81):
        x = torch.linspace(0, 1, n, dtype=torch.float64)
        u = finite_difference(torch.sin(3 * x), (1 / (n - 1),), ("x",), accuracy)
        exact = 3**order * torch.sin(3 * x + order * math.pi / 2)
        errors.append((u.d(*["x"] * order).value - exact).abs().max().item())
    assert math.log2(errors[0] / errors[1]) > accuracy - 0.3


def test_periodic_differences_cross_the_seam():
    errors = []
    for n in (32, 64):
        x = torch.arange(n, dtype=torch.float64) / n
        field = torch.sin(2 * math.pi * x)[:, None] * torch.linspace(0, 1, 9, dtype=torch.float64) ** 2
        u = finite_difference(field, (1 / n, 1 / 8), ("x", "t"), periodic=("x",))
        expected = -8 * math.pi**2 * torch.sin(2 * math.pi * x)[:, None] * torch.linspace(0, 1, 9, dtype=torch.float64)
        errors.append((u.xxt.value - expected).abs().max().item())
        shifted = finite_difference(field.roll(5, 0), (1 / n, 1 / 8), ("x", "t"), periodic=("x",))
        torch.testing.assert_close(shifted.x.value, u.x.value.roll(5, 0))
    assert math.log2(errors[0] / errors[1]) > 3.7


def test_too_few_points_are_refused():
    with pytest.raises(InputError, match="needs 6 grid points, got 4"):
        finite_difference(torch.zeros(4), (0.1,), ("x",)).x.value  # noqa: B018
