"""The DRIFT mixer against a computation from the formulas, and what the mended form promises."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from operators import DRIFTNet
from operators.drift import SOFTNESS, DRIFTMixer, PublishedDRIFTMixer
from operators.trunk import Block
from operators.weights import initialise
from sciml.errors import InputError
from sciml.nn.spectral import radial_bands, relative_radius


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def drawn(module, generator):
    """Double precision, every parameter away from its special starting value."""
    module.double()
    initialise(module, generator)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return module


def normalised(x, norm, time):
    """(B, C, H, W): zero mean and unit variance over channels, then scale and shift affine in time."""
    y = (x - x.mean(1, keepdim=True)) / torch.sqrt(x.var(1, keepdim=True, unbiased=False) + 1e-5)
    scale = norm.scale.weight[:, 0] * time + norm.scale.bias
    shift = norm.shift.weight[:, 0] * time + norm.shift.bias
    return scale[..., None, None] * y + shift[..., None, None]


def image_branch(x, branch, mode):
    """Nine shifted copies, weighted a channel at a time, plus a linear map of the channels."""
    rows, columns = x.shape[2:]
    padded = functional.pad(x, (1, 1, 1, 1), mode=mode)
    y = torch.einsum("oc,bchw->bohw", branch.linear.weight, x) + branch.linear.bias[:, None, None]
    for i in range(3):
        for j in range(3):
            weight = branch.convolution.weight[:, 0, i, j, None, None]
            y = y + weight * padded[:, :, i : i + rows, j : j + columns]
    return y


def band_gate(amplitude, members, network):
    """``amplitude`` (B, C, modes), ``members``: a list of mode numbers a band; the gate of each mode."""
    means = torch.stack(
        [amplitude[:, :, i].mean(-1) if i else torch.zeros_like(amplitude[:, :, 0]) for i in members], dim=-1
    )
    first, last = network[0], network[2]
    alpha = torch.sigmoid(torch.relu(means @ first.weight.T + first.bias) @ last.weight.T + last.bias)
    gate = torch.empty_like(amplitude)
    for band, i in enumerate(members):
        gate[:, :, i] = alpha[:, :, band, None]
    return gate


@pytest.mark.parametrize("n", [16, 8, 4])
def test_published_block(n, generator):
    channels, columns = 3, n // 2 + 1
    block = drawn(Block(channels, PublishedDRIFTMixer(channels)), generator)
    mixer = block.mixer
    x = torch.randn(2, channels, n, n, generator=generator, dtype=torch.float64)
    time = torch.tensor([[0.3], [1.2]], dtype=torch.float64)

    modes = torch.fft.rfft2(x, norm="forward")
    sigmoid = 1 / (1 + math.exp(-0.25))
    low = torch.zeros_like(modes)
    members = [[] for _ in range(6)]
    for i in range(n):
        for j in range(columns):
            if i < int(sigmoid * n) and j < int(sigmoid * columns):
                low[:, :, i, j] = modes[:, :, i, j]
            radius = math.sqrt((i / (n - 1)) ** 2 + (j / (columns - 1)) ** 2) / math.sqrt(2)
            members[min(int(radius * 6), 5)].append(i * columns + j)
    high = modes - low
    weight = torch.complex(mixer.mixing.pairs[..., 0], mixer.mixing.pairs[..., 1])
    feature = (high.abs() - low.abs()).abs().flatten(2)
    gate = band_gate(feature, members, mixer.gate.network).reshape(modes.shape)
    fused = gate * torch.einsum("oc,bchw->bohw", weight, low) + (1 - gate) * high
    mixed = torch.fft.irfft2(fused, s=(n, n), norm="forward") + image_branch(x, mixer.image, "constant")
    expected = x + normalised(mixed, mixer.norm, time)
    first, last = block.feed_forward[0], block.feed_forward[2]
    inner = functional.gelu(torch.einsum("oc,bchw->bohw", first.weight, expected) + first.bias[:, None, None])
    outer = torch.einsum("oc,bchw->bohw", last.weight, inner) + last.bias[:, None, None]
    expected = expected + normalised(outer, block.norm, time)

    actual = block(x.permute(0, 2, 3, 1), time).permute(0, 3, 1, 2)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("grid", [(8, 8), (6, 10), (5, 7)])
def test_mended_mixer_over_the_full_plane(grid, generator):
    # the half plane's weight W acts as its conjugate on the other half, and as its real part on the columns that are
    # their own mirror image
    channels = 3
    rows, columns = grid
    mixer = drawn(DRIFTMixer(channels, "periodic"), generator)
    x = torch.randn(2, channels, rows, columns, generator=generator, dtype=torch.float64)
    time = torch.tensor([[0.3], [1.2]], dtype=torch.float64)

    modes = torch.fft.fft2(x, norm="forward")
    cutoff = torch.sigmoid(mixer.cutoff)
    mask = torch.zeros(rows, columns, dtype=torch.float64)
    weight = torch.zeros(rows, columns, channels, channels, dtype=torch.complex128)
    members = [[] for _ in range(6)]
    for i in range(rows):
        for j in range(columns):
            k, m = min(i, rows - i), min(j, columns - j)
            v, w = k / (rows // 2), m / (columns // 2)
            mask[i, j] = torch.sigmoid((cutoff[0] - v) / SOFTNESS) * torch.sigmoid((cutoff[1] - w) / SOFTNESS)
            members[min(int(math.sqrt((v * v + w * w) / 2) * 6 + 1e-6), 5)].append(i * columns + j)
            real, imaginary = mixer.mixing.pairs.unbind(-1)
            side = 0 if m in (0, columns / 2) else (1 if j == m else -1)
            weight[i, j] = torch.complex(real, side * imaginary)
    low, high = mask * modes, (1 - mask) * modes
    gate = band_gate((high.abs() - low.abs()).abs().flatten(2), members, mixer.gate.network).reshape(modes.shape)
    fused = gate * torch.einsum("hwoc,bchw->bohw", weight, low) + (1 - gate) * high
    mixed = torch.fft.ifft2(fused, norm="forward")
    assert mixed.imag.abs().max() < 1e-12
    expected = normalised(mixed.real + image_branch(x, mixer.image, "circular"), mixer.norm, time)

    actual = mixer(x.permute(0, 2, 3, 1), time).permute(0, 3, 1, 2)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("grid", [(32, 32), (16, 24), (31, 17)])
def test_low_modes_of_either_sign_are_low(grid):
    like = torch.empty(0, dtype=torch.float64)
    bands = radial_bands(relative_radius(grid, like), 6)
    mask = DRIFTNet(1, 1, "tiny").double().encoder[0][0].mixer.low_pass(grid, like)
    rows, columns = (torch.arange(n, dtype=torch.float64) * 2 * math.pi / n for n in grid)
    for k, m in [(1, 0), (-1, 0), (0, 1), (1, 1), (-1, 1), (-1, -1)]:
        energy = torch.fft.rfft2(torch.cos(k * rows[:, None] + m * columns), norm="forward").abs() ** 2
        assert energy.mul(bands[0]).sum() > (1 - 1e-12) * energy.sum()
        assert energy.mul(mask).sum() > 0.99 * energy.sum()
    mirrored = torch.cat([mask[:1], mask[1:].flip(0)])
    assert torch.allclose(mask, mirrored, rtol=1e-12)
    assert torch.equal(bands, torch.cat([bands[:, :1], bands[:, 1:].flip(1)], 1))
    assert torch.equal(bands.sum(0), torch.ones_like(mask))


def test_mask_follows_its_cutoffs():
    mixer = DRIFTNet(1, 1, "tiny").encoder[0][0].mixer
    with torch.no_grad():
        mixer.cutoff.copy_(torch.logit(torch.tensor([0.3, 0.8])))
    mask = mixer.low_pass(torch.Size((40, 40)), torch.empty(0))
    rows, columns = mask[:, 0], mask[0, :]
    assert rows[5] > 0.7 > 0.3 > rows[7] and rows[35] > 0.7 > 0.3 > rows[33]
    assert columns[15] > 0.7 > 0.3 > columns[17]


def test_cutoffs_learn_in_the_mended_form_only(generator):
    x = torch.randn(2, 1, 32, 32, generator=generator)
    for paper_exact in (False, True):
        network = DRIFTNet(1, 1, "tiny", paper_exact=paper_exact)
        network(x).square().sum().backward()
        cutoffs = [p.grad for name, p in network.named_parameters() if name.endswith("cutoff")]
        assert len(cutoffs) == 12
        if paper_exact:
            assert all(gradient is None for gradient in cutoffs)
        else:
            assert all(gradient is not None and (gradient != 0).all() for gradient in cutoffs)


@pytest.mark.parametrize("part", ["mixing", "gate", "image"])
def test_ablations_leave_nothing_unused(part, generator):
    network = DRIFTNet(1, 1, "tiny", without=(part,))
    network(torch.randn(2, 1, 32, 32, generator=generator)).square().sum().backward()
    names = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert names == []
    assert not any(f"mixer.{part}" in name for name, _ in network.named_parameters())


def test_input_errors():
    with pytest.raises(InputError, match=r"gates.*did you mean 'gate'"):
        DRIFTNet(1, 1, without=("gates",))
    with pytest.raises(InputError, match="keep one"):
        DRIFTNet(1, 1, without=("gate", "mixing"))
    with pytest.raises(InputError, match="paper_exact"):
        DRIFTNet(1, 1, paper_exact=True, without=("gate",))
    with pytest.raises(InputError, match=r"size = 'tin'.*'tiny'"):
        DRIFTNet(1, 1, "tin")
    with pytest.raises(InputError, match=r"padding = 'zero'.*'zeros'"):
        DRIFTNet(1, 1, "tiny", padding="zero")
    with pytest.raises(InputError, match="square"):
        DRIFTNet(1, 1, "tiny", paper_exact=True)(torch.zeros(1, 1, 32, 64))
