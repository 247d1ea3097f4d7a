"""Resampling, wave numbers and bands."""

from __future__ import annotations

import math

import pytest
import torch

from sciml.nn.spectral import (
    fourier_resample,
    from_half_modes,
    from_modes,
    lowest_half_modes,
    lowest_modes,
    multiplicity,
    radial_bands,
    relative_radius,
    relative_wavenumbers,
)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(("coarse", "fine"), [((8, 8), (16, 12)), ((7, 9), (16, 18)), ((6, 7), (9, 7))])
def test_resampling(coarse, fine, generator):
    def fields(grid):
        i, j = (torch.arange(n, dtype=torch.float64) / n * 2 * math.pi for n in grid)
        return (torch.cos(2 * i[:, None] - j) + torch.sin(i[:, None] + 2 * j))[None, None]

    torch.testing.assert_close(fourier_resample(fields(coarse), fine), fields(fine))
    torch.testing.assert_close(fourier_resample(fields(fine), coarse), fields(coarse))
    x = torch.randn(2, 3, *coarse, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(fourier_resample(fourier_resample(x, fine), coarse), x)


@pytest.mark.parametrize("n", [6, 7])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_lowest_modes_are_those_of_the_fast_transform(n, count, generator):
    x = torch.randn(2, 5, n, 3, generator=generator, dtype=torch.float64)
    half = torch.fft.rfft(x, dim=2, norm="forward")
    torch.testing.assert_close(lowest_half_modes(x, 2, count), half[:, :, :count])
    torch.testing.assert_close(from_half_modes(half[:, :, :count], 2, n), torch.fft.irfft(half[:, :, :count], n, 2, "forward"))
    every, kept = torch.fft.fft(half, dim=1, norm="forward"), [*range(count - count // 2), *range(5 - count // 2, 5)]
    torch.testing.assert_close(lowest_modes(half, 1, count), every[:, kept])
    others = [k for k in range(5) if k not in kept]
    expected = torch.fft.ifft(every.index_fill(1, torch.tensor(others), 0), dim=1, norm="forward")
    torch.testing.assert_close(from_modes(every[:, kept], 1, 5), expected)


@pytest.mark.parametrize("n", [6, 7])
def test_all_modes_make_the_field(n, generator):
    x = torch.randn(2, n, 3, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(from_half_modes(lowest_half_modes(x, 1, n // 2 + 1), 1, n), x)
    z = torch.view_as_complex(torch.stack([x, x.flip(1)], dim=-1))
    torch.testing.assert_close(from_modes(lowest_modes(z, 1, n), 1, n), z)


@pytest.mark.parametrize("grid", [(8, 6), (7, 5), (5, 8, 4), (1, 4)])
def test_wavenumbers(grid):
    like = torch.empty(0, dtype=torch.float64)
    shape = (*grid[:-1], grid[-1] // 2 + 1)
    for axis, k in enumerate(relative_wavenumbers(grid, like)):
        n = grid[axis]
        expected = torch.tensor([min(i, n - i) / max(n // 2, 1) for i in range(shape[axis])], dtype=torch.float64)
        torch.testing.assert_close(k.flatten(), expected)
    radius = relative_radius(grid, like)
    assert radius.shape == shape and radius.max() <= 1 + 1e-12
    plane = multiplicity(grid, like).expand(shape).sum()
    assert plane == math.prod(grid)


def test_every_mode_is_in_the_band_of_its_radius():
    radius = relative_radius((64, 48), torch.empty(0))
    index = radial_bands(radius, 6).argmax(0)
    inside = (radius * 6 - index >= -1e-4) & (radius * 6 - index <= 1 + 1e-4)
    assert inside.all() and index.unique().tolist() == list(range(6))
