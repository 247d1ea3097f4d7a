"""Every network: Taylor mode agrees with nested autograd, and the module behaves as torch expects of one."""

from __future__ import annotations

import copy
import functools
import itertools
import pickle

import pytest
import torch
from torch import nn

from sciml.errors import InputError
from sciml.jets import MultiIndexSet, taylor
from sciml.nn import (
    MLP,
    FourierFeatures,
    ModifiedMLP,
    Normalization,
    PeriodicEmbedding,
    PirateNet,
    RandomWeightFactorization,
    Sine,
)

F64 = {"dtype": torch.float64}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def nonlinear_pirate(**options):
    network = PirateNet(2, 2, 6, 2, **options)
    for block in network.blocks:
        nn.init.constant_(block.alpha, 0.7)
    return network


NETWORKS = {
    "mlp": lambda **o: MLP(2, 2, 7, 2, **o),
    "mlp_one_layer": lambda **o: MLP(2, 2, 7, 1, **o),
    "mlp_sine": lambda **o: MLP(2, 2, 7, 2, Sine(1.5), **o),
    "mlp_silu": lambda **o: MLP(2, 2, 7, 2, "silu", **o),
    "mlp_gelu": lambda **o: MLP(2, 2, 7, 2, "gelu", **o),
    "mlp_softplus": lambda **o: MLP(2, 2, 7, 2, "softplus", **o),
    "mlp_sigmoid": lambda **o: MLP(2, 2, 7, 2, "sigmoid", **o),
    "modified": lambda **o: ModifiedMLP(2, 2, 7, 2, **o),
    "modified_paper": lambda **o: ModifiedMLP(2, 2, 7, 2, gate_first_layer=False, **o),
    "factorized": lambda **o: ModifiedMLP(2, 2, 7, 2, linear=RandomWeightFactorization, **o),
    "pirate": nonlinear_pirate,
    "fourier": lambda **o: nn.Sequential(FourierFeatures(2, 6, trainable=True, **o), MLP(6, 2, 7, 2, **o)),
    "periodic": lambda **o: nn.Sequential(PeriodicEmbedding(2, {1: 3.0}, 2, dtype=o["dtype"]), MLP(5, 2, 7, 2, **o)),
    "normalized": lambda **o: nn.Sequential(Normalization([0, -1], [2, 5], dtype=o["dtype"]), MLP(2, 2, 7, 2, **o)),
}


@pytest.fixture(params=NETWORKS)
def network(request):
    return NETWORKS[request.param](generator=generator(), **F64)


@pytest.fixture
def points():
    return torch.rand(5, 2, generator=generator(1), **F64) * 2


def nested_autograd(network, points, index, column):
    points = points.clone().requires_grad_()
    value = network(points)[:, column]
    for axis, order in enumerate(index):
        for _ in range(order):
            (gradient,) = torch.autograd.grad(value.sum(), points, create_graph=True, materialize_grads=True)
            value = gradient[:, axis]
    return value


def test_taylor_mode_agrees_with_nested_autograd(network, points):
    indices = MultiIndexSet([(3, 0), (2, 1), (0, 2)], dimension=2)
    jets = taylor(network, points, ("x", "y"), indices)
    weights = list(network.parameters())
    for index, column in itertools.product(indices, range(2)):
        value, expected = jets[column].partial(index), nested_autograd(network, points, index, column)
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
        gradients = [
            torch.autograd.grad((v * v).sum(), weights, retain_graph=True, materialize_grads=True)
            for v in (value, expected)
        ]
        for ours, nested in zip(*gradients, strict=True):
            # Relative to the largest entry: both routes round, and some entries vanish.
            torch.testing.assert_close(ours, nested, rtol=1e-12, atol=1e-12 * max(1.0, nested.abs().max().item()))


def test_functional_call_and_vmap(network, points):
    weights = {name: 2 * value.detach() for name, value in network.named_parameters()}
    by_row = torch.func.vmap(lambda x: torch.func.functional_call(network, weights, (x,)))(points)
    doubled = copy.deepcopy(network)
    doubled.load_state_dict(weights, strict=False)
    torch.testing.assert_close(by_row, doubled(points))
    ensemble = {name: torch.stack([value, -value]) for name, value in weights.items()}
    both = torch.func.vmap(lambda w: torch.func.functional_call(network, w, (points,)))(ensemble)
    torch.testing.assert_close(both[0], by_row)


