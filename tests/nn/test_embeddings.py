from __future__ import annotations

import math

import pytest
import torch

from sciml.errors import InputError
from sciml.nn import FourierFeatures, Normalization, PeriodicEmbedding

F64 = {"dtype": torch.float64}


def test_standard_normalization_is_the_z_score_of_the_uniform_distribution():
    low, high = torch.tensor([-1.0, 3.0], **F64), torch.tensor([1.0, 13.0], **F64)
    x = low + (high - low) * torch.rand(100_000, 2, generator=torch.Generator().manual_seed(0), **F64)
    z = Normalization(low, high, **F64)(x)
    torch.testing.assert_close(z.mean(0), torch.zeros(2, **F64), rtol=0, atol=0.01)
    torch.testing.assert_close(z.std(0), torch.ones(2, **F64), rtol=0, atol=0.01)


def test_interval_normalization():
    z = Normalization([0, 2], [4, 3], "interval", **F64)(torch.tensor([[0.0, 3.0], [4.0, 2.0], [2.0, 2.5]], **F64))
    torch.testing.assert_close(z, torch.tensor([[-1.0, 1.0], [1.0, -1.0], [0.0, 0.0]], **F64))


def test_fourier_features():
    x = torch.rand(4, 2, generator=torch.Generator().manual_seed(1), **F64)
    plain, with_two_pi = (
        FourierFeatures(2, 600, sigma=3.0, two_pi=two_pi, generator=torch.Generator().manual_seed(2), **F64)
        for two_pi in (False, True)
    )
    torch.testing.assert_close(with_two_pi.frequencies, 2 * math.pi * plain.frequencies)
    assert plain.frequencies.std().item() == pytest.approx(3.0, rel=0.1)
    phase = x @ plain.frequencies.T
    torch.testing.assert_close(plain(x), torch.cat([phase.cos(), phase.sin()], dim=1))
    assert not list(plain.parameters()) and "frequencies" in plain.state_dict()
    assert len(list(FourierFeatures(2, 6, trainable=True).parameters())) == 1


@pytest.mark.parametrize(("coordinates", "key"), [(("x", "t"), "x"), (2, 0)])
def test_periodic_embedding(coordinates, key):
    embedding = PeriodicEmbedding(coordinates, {key: 2.0}, harmonics=2, **F64)
    x = torch.tensor([[0.3, 0.7], [2.3, 0.7], [-1.7, 0.7]], **F64)
    features = embedding(x)
    phases = [0.3 * math.pi, 0.6 * math.pi]
    expected = [*map(math.cos, phases), *map(math.sin, phases), 0.7]
    torch.testing.assert_close(features, torch.tensor([expected] * 3, **F64))
    assert (embedding.in_features, embedding.out_features) == (2, 5)
    assert not list(embedding.parameters())


def test_periodic_in_every_coordinate():
    embedding = PeriodicEmbedding(("x", "y"), {"y": 1.0, "x": 3.0}, **F64)
    x = torch.tensor([[0.2, 0.4]], **F64)
    torch.testing.assert_close(embedding(x), embedding(x + torch.tensor([3.0, 1.0], **F64)))
    assert embedding.out_features == 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Normalization([0.0, 1.0], [1.0, 1.0]), "low must be below high"),
        (lambda: Normalization([0.0], [1.0], "standart"), "did you mean 'standard'"),
        (lambda: FourierFeatures(2, 7), "out_features must be even"),
        (lambda: PeriodicEmbedding(("x", "t"), {"y": 1.0}), "periods names 'y'"),
        (lambda: PeriodicEmbedding(("x", "t"), {"x": 0.0}), "period of 'x' must be positive"),
        (lambda: PeriodicEmbedding(("x", "t"), {}), "at least one period"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_repr_shows_the_settings():
    assert repr(FourierFeatures(2, 6, 3.0)) == "FourierFeatures(2, 6, sigma=3.0, two_pi=False, trainable=False)"
    assert "periods={'x': 2.0}, harmonics=1" in repr(PeriodicEmbedding(("x",), {"x": 2.0}))
    assert repr(Normalization([0.0], [2.0], "interval")) == "Normalization(shift=[1.0], scale=[1.0])"
