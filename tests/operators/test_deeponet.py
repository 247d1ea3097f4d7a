"""DeepONet: the sum of products from its definition, scattered points, grids."""

from __future__ import annotations

import pytest
import torch

from operators import DeepONet
from sciml.errors import InputError


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_sum_of_products(generator):
    network = DeepONet(2, 3, (7,), dimensions=2, hidden_channels=8, n_layers=2, n_basis=4, generator=generator).double()
    with torch.no_grad():
        network.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
        x = torch.randn(2, 2, 7, generator=generator, dtype=torch.float64)
        points = torch.rand(2, 5, 2, generator=generator, dtype=torch.float64)
        time = torch.tensor([0.2, 0.8], dtype=torch.float64)
        y = network(x, time, points)
        assert y.shape == (2, 3, 5)
        for sample in range(2):
            branch = network.branch(x[sample].flatten()).reshape(3, 4)
            for p in range(5):
                trunk = network.trunk(torch.cat([points[sample, p], time[sample : sample + 1]])).reshape(3, 4)
                expected = (branch * trunk).sum(1) + network.bias
                torch.testing.assert_close(y[sample, :, p], expected)
        shared = network(x, time, points[0])
        torch.testing.assert_close(shared[0], y[0])


def test_grid_and_gradients(generator):
    network = DeepONet(1, 2, (4, 6), hidden_channels=8)
    x = torch.randn(3, 1, 4, 6, generator=generator)
    y = network(x)
    points = torch.tensor([[i / 4, j / 6] for i in range(4) for j in range(6)])
    torch.testing.assert_close(y.flatten(2), network(x, None, points))
    y.square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []
    torch.testing.assert_close(torch.export.export(network, (x, torch.ones(3))).module()(x, torch.ones(3)), y)


def test_input_errors():
    network = DeepONet(1, 1, (5,), dimensions=2, hidden_channels=4)
    with pytest.raises(InputError, match=r"built for \(batch, 1, 5\)"):
        network(torch.zeros(1, 1, 6), None, torch.zeros(3, 2))
    with pytest.raises(InputError, match=r"shape \(3, 1\), expected \(points, 2\)"):
        network(torch.zeros(1, 1, 5), None, torch.zeros(3, 1))
    with pytest.raises(InputError, match="points must be given"):
        network(torch.zeros(1, 1, 5))
    with pytest.raises(InputError, match="n_basis = 0"):
        DeepONet(1, 1, (5,), n_basis=0)
