"""Taylor mode, autograd and the algebra of jets agree."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from torch import nn

from sciml.errors import InputError
from sciml.jets import JetTensor, MultiIndexSet, UnsupportedFunction, autograd, record, taylor
from sciml.jets.backends import coordinates
from sciml.jets.elementary import FUNCTIONS, power
from sciml.jets.multi_index import faa_di_bruno_terms, leibniz_terms

NAMES = ("x", "y")
FOURTH = MultiIndexSet([(4, 0), (0, 3), (2, 2)], 2)


def points(n: int = 7) -> torch.Tensor:
    return torch.rand(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.2


def network(activation: nn.Module) -> nn.Module:
    net = nn.Sequential(nn.Linear(2, 9), activation, nn.Linear(9, 9), activation, nn.Linear(9, 2)).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in net.parameters():
        nn.init.uniform_(parameter, -1, 1, generator=generator)
    return net


@pytest.mark.parametrize("activation", [nn.Tanh(), nn.SiLU(), nn.GELU(), nn.Sigmoid(), nn.Softplus()])
def test_taylor_equals_autograd_in_values_and_weight_gradients(activation):
    net, x = network(activation), points()
    left, right = taylor(net, x, NAMES, FOURTH), autograd(net, x, NAMES)
    for index in FOURTH:
        for a, b in zip(left, right, strict=True):
            torch.testing.assert_close(a.partial(index), b.partial(index), rtol=1e-12, atol=1e-12)
    gradients = [
        torch.autograd.grad(sum(jets[0].partial(index).square().sum() for index in FOURTH), list(net.parameters()))
        for jets in (left, right)
    ]
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_elementary_derivatives_match_autograd(name):
    z = torch.linspace(0.3, 1.7, 5, dtype=torch.float64, requires_grad=True)
    function = getattr(torch, name, None) or getattr(torch.nn.functional, name)
    expected = [function(z)]
    for _ in range(4):
        last = expected[-1]
        (slope,) = torch.autograd.grad(last.sum(), z, create_graph=True, materialize_grads=True)
        expected.append(slope if slope.requires_grad else slope + 0 * z)
    for k, (a, b) in enumerate(zip(FUNCTIONS[name](z, 4), expected, strict=True)):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11, msg=f"{name}, derivative {k}")
        assert len(FUNCTIONS[name](z, k)) == k + 1


def test_integer_powers_of_zero_have_finite_derivatives():
    assert [d.item() for d in power(2)(torch.zeros(1, dtype=torch.float64), 3)] == [0.0, 0.0, 2.0, 0.0]


def test_combinatorics():
    assert faa_di_bruno_terms((2,)) == ((1, ((2,),)), (1, ((1,), (1,))))
    assert sum(c for c, _ in faa_di_bruno_terms((4,))) == 15  # the Bell number
    assert (3, ((2,), (1,))) in faa_di_bruno_terms((3,))
    assert sum(c for c, _, _ in leibniz_terms((2, 1))) == 2**3


def test_index_sets_are_closed_downwards_ordered_and_shared():
    indices = MultiIndexSet([(2, 1)], 2)
    assert indices.members == ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (2, 1))
    assert MultiIndexSet([(2, 1), (1, 0)], 2) is indices
    assert indices.order == 3
    assert copy.deepcopy(indices) is indices
    assert pickle.loads(pickle.dumps(indices)) is indices


def reference(x):
    """u = sin(x) y^2, and a fourth-order set of its derivatives."""
    return autograd(lambda p: torch.stack([torch.sin(p[:, 0]) * p[:, 1] ** 2, torch.exp(p[:, 0] * p[:, 1])], 1), x, NAMES)


def test_products_quotients_powers_and_compositions_differentiate():
    x = points()
    u, v = reference(x)
    expression = torch.sqrt(1 + u * u) / v - 2 * u**3 + torch.exp(-u) * torch.tensor(1.5)

    def direct(p):
        a, b = torch.sin(p[:, 0]) * p[:, 1] ** 2, torch.exp(p[:, 0] * p[:, 1])
        return (torch.sqrt(1 + a * a) / b - 2 * a**3 + 1.5 * torch.exp(-a)).unsqueeze(1)

    (expected,) = autograd(direct, x, NAMES)
    for index in FOURTH:
        torch.testing.assert_close(expression.partial(index), expected.partial(index), rtol=1e-10, atol=1e-10)


def test_divergence_form_differentiates_coefficients_of_coordinates():
    x = points()
    u, _ = reference(x)
    cx, cy = coordinates(NAMES, x)
    flux = (torch.cos(cx) + cy) * u.x
    expected = -torch.sin(x[:, 0]) * u.x.value + (torch.cos(x[:, 0]) + x[:, 1]) * u.xx.value
    torch.testing.assert_close(flux.x.value, expected)


def test_plain_tensors_multiply_but_refuse_to_be_differentiated():
    x = points()
    u, _ = reference(x)
    product = x[:, 0] * u.x
    torch.testing.assert_close(product.value, x[:, 0] * u.x.value)
    with pytest.raises(InputError, match="cannot differentiate"):
        product.x.value  # noqa: B018


def test_a_jet_stands_for_its_value_in_other_torch_functions():
    u, v = reference(points())
    torch.testing.assert_close(torch.where(u > 0.3, u, v), torch.where(u.value > 0.3, u.value, v.value))
    assert u.shape == (7,)
    torch.testing.assert_close(torch.clamp(u, max=0.1), u.value.clamp(max=0.1))


def test_jet_attributes():
    u, _ = reference(points())
    torch.testing.assert_close(u.xy.value, u.d("y", "x").value)
    with pytest.raises(InputError, match="coordinates x, y"):
        u.xz  # noqa: B018
    with pytest.raises(InputError, match="'z' is not a coordinate"):
        u.d("z")


def test_every_partial_is_computed_once():
    calls = []
    from sciml.jets import Field

    u = Field(NAMES, lambda index: calls.append(index) or torch.ones(3))
    (u * u.x + u.x).value  # noqa: B018
    assert sorted(calls) == [(0, 0), (1, 0)]


def test_tracing_records_exactly_what_is_asked():
    like = torch.zeros(3, dtype=torch.float64)
    asked = record(lambda jets: ((jets[0] * jets[1].x).y + torch.sin(jets[0].xx)).value, NAMES, 2, like)
    assert [one.apart for one in asked] == [{(0, 0), (0, 1), (2, 0)}, {(1, 0), (1, 1)}]
    assert not any(one.sums for one in asked)


def test_tracing_sees_that_only_a_sum_is_used():
    like = torch.zeros(3, dtype=torch.float64)

    def equation(jets):
        laplacian = jets[0].xx + jets[0].yy
        return (laplacian - (2.0 * laplacian).x + jets[0].x + jets[0] + jets[0].y).value

    (asked,) = record(equation, NAMES, 1, like)
    assert asked.apart == {(1, 0), (0, 0), (0, 1)}
    assert asked.sums == {((0, 2), (2, 0)), ((1, 2), (3, 0))}
    (other,) = record(lambda jets: (jets[0].xx + 2.0 * jets[0].yy).value, NAMES, 1, like)
    assert other.apart == {(2, 0), (0, 2)} and not other.sums


LAPLACIAN = ((0, 2), (2, 0))


def test_a_sum_shares_one_row_unless_its_parts_are_needed():
    assert MultiIndexSet([(1, 1)], 2, [LAPLACIAN]).orders == (1, 2, 2)
    assert MultiIndexSet([(2, 0)], 2, [LAPLACIAN]).orders == (1, 2, 2)
    assert MultiIndexSet([(2, 1)], 2, [LAPLACIAN]).orders == (1, 2, 3, 1)
    indices = MultiIndexSet([], 2, [LAPLACIAN])
    assert indices.orders == (1, 2, 1) and (2, 0) not in indices and (1, 0) in indices
    assert pickle.loads(pickle.dumps(indices)) is indices
    (jet,) = taylor(lambda p: torch.sin(p[..., 0:1]), points(), NAMES, indices)
    with pytest.raises(KeyError, match="was not computed"):
        jet.xx.value  # noqa: B018


BIHARMONIC = ((0, 4), (2, 2), (4, 0))


@pytest.mark.parametrize("sums", [[LAPLACIAN], [((0, 3), (2, 1)), ((1, 2), (3, 0))], [BIHARMONIC]])
def test_collapsed_sums_equal_the_sum_of_derivatives(sums):
    net, x = network(nn.Tanh()), points()
    weight = torch.rand(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def function(p):  # every rule: linear layers, activations, products, quotients
        gate = torch.sigmoid(p @ weight)
        return net(p) * gate[..., 0:1] / (1 + p[..., 1:2] ** 2)

    collapsed, apart = MultiIndexSet([], 2, sums), MultiIndexSet([index for group in sums for index in group], 2)
    assert sum(collapsed.orders) < sum(apart.orders)
    left, right = taylor(function, x, NAMES, collapsed), taylor(function, x, NAMES, apart)
    for group in sums:
        for a, b in zip(left, right, strict=True):
            torch.testing.assert_close(a.partial_sum(group), b.partial_sum(group), rtol=1e-12, atol=1e-12)
    squares = [sum(jet.partial_sum(group).square().sum() for jet in jets for group in sums) for jets in (left, right)]
    for a, b in zip(*(torch.autograd.grad(total, list(net.parameters())) for total in squares), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_taylor_supports_the_arithmetic_of_networks():
    x, indices = points(), FOURTH
    weight = torch.rand(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def function(p):
        a, b = p[..., 0:1], p[..., 1:2]
        h = torch.cat([torch.sin(math.pi * a), 1 / (2 + b), a * b - 3, 2 - a], dim=-1)
        gate = torch.sigmoid(p @ weight)
        return (gate[..., 0:1] * h[..., 0:1] + (1 - gate[..., 1:2]) ** 2 * h[..., 1:2] / (1 + h[..., 2:3] ** 2)) + 1

    (left,), (right,) = taylor(function, x, NAMES, indices), autograd(function, x, NAMES)
    for index in indices:
        torch.testing.assert_close(left.partial(index), right.partial(index), rtol=1e-11, atol=1e-11)


def test_unsupported_functions_say_so():
    jet = JetTensor.coordinates(points(), FOURTH)
    with pytest.raises(UnsupportedFunction, match=r"torch\.sort"):
        torch.sort(jet)
    for activation in (nn.GELU("tanh"), nn.Softplus(beta=2.0)):
        with pytest.raises(UnsupportedFunction, match="default arguments alone"):
            activation(jet)


def test_networks_are_functions_of_their_parameters():
    net, x = network(nn.Tanh()), points()
    parameters = dict(net.named_parameters())
    indices = MultiIndexSet([(2, 0), (0, 2)], 2)

    def laplacian(parameters, point):
        call = lambda p: torch.func.functional_call(net, parameters, (p,))  # noqa: E731
        u = taylor(call, point.unsqueeze(0), NAMES, indices)[0]
        return (u.xx + u.yy).value[0]

    rows = torch.func.vmap(torch.func.grad(laplacian), (None, 0))(parameters, x)
    u = autograd(net, x, NAMES)[0]
    for i in range(len(x)):
        laplacian_i = (u.xx + u.yy).value[i]
        expected = torch.autograd.grad(laplacian_i, list(net.parameters()), retain_graph=True, materialize_grads=True)
        for name, gradient in zip(parameters, expected, strict=True):
            torch.testing.assert_close(rows[name][i], gradient, rtol=1e-11, atol=1e-11)


def test_autograd_derivatives_survive_a_first_look_without_a_graph():
    (u,) = autograd(lambda p: torch.sin(p[:, :1]), points(), NAMES)
    with torch.no_grad():
        u.value  # noqa: B018
    torch.testing.assert_close(u.x.value, torch.cos(points()[:, 0]))


def test_derivatives_asked_for_without_a_graph_serve_higher_ones_later():
    points = torch.rand(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (u,) = autograd(lambda p: (p[:, :1] ** 3 * p[:, 1:]), points, ("x", "t"))
    with torch.no_grad():
        first = u.partial((1, 0))
    torch.testing.assert_close(first, 3 * points[:, 0] ** 2 * points[:, 1])
    torch.testing.assert_close(u.partial((2, 0)).detach(), 6 * points[:, 0] * points[:, 1])
