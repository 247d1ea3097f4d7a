from __future__ import annotations

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.optimize
import torch

from sciml.errors import InputError
from sciml.optim import LBFGS, SSBFGS, SSBroyden
from tests.optim.functions import Function, ill_conditioned, rosenbrock, run

METHODS = [LBFGS(), SSBFGS(), SSBroyden()]
ROSENBROCK = torch.linspace(-2, 2, 30, dtype=torch.float64)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("value", "start", "most"),
    [(rosenbrock, ROSENBROCK, 300), (ill_conditioned, torch.zeros(15, dtype=torch.float64), 500)],
)
def test_reaches_the_minimum_and_says_so(method, value, start, most):
    function = Function(value, start)
    _, steps = run(function, method, most)
    assert steps[-1].stop_reason.startswith("gradient below tolerance")
    torch.testing.assert_close(function.x, torch.ones_like(start), rtol=0, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_needs_about_as_many_evaluations_as_scipy(method):
    def value_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
        tensor = torch.tensor(x, requires_grad=True)
        loss = rosenbrock(tensor)
        return loss.item(), torch.autograd.grad(loss, tensor)[0].numpy()

    theirs = scipy.optimize.minimize(
        value_and_gradient, ROSENBROCK.numpy(), jac=True, method="L-BFGS-B",
        options={"maxcor": 50, "gtol": 1e-8, "ftol": 0, "maxiter": 1000},
    )  # fmt: skip
    function = Function(rosenbrock, ROSENBROCK)
    run(function, type(method)(gradient_tolerance=1e-8), 1000)
    assert float(rosenbrock(function.x)) < 1e-14
    assert function.evaluations < 2 * theirs.nfev


@pytest.mark.parametrize("method", METHODS)
def test_single_precision_reaches_its_own_accuracy(method):
    function = Function(rosenbrock, ROSENBROCK.float())
    _, steps = run(function, method, 400)
    assert steps[-1].stop_reason is not None
    torch.testing.assert_close(function.x, torch.ones(30), rtol=0, atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_goes_on_where_rounding_hides_the_decrease_of_the_loss(method):
    """Sums over many points round; near the minimum their gradients still tell where it is."""

    class Rounded(torch.autograd.Function):
        @staticmethod
        def forward(context, loss, x):
            return loss * (1 + 1e-9 * torch.sin(1e9 * x.sum()))

        @staticmethod
        def backward(context, slope):
            return slope, None

    function = Function(lambda x: Rounded.apply(1 + rosenbrock(x), x.detach()), ROSENBROCK)
    _, steps = run(function, type(method)(gradient_tolerance=1e-9), 500)
    assert steps[-1].stop_reason.startswith("gradient below tolerance")


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_never_rises_beyond_rounding(method):
    _, steps = run(Function(rosenbrock, ROSENBROCK), method, 300)
    losses = [step.loss for step in steps]
    assert all(later <= earlier * (1 + 1e-6) for earlier, later in pairwise(losses))


@pytest.mark.parametrize("method", METHODS)
def test_a_restored_method_continues_bit_for_bit(method):
    whole = Function(rosenbrock, ROSENBROCK)
    run(whole, method, 30)
    half = Function(rosenbrock, ROSENBROCK)
    first, _ = run(half, method, 13)
    rest = Function(rosenbrock, half.x)
    second = method.build(rest.parameters)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for _ in range(17):
        second.step(rest)
    assert torch.equal(rest.x, whole.x)
    assert half.evaluations + rest.evaluations == whole.evaluations


@pytest.mark.parametrize("method", METHODS)
def test_a_changed_function_is_evaluated_anew(method):
    function = Function(rosenbrock, ROSENBROCK)
    optimiser, _ = run(function, method, 10)
    function.value, function.version = ill_conditioned, 1
    before = float(ill_conditioned(function.x))
    step = optimiser.step(function)
    assert step.loss < before  # a gradient of the old function would not descend so surely
    torch.testing.assert_close(step.loss, float(ill_conditioned(function.x)), rtol=1e-14, atol=0)


def test_a_failing_line_search_is_retried_along_steepest_descent_without_memory():
    function = Function(rosenbrock, ROSENBROCK)
    optimiser, _ = run(function, LBFGS(), 10)
    optimiser._y = -optimiser._y  # now no direction from memory descends
    before = float(rosenbrock(function.x))
    step = optimiser.step(function)
    assert step.stop_reason is None and step.loss < before
    assert len(optimiser._s) == 1  # the memory that failed is gone


@pytest.mark.parametrize("method", METHODS)
def test_stops_where_even_steepest_descent_fails_and_leaves_the_parameters(method):
    class Wrong(torch.autograd.Function):
        """|x|^2 with the gradient's sign wrong."""

        @staticmethod
        def forward(context, x):
            context.save_for_backward(x)
            return x.square().sum()

        @staticmethod
        def backward(context, slope):
            return -2 * slope * context.saved_tensors[0]

    start = torch.tensor([1.0, 2.0], dtype=torch.float64)
    function = Function(Wrong.apply, start)
    _, steps = run(function, method, 3)
    assert steps[-1].stop_reason == "line search found no decrease along steepest descent"
    assert torch.equal(function.x, start)


@pytest.mark.parametrize("method", METHODS)
def test_stops_where_nothing_is_gained(method):
    """The infimum is at infinity, and approached ever more slowly."""
    function = Function(lambda x: 1 + torch.exp(-x).sum(), torch.zeros(2, dtype=torch.float64))
    settings = {"gradient_tolerance": 0.0, "loss_tolerance": 1e-6, "patience": 5}
    _, steps = run(function, type(method)(**settings), 200)
    assert steps[-1].stop_reason == "loss change below tolerance over 5 iterations"
    assert steps[-1].loss < 1 + 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_stops_at_a_loss_that_is_not_finite(method):
    _, steps = run(Function(lambda x: torch.log(x).sum(), torch.tensor([-1.0])), method, 2)
    assert steps[-1].stop_reason == "the loss or its gradient is not finite" and len(steps) == 1


@pytest.mark.parametrize("method", METHODS)
def test_a_step_out_of_the_finite_numbers_is_shortened(method):
    function = Function(lambda x: (x - torch.log(x)).sum(), torch.tensor([1e-4, 5.0], dtype=torch.float64))
    run(function, method, 100)
    torch.testing.assert_close(function.x, torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-6)


def test_lbfgs_with_a_full_memory_has_the_direction_of_bfgs():
    function = Function(rosenbrock, ROSENBROCK)
    optimiser, _ = run(function, LBFGS(memory=12), 12)
    s, y = optimiser._s.numpy(), optimiser._y.numpy()
    matrix = np.eye(30) * (s[-1] @ y[-1]) / (y[-1] @ y[-1])
    for step, change in zip(s, y, strict=True):  # Nocedal & Wright, equation 6.17
        rho = 1 / (step @ change)
        left = np.eye(30) - rho * np.outer(step, change)
        matrix = left @ matrix @ left.T + rho * np.outer(step, step)
    gradient = np.linspace(-1, 2, 30)
    expected = -matrix @ gradient
    np.testing.assert_allclose(optimiser._direction(torch.tensor(gradient)).numpy(), expected, rtol=1e-8)


@pytest.mark.parametrize("broyden", [True, False])
def test_self_scaled_updates_follow_the_paper(broyden):
    """The formulas of the paper as they stand there, on pairs of a random run."""
    function = Function(rosenbrock, ROSENBROCK)
    optimiser = (SSBroyden() if broyden else SSBFGS()).build(function.parameters)
    generator = np.random.default_rng(0)
    matrix, n = np.eye(30), 30
    for number in range(6):
        gradient, curvature = generator.normal(size=30), generator.uniform(0.5, 2.0, size=30)
        length = generator.uniform(0.2, 1.5)
        s = -length * matrix @ gradient
        y = curvature * s
        optimiser._learn(*(torch.tensor(vector) for vector in (s, y, gradient)), length)

        rho, hy = 1 / (y @ s), matrix @ y
        h, b = rho * (y @ hy), -length * rho * (s @ gradient)
        a = h * b - 1
        theta = 0.0
        if broyden:
            rho_minus = min(1.0, h * (1 - math.sqrt(abs(a) / (1 + a))))
            theta = max((rho_minus - 1) / a, min(1 / rho_minus, (1 - b) / b))
        sigma, quotient = 1 + a * theta, min(1.0, 1 / b)
        factor = abs(sigma) ** (1 / (1 - n))
        if number == 0:
            tau = h / sigma
        else:
            tau = min(quotient * factor, sigma) if theta <= 0 else quotient * min(factor, 1 / theta)
        v = rho * s - hy / (y @ hy)
        phi = (1 - theta) / (1 + a * theta)
        matrix = matrix - np.outer(hy, hy) / (y @ hy) + phi * (y @ hy) * np.outer(v, v)
        matrix = matrix / tau + rho * np.outer(s, s)
        np.testing.assert_allclose(optimiser._matrix.numpy(), matrix, rtol=1e-9, atol=1e-12)


def test_a_matrix_too_large_is_refused_with_the_alternative():
    with pytest.raises(InputError, match="LBFGS"):
        SSBroyden().build([torch.zeros(200, 200, requires_grad=True)])


def test_settings_are_checked():
    with pytest.raises(InputError, match=r"LBFGS\(patience=0\)"):
        LBFGS(patience=0)
