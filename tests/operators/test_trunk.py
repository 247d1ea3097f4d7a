"""What both trunk networks and the U-Net share: grids, lead time, equivariance, gradients, export."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from operators import DRIFTNet, ScOT, Size, UNet, fourier_resample
from operators.layers import ConditionalLayerNorm, wrap
from sciml.errors import InputError

BUILDERS = {
    "drift_net": lambda *channels, **given: DRIFTNet(*channels, "tiny", **given),
    "scot": lambda *channels, **given: ScOT(*channels, "tiny", **given),
    "unet": lambda *channels, **given: UNet(*channels, 8, 3, 1, **given),
}
SMALL = Size(4, depths=(2,), skips=(1,), heads=(2,), window=2)
every_network = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS.keys())


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def perturbed(network, generator):
    """Layer scales start at 1e-6: move every weight, so that each part counts."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return network.double()


@every_network
@pytest.mark.parametrize("padding", ["periodic", "zeros"])
@pytest.mark.parametrize("grid", [(32, 32), (16, 48), (21, 35)])
def test_any_grid_and_channels(build, padding, grid, generator):
    network = build(3, 2, padding=padding)
    x = torch.randn(2, 3, *grid, generator=generator)
    y = network(x, torch.tensor([0.1, 0.7]))
    assert y.shape == (2, 2, *grid) and y.isfinite().all()


@every_network
def test_no_parameter_is_unused(build, generator):
    network = build(2, 2)
    network(torch.randn(2, 2, 32, 32, generator=generator)).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize(("name", "shift"), [("drift_net", (16, -32)), ("unet", (4, -8))])
