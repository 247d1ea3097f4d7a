from __future__ import annotations

import pytest
import torch

from sciml.errors import InputError
from sciml.nn import FeatureGrids, IteratedNetwork, LearnedFrequencies


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def points(n=7):
    return 2 * torch.rand(n, 3, generator=generator(1)) - 1


def network(steps=3, encoding=None, **options):
    return IteratedNetwork(encoding or LearnedFrequencies(3, 4), 2, steps, hidden=6, width=8, depth=2, **options)


def test_before_training_every_estimate_is_the_first():
    first = torch.randn(7, 2, generator=generator())
    estimates = network()(points(), first)
    assert len(estimates) == 3 and all(torch.equal(estimate, first) for estimate in estimates)


def test_a_step_sees_the_last_estimate_and_the_hidden_state():
    module, first = network(), torch.zeros(7, 2)
    with torch.no_grad():
        module.network.layers[-1].weight.normal_(generator=generator())
    one, two, three = module(points(), first)
    assert not torch.allclose(two - one, three - two)
    assert not torch.allclose(module(points(), first + 1)[0] - 1, one)
    with torch.no_grad():
        module.start += 1
    assert not torch.allclose(module(points(), first)[0], one)


def test_the_same_seed_gives_the_same_weights():
    def weights(seed):
        draws = generator(seed)
        return network(encoding=FeatureGrids((3,), generator=draws), generator=draws).state_dict()

    one, same, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["encoding.grids.0"], other["encoding.grids.0"])


def test_frequencies_are_learned_apart():
    encoding = LearnedFrequencies(3, 5)
    assert encoding(points()).shape == (7, 33) == (7, encoding.out_features)
    encoding(points()).square().sum().backward()
    assert encoding.cosines.grad.abs().min() > 0 and not torch.equal(encoding.cosines.grad, encoding.sines.grad)


def test_features_are_those_of_the_grid_at_its_points_and_smooth_between():
    encoding = FeatureGrids((4,), 1, reach=1.0, generator=generator()).double()
    node = torch.tensor([[0.5, -0.5, 1.0]], dtype=torch.float64)
    assert encoding(node)[0, 3].item() == pytest.approx(10 * encoding.grids[0][(3 * 5 + 1) * 5 + 4].item())
    x = torch.linspace(-1, 1, 4001, dtype=torch.float64)
    line = torch.stack([x, 0 * x + 0.1, 0 * x - 0.3], dim=1)
    values = encoding(line)[:, 3]
    assert values.diff().abs().max() < 1e-3 and values.diff().diff().abs().max() < 1e-5


def test_mistakes():
    with pytest.raises(InputError, match="even hidden"):
        IteratedNetwork(LearnedFrequencies(3, 2), 1, hidden=3)
