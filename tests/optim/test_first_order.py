from __future__ import annotations

import copy

import pytest
import torch

from sciml.errors import InputError
from sciml.optim import SOAP, Adam, AdamW, CosineDecay, ExponentialDecay, OneCycle, Torch, WarmUp
from tests.optim.functions import Function, ill_conditioned, rosenbrock, run

START = torch.linspace(-1.5, 1.5, 6, dtype=torch.float64)


def test_adam_takes_the_steps_of_pytorch():
    ours, theirs = Function(rosenbrock, START), Function(rosenbrock, START)
    run(ours, Adam(1e-2, betas=(0.8, 0.99), epsilon=1e-6), 50)
    run(theirs, Torch(lambda p: torch.optim.Adam(p, lr=1e-2, betas=(0.8, 0.99), eps=1e-6)), 50)
    torch.testing.assert_close(ours.x, theirs.x, rtol=1e-12, atol=1e-12)


def test_a_parameter_that_the_loss_does_not_contain_stays():
    function = Function(rosenbrock, START)
    idle = torch.ones(3, dtype=torch.float64, requires_grad=True)
    function.parameters.append(idle)
    run(function, Adam(1e-2), 5)
    assert torch.equal(idle.detach(), torch.ones(3, dtype=torch.float64))


def test_adam_minimises_over_complex_numbers():
    target = torch.tensor([1 + 2j, -3j], dtype=torch.complex128)
    function = Function(lambda z: (z - target).abs().square().sum(), torch.zeros(2, dtype=torch.complex128))
    run(function, Adam(1e-1), 400)
    torch.testing.assert_close(function.x, target, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "configuration", [Adam(1e-2), AdamW(1e-2, clip=1.0), SOAP(1e-2, frequency=3), Torch(torch.optim.RAdam)]
)
def test_a_restored_optimiser_continues_bit_for_bit(configuration):
    matrix = torch.eye(3, dtype=torch.float64) + 0.1
    value = lambda w: ill_conditioned((matrix @ w).flatten())  # noqa: E731
    start = torch.linspace(-1, 1, 12, dtype=torch.float64).view(3, 4)
    whole = Function(value, start)
    run(whole, configuration, 20)

    half = Function(value, start)
    first, _ = run(half, configuration, 10)
    rest = Function(value, half.x)
    second = configuration.build(rest.parameters)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for _ in range(10):
        second.step(rest)
    assert torch.equal(rest.x, whole.x)


def test_the_learning_rate_follows_the_factor():
    for configuration in (Adam(1e-2), SOAP(1e-2), Torch(lambda p: torch.optim.Adam(p, lr=1e-2))):
        moves = []
        for factor in (1.0, 0.25, 0.5):
            function = Function(rosenbrock, START)
            optimiser = configuration.build(function.parameters)
            optimiser.scale_learning_rate(0.5)  # not cumulative
            optimiser.scale_learning_rate(factor)
            optimiser.step(function)
            moves.append((function.x - START).norm())
        torch.testing.assert_close(moves[1] / moves[0], torch.tensor(0.25, dtype=torch.float64))
        torch.testing.assert_close(moves[2] / moves[0], torch.tensor(0.5, dtype=torch.float64))


def test_pytorch_optimisers_that_need_a_closure_get_one():
    function = Function(rosenbrock, START)
    run(function, Torch(lambda p: torch.optim.LBFGS(p, max_iter=100, line_search_fn="strong_wolfe")), 3)
    torch.testing.assert_close(function.x, torch.ones_like(START), rtol=0, atol=1e-5)


def test_soap_on_a_vector_is_adam():
    soap, adam = Function(rosenbrock, START), Function(rosenbrock, START)
    run(soap, SOAP(1e-2, betas=(0.9, 0.99)), 30)
    run(adam, Adam(1e-2, betas=(0.9, 0.99)), 30)
    torch.testing.assert_close(soap.x, adam.x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("shape", "largest"), [((5, 5), 4096), ((3, 5), 4)])