def test_periodic_shift_by_whole_patches(name, shift, generator):
    network = perturbed(BUILDERS[name](1, 1), generator)
    x = torch.randn(1, 1, 32, 64, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        y, shifted = network(x), network(x.roll(shift, (2, 3)))
        assert not torch.allclose(y, shifted)
        torch.testing.assert_close(shifted, y.roll(shift, (2, 3)), rtol=1e-8, atol=1e-10)


@every_network
def test_zeros_padding_sees_the_edge(build, generator):
    network = perturbed(build(1, 1, padding="zeros"), generator)
    x = torch.randn(1, 1, 32, 64, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        assert not torch.allclose(network(x.roll(32, 3)), network(x).roll(32, 3), rtol=1e-4)


@every_network
def test_lead_time_counts_sample_by_sample(build, generator):
    network = perturbed(build(1, 1), generator)
    x = torch.randn(1, 1, 32, 32, generator=generator, dtype=torch.float64).expand(3, -1, -1, -1)
    with torch.no_grad():
        y = network(x, torch.tensor([0.0, 0.5, 1.0]))
        assert not torch.allclose(y[0], y[1])
        torch.testing.assert_close(y[1:2], network(x[:1], torch.tensor([0.5])), rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(y[2:], network(x[:1]), rtol=1e-9, atol=1e-12)
        for lead in (0.5, torch.tensor(0.5)):
            torch.testing.assert_close(network(x[:1], lead), y[1:2], rtol=1e-9, atol=1e-12)


@every_network
def test_odd_grids_of_a_periodic_field_are_resampled(build, generator):
    network = perturbed(build(1, 1), generator)
    x = torch.randn(1, 1, 20, 28, generator=generator, dtype=torch.float64)
    enlarged = (32, 32) if not isinstance(network, UNet) else (20, 28)
    with torch.no_grad():
        expected = fourier_resample(network(fourier_resample(x, enlarged)), (20, 28))
        torch.testing.assert_close(network(x), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "network",
    [DRIFTNet(1, 1, SMALL), ScOT(1, 1, SMALL, padding="zeros"), UNet(1, 1, 4, 2, 1)],
    ids=["drift_net", "scot", "unet"],
)
def test_export(network, generator):
    x, time = torch.randn(2, 1, 12, 16, generator=generator), torch.tensor([0.5, 1.0])
    shapes = ({0: torch.export.Dim("batch", min=1)},) * 2
    exported = torch.export.export(network, (x, time), dynamic_shapes=shapes).module()
    x, time = torch.randn(3, 1, 12, 16, generator=generator), torch.tensor([0.5, 1.0, 0.1])
    with torch.no_grad():
        torch.testing.assert_close(exported(x, time), network(x, time), rtol=1e-4, atol=1e-5)


@every_network
def test_mixed_precision_keeps_transforms_in_single(build, generator):
    network = build(1, 1)
    x = torch.randn(2, 1, 32, 32, generator=generator)
    with torch.no_grad():
        exact = network(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = network(x)
    assert (y.float() - exact).norm() < 0.05 * exact.norm()


@every_network
def test_input_errors(build):
    network = build(2, 1)
    with pytest.raises(InputError, match=r"3 channels.*in_channels=2"):
        network(torch.zeros(1, 3, 32, 32))
    with pytest.raises(InputError, match=r"shape \(2, 32, 32\), expected \(batch, channels, points, points\)"):
        network(torch.zeros(2, 32, 32))
    with pytest.raises(InputError, match="at least"):
        network(torch.zeros(1, 2, 3, 32))
    with pytest.raises(InputError, match=r"time has shape \(3,\).*\(2,\)"):
        network(torch.zeros(2, 2, 32, 32), torch.zeros(3))
    with pytest.raises(InputError, match="in_channels = 0"):
        build(0, 1)


@pytest.mark.parametrize("network", [DRIFTNet, ScOT])
def test_published_form(network, generator):
    published = network(1, 1, SMALL, paper_exact=True)
    norms = [module for module in published.modules() if isinstance(module, ConditionalLayerNorm)]
    assert norms and all(not norm.scale.bias.any() for norm in norms)
    perturbed(published, generator)
    x = torch.randn(1, 1, 32, 32, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        at_home = published.transform(fourier_resample(x, (128, 128)), x.new_ones(1, 1))
        torch.testing.assert_close(published(x), fourier_resample(at_home, (32, 32)))


def test_trunk_wiring(generator):
    """One level of skips, merging and unmerging, written out."""
    size = Size(4, depths=(1, 1), skips=(1, 0), heads=(1, 1))
    network = perturbed(DRIFTNet(2, 1, size, padding="zeros"), generator)
    x = torch.randn(2, 2, 16, 24, generator=generator, dtype=torch.float64)
    t = torch.tensor([[0.4], [0.9]], dtype=torch.float64)
    with torch.no_grad():
        projection = network.embedding.projection
        patches = functional.conv2d(x, projection.weight, projection.bias, stride=4).movedim(1, -1)
        fine = network.embedding.norm(patches, t)
        encoded = network.encoder[0][0](fine, t)
        both = fine + encoded
        quads = torch.cat([both[:, 0::2, 0::2], both[:, 1::2, 0::2], both[:, 0::2, 1::2], both[:, 1::2, 1::2]], -1)
        coarse = network.merging[0].norm(quads @ network.merging[0].reduction.weight.T, t)
        coarse = network.decoder[1][0](network.encoder[1][0](coarse, t), t)
        wide = coarse @ network.unmerging[0].expansion.weight.T
        up = wide.new_empty(2, 4, 6, 4)
        for i in (0, 1):
            for j in (0, 1):
                up[:, i::2, j::2] = wide[..., 4 * (2 * i + j) : 4 * (2 * i + j + 1)]
        up = network.unmerging[0].norm(up, t) @ network.unmerging[0].mixing.weight.T
        block = network.skips[0][0]
        convolved = functional.conv2d(
            encoded.movedim(-1, 1), block.convolution.weight, block.convolution.bias, padding=3, groups=4
        )
        skip = encoded + block.layer_scale * block.feed_forward(block.norm(convolved.movedim(1, -1), t))
        decoded = network.decoder[0][0](up + skip, t).movedim(-1, 1)
        fields = functional.conv_transpose2d(
            decoded, network.recovery.projection.weight, network.recovery.projection.bias, 4
        )
        expected = functional.conv2d(fields, network.recovery.smoothing.weight, padding=2)
        torch.testing.assert_close(network(x, t[:, 0]), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("grid", [(5, 4), (3, 2), (1, 7)])
def test_wrap(grid, generator):
    x = torch.randn(2, *grid, 3, generator=generator)
    rows, columns = (torch.arange(-3, n + 3) % n for n in grid)
    assert torch.equal(wrap(x, 3), x[:, rows][:, :, columns])
    large = torch.randn(1, 6, 5, 2, generator=generator)
    expected = functional.pad(large.permute(0, 3, 1, 2), (2, 2, 2, 2), mode="circular").permute(0, 2, 3, 1)
    assert torch.equal(wrap(large, 2), expected)