def test_leading_dimensions_are_free(network, points):
    torch.testing.assert_close(network(points.reshape(5, 1, 2)).squeeze(1), network(points))


def test_pickle_and_state_round_trip(network, points):
    torch.testing.assert_close(pickle.loads(pickle.dumps(network))(points), network(points), rtol=0, atol=0)


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_weights_come_from_the_generator_alone(make):
    before = torch.get_rng_state()
    first, again, other = (make(generator=generator(seed), **F64) for seed in (3, 3, 4))
    default, default_again = make(**F64), make(**F64)
    assert torch.equal(torch.get_rng_state(), before)

    def flat(network):
        return nn.utils.parameters_to_vector(network.parameters())

    assert torch.equal(flat(first), flat(again))
    assert not torch.equal(flat(first), flat(other))
    assert torch.equal(flat(default), flat(default_again))
    assert flat(first).isfinite().all()


def test_glorot_statistics_and_zero_biases():
    layers = [layer for layer in MLP(300, 100, 200, 2, generator=generator()).modules() if isinstance(layer, nn.Linear)]
    assert [layer.weight.std().item() for layer in layers] == pytest.approx(
        [(2 / 500) ** 0.5, (2 / 400) ** 0.5, (2 / 300) ** 0.5], rel=0.02
    )
    assert all(not layer.bias.any() for layer in layers)
    assert not torch.equal(layers[0].weight[:100, :200], layers[2].weight[:, :])


def test_modified_mlp_is_the_published_formula(points):
    for gate_first_layer in (True, False):
        network = ModifiedMLP(2, 1, 7, 3, gate_first_layer=gate_first_layer, generator=generator(), **F64)
        u, v = (torch.tanh(encoder[0](points)) for encoder in (network.encoder_u, network.encoder_v))
        h = points
        for i, layer in enumerate(network.hidden):
            h = torch.tanh(layer[0](h))
            if gate_first_layer or i > 0:
                h = (1 - h) * u + h * v
        torch.testing.assert_close(network(points), network.output(h))
        assert network.encoder_u[0].bias.std() > 0


def test_pirate_net_starts_affine(points):
    network = PirateNet(2, 3, 8, 2, generator=generator(), **F64)
    torch.testing.assert_close(network(points), network.output(points))
    network(points).square().sum().backward()
    assert all(block.alpha.grad.abs() > 0 for block in network.blocks)  # ...and can leave that


def test_factorized_weight_starts_as_glorot():
    layer = RandomWeightFactorization(300, 200, mean=0.5, std=0.1, generator=generator())
    assert layer.weight.std().item() == pytest.approx((2 / 500) ** 0.5, rel=0.02)
    assert layer.log_scale.mean().item() == pytest.approx(0.5, abs=0.03)
    assert layer.log_scale.std().item() == pytest.approx(0.1, abs=0.02)
    network = MLP(2, 1, linear=functools.partial(RandomWeightFactorization, mean=3.0), generator=generator())
    assert network.layers[0].log_scale.mean() > 2


def test_every_layer_has_its_own_activation():
    network = MLP(2, 1, 4, 2, nn.PReLU())
    assert len([p for p in network.modules() if isinstance(p, nn.PReLU)]) == 2


def test_dtype_is_obeyed(network, points):
    assert {p.dtype for p in network.state_dict().values()} == {torch.float64}
    assert network.float()(points.float()).dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLP(2, 1, depth=0), "depth must be a whole number of at least 1, got 0"),
        (lambda: ModifiedMLP(2, 1, width=0), "width must be a whole number of at least 1"),
        (lambda: PirateNet(2, 1, blocks=0), "blocks must be a whole number of at least 1"),
        (lambda: MLP(2, 1, activation="tahn"), "no activation 'tahn'; did you mean 'tanh'"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InputError, match=message):
        make()