def test_soap_does_not_see_a_rotation_of_its_weights(shape, largest):
    """In the eigenbasis of the gradients' moments, turning the weight's rows and columns turns every step."""
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    scale, target = draw(*shape), draw(*shape)
    rows, columns = (
        torch.linalg.qr(draw(n, n)).Q if n <= largest else torch.eye(n, dtype=torch.float64) for n in shape
    )
    plain = Function(lambda w: (scale * (w - target)).square().sum(), torch.zeros(shape, dtype=torch.float64))
    turned = Function(lambda w: (scale * (rows @ w @ columns - target)).square().sum(), plain.x)
    for function in (plain, turned):
        run(function, SOAP(1e-2, largest=largest, frequency=2), 25)
    torch.testing.assert_close(rows @ turned.x @ columns, plain.x, rtol=0, atol=1e-6)
    assert (plain.x - target).norm() < 0.95 * target.norm()


def test_schedules():
    decay = ExponentialDecay(rate=0.9, steps=1000)
    assert decay(0) == 1 and decay(1000) == pytest.approx(0.9) and decay(500) == pytest.approx(0.9**0.5)
    stairs = ExponentialDecay(rate=0.5, steps=10, staircase=True)
    assert [stairs(step) for step in (9, 10, 25)] == [1, 0.5, 0.25]
    cosine = CosineDecay(steps=100, final=0.2)
    assert [cosine(step) for step in (0, 50, 100, 500)] == pytest.approx([1, 0.6, 0.2, 0.2])
    warm = WarmUp(4, then=stairs)
    assert [warm(step) for step in (0, 3, 4, 14)] == pytest.approx([0.2, 0.8, 1, 0.5])


def test_a_schedule_without_steps_is_refused():
    with pytest.raises(InputError, match="steps=0"):
        CosineDecay(steps=0)


def test_matrices_decay_and_vectors_do_not():
    function = Function(lambda x: x.sum() * 0, torch.ones(2, 2))
    function.parameters.append(torch.ones(3, requires_grad=True))
    run(function, AdamW(0.1, weight_decay=0.5), 1)
    torch.testing.assert_close(function.x, torch.full((2, 2), 0.95))
    assert torch.equal(function.parameters[1].detach(), torch.ones(3))


def test_a_long_gradient_is_shortened_to_the_clip():
    """Adam divides a constant factor out, so the gradient is looked at where the optimiser receives it."""
    for start, length in ((3.0, 0.5), (0.1, 0.2)):
        function = Function(lambda x: x.square().sum(), torch.tensor([start, 0.0]))
        run(function, AdamW(1e-3, clip=0.5), 1)
        assert function.parameters[0].grad.norm() == pytest.approx(length, rel=1e-4)


def test_a_scaled_loss_leaves_the_gradient_and_an_overflow_the_step_out():
    function, plain = Function(rosenbrock, START), Function(rosenbrock, START)
    optimiser, _ = run(function, AdamW(1e-2, clip=1e9, loss_scaling=True), 5)
    run(plain, AdamW(1e-2), 5)
    torch.testing.assert_close(function.x, plain.x, rtol=1e-12, atol=1e-12)
    before, scale = function.x.clone(), optimiser.state_dict()["scaler"]["scale"]
    function.value = lambda x: rosenbrock(x) * torch.inf
    optimiser.step(function)
    assert torch.equal(function.x, before) and optimiser.state_dict()["scaler"]["scale"] == scale / 2
    again = AdamW(1e-2, loss_scaling=True).build(function.parameters)
    again.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    assert again.state_dict()["scaler"]["scale"] == scale / 2


def test_one_cycle_rises_and_falls_over_the_budget():
    schedule = OneCycle(0.1, final=0.2)
    assert [schedule(share) for share in (0, 0.05, 0.1, 0.55, 1)] == pytest.approx([1e-3, 0.5, 1, 0.6, 0.2])
    assert OneCycle(0)(0) == 1
    with pytest.raises(InputError, match="warm_up=1"):
        OneCycle(1)


@pytest.mark.parametrize("kind", [Adam, AdamW, SOAP])
@pytest.mark.parametrize("rate", [-1e-3, 0, float("nan"), "fast"])
def test_a_learning_rate_must_be_positive(kind, rate):
    with pytest.raises(InputError, match=f"{kind.__name__}.learning_rate={rate!r}. must be"):
        kind(rate)
