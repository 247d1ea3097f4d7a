"""The losses from their definitions."""

from __future__ import annotations

import math

import pytest
import torch

from operators import high_frequency_loss, relative_l1
from sciml.errors import InputError


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_relative_l1_is_a_mean_of_ratios(generator):
    y = torch.randn(2, 4, 5, 6, generator=generator, dtype=torch.float64)
    error = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    expected = 0.0
    for group in ([0], [1, 2], [3]):
        expected += sum(error[:, c].abs().sum() for c in group) / sum(y[:, c].abs().sum() for c in group) / 3
    torch.testing.assert_close(relative_l1(y + error, y, groups=[[0], [1, 2], [3]]), expected)
    torch.testing.assert_close(relative_l1(y + error, y), error.abs().sum() / y.abs().sum())
    assert relative_l1(torch.zeros(1, 1, 3), torch.zeros(1, 1, 3)) == 0


def test_high_frequency_loss_of_one_wave():
    n = 16
    i = torch.arange(n, dtype=torch.float64) * 2 * math.pi / n
    target = torch.zeros(1, 1, n, n, dtype=torch.float64)
    losses = {}
    for k, m in [(0, 0), (2, 0), (-2, 0), (0, 2), (3, 4), (-3, 4)]:
        wave = torch.cos(k * i[:, None] + m * i)[None, None]
        losses[k, m] = high_frequency_loss(wave, target).item()
        # |E|^2 sums to n^2 / 2 over the plane, shared by two modes of which the half plane holds one, or both
        half = (n * n / 2) * (0.5 if m else 1.0)
        radius = math.sqrt(k * k + m * m) / math.sqrt(2 * (n / 2) ** 2)
        assert losses[k, m] == pytest.approx(radius**1.5 * half / (n * (n // 2 + 1)), abs=1e-14)
    assert losses[2, 0] == pytest.approx(losses[-2, 0]) and losses[3, 4] == pytest.approx(losses[-3, 4])


def test_forward_norm_silences_it(generator):
    x, y = torch.randn(2, 2, 3, 32, 32, generator=generator)
    assert high_frequency_loss(x, y, norm="forward") == pytest.approx(high_frequency_loss(x, y).item() / 32**2)


def test_input_errors():
    fields = torch.zeros(1, 2, 4)
    with pytest.raises(InputError, match="differ in shape"):
        relative_l1(fields, fields[:, :1])
    with pytest.raises(InputError, match="differ in shape"):
        high_frequency_loss(fields, fields[:, :1])
    with pytest.raises(InputError, match="from 0 to 1"):
        relative_l1(fields, fields, groups=[[0], [2]])
