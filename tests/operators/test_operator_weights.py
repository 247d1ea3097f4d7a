"""Parameter counts of the published networks, and weights drawn from the generator passed in."""

from __future__ import annotations

import pytest
import torch

from operators import FNO, SIZES, DeepONet, DRIFTNet, ScOT, UNet, count_parameters, initialise

BUILDERS = {
    "drift_net": lambda **given: DRIFTNet(2, 3, "tiny", **given),
    "drift_net published": lambda **given: DRIFTNet(2, 3, "tiny", paper_exact=True, **given),
    "scot": lambda **given: ScOT(2, 3, "tiny", **given),
    "fno": lambda **given: FNO((6, 5), 2, 3, 8, 2, **given),
    "unet": lambda **given: UNet(2, 3, 8, 3, 1, **given),
    "deeponet": lambda **given: DeepONet(2, 3, (32, 32), hidden_channels=16, **given),
}
every_operator = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS.keys())


def on_meta(network, size, **given):
    with torch.device("meta"):
        return network(4, 4, size, **given)


def test_published_counts():
    published = on_meta(DRIFTNet, "T", paper_exact=True)
    assert count_parameters(published) == 17_531_236
    assert count_parameters(published, complex_as_one=False) == 19_097_956
    assert count_parameters(on_meta(ScOT, "T")) == 20_774_444
    assert count_parameters(on_meta(ScOT, "T", paper_exact=True)) == 20_774_444


@pytest.mark.parametrize(
    ("size", "scot", "drift_as_one", "drift_as_two"),
    [("S", 39.90, 33.41, 36.54), ("B", 157.73, 132.57, 145.10), ("L", 628.58, 528.48, 578.62)],
)
def test_counts_in_millions(size, scot, drift_as_one, drift_as_two):
    published = on_meta(DRIFTNet, size, paper_exact=True)
    assert round(count_parameters(on_meta(ScOT, size)) / 1e6, 2) == scot
    assert round(count_parameters(published) / 1e6, 2) == drift_as_one
    assert round(count_parameters(published, complex_as_one=False) / 1e6, 2) == drift_as_two


def test_default_drops_exactly_the_unused_parameters():
    widths = [SIZES["T"].channels * 2**level for level in range(4)]
    norms = sum(2 * depth * 4 * width for depth, width in zip(SIZES["T"].depths, widths, strict=True))
    teacher = sum(2 * (4 * width + width) for width in widths)
    mended, published = on_meta(DRIFTNet, "T"), on_meta(DRIFTNet, "T", paper_exact=True)
    assert count_parameters(published) - count_parameters(mended) == norms + teacher


@pytest.mark.parametrize("network", [DRIFTNet, ScOT])
def test_tiny_has_one_to_two_million(network):
    assert 1e6 <= count_parameters(on_meta(network, "tiny"), complex_as_one=False) <= 2e6


@every_operator
def test_generator_alone_decides(build):
    torch.manual_seed(1)
    first = build(generator=torch.Generator().manual_seed(7)).state_dict()
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = build(generator=torch.Generator().manual_seed(7)).state_dict()
    other = build(generator=torch.Generator().manual_seed(8)).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], second[name]) and first[name].isfinite().all() for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@every_operator
def test_state_round_trip(build):
    first, second = build(), build(generator=torch.Generator().manual_seed(3))
    x = torch.randn(1, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert not torch.equal(first(x), second(x))
        second.load_state_dict(first.state_dict())
        assert torch.equal(first(x), second(x))
    assert not any(value.is_complex() for value in first.state_dict().values())


@every_operator
def test_materialised_from_meta(build):
    with torch.device("meta"):
        network = build()
    assert all(parameter.is_meta for parameter in network.parameters())
    network.to_empty(device="cpu")
    initialise(network)
    built = build().state_dict()
    assert all(torch.equal(value, built[name]) for name, value in network.state_dict().items())
