"""The Fourier neural operator: its convolution from the definition, resolutions, dimensions, equivariance."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from operators import FNO
from operators.fno import SpectralConvolution
from operators.weights import initialise
from sciml.errors import InputError


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    ("grid", "n_modes"), [((9,), (4,)), ((8, 10), (4, 5)), ((7, 6), (5, 4)), ((6, 5, 7), (4, 3, 5))]
)
def test_spectral_convolution_is_a_sum_over_modes(grid, n_modes, generator):
    convolution = SpectralConvolution(2, 3, n_modes).double()
    initialise(convolution, generator)
    x = torch.randn(1, *grid, 2, generator=generator, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(*(torch.arange(n).double() / n for n in grid), indexing="ij"), -1)
    signed = [range(-(m // 2), m - m // 2) for m in n_modes[:-1]]
    expected = torch.zeros(1, *grid, 3, dtype=torch.float64)
    for k in itertools.product(*signed, range(n_modes[-1] // 2 + 1)):
        wave = torch.exp(2j * math.pi * (points @ torch.tensor(k, dtype=torch.float64)))
        mode = (x * wave.conj()[..., None]).flatten(1, -2).mean(1)
        matrix = torch.view_as_complex(convolution.weight.pairs[k])
        # the half with negative wave numbers along the last axis is the complex conjugate
        expected += (1 if k[-1] == 0 else 2) * (wave[..., None] * (mode @ matrix)).real
    torch.testing.assert_close(convolution(x), expected, rtol=1e-10, atol=1e-12)


def test_spectral_convolution_at_every_resolution(generator):
    convolution = SpectralConvolution(1, 1, (5, 5)).double()
    initialise(convolution, generator)

    def fields(n):
        i = torch.arange(n, dtype=torch.float64) / n * 2 * math.pi
        return (torch.cos(i[:, None] - 2 * i) + torch.sin(2 * i[:, None] + i))[None, ..., None]

    torch.testing.assert_close(convolution(fields(10))[:, ::1, ::1], convolution(fields(40))[:, ::4, ::4])


@pytest.mark.parametrize("grid", [(24,), (12, 20), (6, 8, 10)])
def test_dimensions_and_padding(grid, generator):
    network = FNO([5] * len(grid), 2, 3, 8, 2, domain_padding=0.25)
    x = torch.randn(2, 2, *grid, generator=generator)
    y = network(x, torch.tensor([0.1, 0.9]))
    assert y.shape == (2, 3, *grid)
    y.square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_an_axis_without_padding_stays_periodic(generator):
    network = FNO((5, 5), 1, 1, 8, 2, positional_embedding=None, domain_padding=(0.0, 0.25)).double()
    x = torch.randn(1, 1, 12, 12, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(network(x.roll(3, 2)), network(x).roll(3, 2))
    assert not torch.allclose(network(x.roll(3, 3)), network(x).roll(3, 3))


def test_coarser_than_its_modes(generator):
    assert FNO((16, 16), 1, 1, 4, 1)(torch.randn(1, 1, 6, 9, generator=generator)).shape == (1, 1, 6, 9)


@pytest.mark.parametrize("use_channel_mlp", [True, False])
def test_shift_equivariance_without_coordinates(use_channel_mlp, generator):
    given = {"use_channel_mlp": use_channel_mlp, "generator": generator}
    x = torch.randn(1, 1, 12, 15, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        network = FNO((6, 5), 1, 1, 8, 2, positional_embedding=None, **given).double()
        torch.testing.assert_close(network(x.roll((5, -2), (2, 3))), network(x).roll((5, -2), (2, 3)))
        placed = FNO((6, 5), 1, 1, 8, 2, **given).double()
        assert not torch.allclose(placed(x.roll(5, 2)), placed(x).roll(5, 2))


def test_lead_time_starts_neutral_and_learns(generator):
    network = FNO((5,), 1, 1, 8, 2)
    x = torch.randn(2, 1, 16, generator=generator)
    assert torch.equal(network(x, torch.tensor([0.1, 0.2])), network(x))
    with torch.no_grad():
        for block in network.blocks:
            block.modulation.weight.normal_(generator=generator)
    assert not torch.allclose(network(x, torch.tensor([0.1, 0.2])), network(x))


def test_mixed_precision_and_export(generator):
    network = FNO((6, 6), 1, 1, 8, 2)
    x = torch.randn(2, 1, 16, 16, generator=generator)
    with torch.no_grad():
        exact = network(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert (network(x).float() - exact).norm() < 0.05 * exact.norm()
        time = torch.ones(2)
        torch.testing.assert_close(torch.export.export(network, (x, time)).module()(x, time), exact)


def test_input_errors():
    with pytest.raises(InputError, match=r"n_modes = \(2, 2, 2, 2\)"):
        FNO((2, 2, 2, 2), 1, 1)
    with pytest.raises(InputError, match="positional_embedding = 'polar'"):
        FNO((2,), 1, 1, positional_embedding="polar")
    with pytest.raises(InputError, match="domain_padding = -1"):
        FNO((2,), 1, 1, domain_padding=-1)
    with pytest.raises(InputError, match=r"domain_padding = \(0.1, 0.2\)"):
        FNO((2,), 1, 1, domain_padding=(0.1, 0.2))
    with pytest.raises(InputError, match=r"2 channels.*in_channels=1"):
        FNO((2,), 1, 1, 4)(torch.zeros(1, 2, 8))
    with pytest.raises(InputError, match="expected"):
        FNO((2,), 1, 1, 4)(torch.zeros(1, 1, 8, 8))
