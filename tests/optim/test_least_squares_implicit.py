"""Derivatives of the solution of a least-squares problem."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from sciml.errors import DivergenceError
from sciml.optim import LBFGS, differentiate_optimum, least_squares

# Forward-mode differentiation makes torch compile some formulas by its own, deprecated compiler.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def quadratic(x: Tensor, a: Tensor, y: Tensor, c: Tensor) -> Tensor:
    product = (a @ x.unsqueeze(-1)).squeeze(-1)
    return product + c * product**2 - y


def test_first_and_second_derivatives():
    """A batch of two problems that share their data and a coefficient, far from zero residual."""
    a, y = normal(2, 4, 2, seed=0).requires_grad_(), normal(4, seed=1).requires_grad_()
    c = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)

    def solve(a, y, c):
        return least_squares(quadratic, torch.zeros(2).double(), a, y, c, gradient_tolerance=1e-13).x

    assert gradcheck(solve, (a, y, c)) and gradgradcheck(solve, (a, y, c), fast_mode=True)


def errors_of_derivatives(size: float) -> tuple[float, float]:
    """Relative errors, against central differences, of our derivative by the data and of the root form's."""
    a, x, noise, direction = (normal(*shape, seed=i) for i, shape in enumerate([(40, 6), (6,), (40,), (40,)]))
    c = torch.tensor(0.1).double()
    data = quadratic(x, a, torch.zeros(40), c) + size * noise / noise.norm()

    def solve(y: Tensor) -> Tensor:
        return least_squares(quadratic, x, a, y, c, gradient_tolerance=1e-14).x

    h = 1e-5
    expected = (solve(data + h * direction) - solve(data - h * direction)) / (2 * h)
    y = data.clone().requires_grad_()
    optimum = solve(y)
    ours = torch.stack([torch.autograd.grad(value, y, retain_graph=True)[0] @ direction for value in optimum])
    jacobian = torch.func.jacfwd(quadratic)(optimum.detach(), a, data, c)
    root = torch.linalg.lstsq(jacobian, direction.unsqueeze(1)).solution.squeeze(1)
    return tuple(float((d - expected).norm() / expected.norm()) for d in (ours, root))


def test_exact_at_large_residual_where_the_root_form_is_not():
    ours, root = errors_of_derivatives(0.0)
    assert ours < 1e-6 and root < 1e-6
    for size, low, high in [(0.3, 0.009, 0.02), (2.0, 0.05, 0.09)]:
        ours, root = errors_of_derivatives(size)
        assert ours < 1e-6, ours
        assert low < root < high, root


def test_given_hessian_is_used():
    a, y = normal(2, 7, 2, seed=0), normal(7, seed=1).requires_grad_()
    c = torch.tensor(0.2, dtype=torch.float64)
    calls = []

    def hessian(x, a, y, c):
        calls.append(x)
        product = (a @ x.unsqueeze(-1)).squeeze(-1)
        weights = (1 + 2 * c * product) ** 2, 2 * c * quadratic(x, a, y, c)
        first, second = (a.mT @ (weight.unsqueeze(-1) * a) for weight in weights)
        return first, second

    gradients = [
        torch.autograd.grad(least_squares(quadratic, torch.zeros(2).double(), a, y, c, hessian=given).x[:, 0].sum(), y)[0]
        for given in (None, hessian)
    ]
    assert len(calls) == 1
    torch.testing.assert_close(*gradients)


def test_indefinite_hessian_falls_back_to_gauss_newton():
    """At x = 0 the residual (x + a, 3 - x^2) has H = 1 - 6: the Gauss-Newton part gives dx/da = -1."""
    a = torch.zeros(1).double().requires_grad_()

    def residual(x, a):
        return torch.cat([x + a, 3 - x**2], -1)

    x = differentiate_optimum(residual, torch.zeros(1).double(), a)
    x.backward()
    assert float(a.grad) == pytest.approx(-1)


def test_free_directions_do_not_move():
    """Only x_0 + x_1 is determined; both problems of the batch differ in that."""
    weight = torch.tensor([[1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    a = torch.tensor([3.0, 5.0], dtype=torch.float64, requires_grad=True)

    def residual(x, a):
        return torch.stack([x[..., 0] + x[..., 1] - a, weight[:, 0] * 0 + (1 - weight[:, 0]) * x[..., 1]], -1)

    result = least_squares(residual, torch.zeros(2, 2).double(), a)
    assert result.converged.all()
    jacobian = [torch.autograd.grad(value, a, retain_graph=True)[0] for value in result.x.flatten()]
    expected = torch.tensor([[0.5, 0], [0.5, 0], [0, 1], [0, 0]], dtype=torch.float64)
    torch.testing.assert_close(torch.stack(jacobian), expected)


def test_residual_of_the_result_is_differentiable():
    y = normal(7, seed=1).requires_grad_()
    a = normal(7, 2, seed=0)
    result = least_squares(quadratic, torch.zeros(2).double(), a, y, torch.tensor(0.1).double())
    (gradient,) = torch.autograd.grad(result.residual.square().sum(), y)
    torch.testing.assert_close(gradient, -2 * result.residual)  # the envelope theorem


def test_single_precision_arguments_receive_single_precision_gradients():
    y = normal(7, seed=1).float().requires_grad_()
    least_squares(quadratic, torch.zeros(2), normal(7, 2, seed=0), y, torch.tensor(0.1)).x.sum().backward()
    assert y.grad.dtype == torch.float32 and y.grad.isfinite().all()


def test_nothing_to_differentiate():
    assert not least_squares(quadratic, torch.zeros(2), normal(7, 2, seed=0), normal(7, seed=1), 0.1).x.requires_grad


def test_derivative_where_the_residual_is_not_finite():
    y = torch.full((7,), math.nan).double().requires_grad_()
    result = least_squares(quadratic, torch.zeros(2), normal(7, 2, seed=0), y, 0.1)
    assert result.stop_reason == "not finite"
    with pytest.raises(DivergenceError, match="not finite"):
        result.x.sum().backward()


def test_coefficient_recovered_through_the_layer():
    """-k u'' + u^3 = f with u a sine series: k from values of u, by an optimiser of k alone."""
    x = torch.linspace(0, 1, 30, dtype=torch.float64).unsqueeze(1)
    n = math.pi * torch.arange(1, 9, dtype=torch.float64)
    basis, second = torch.sin(n * x), -(n**2) * torch.sin(n * x)
    force = 10 * x.squeeze(1)

    def residual(w: Tensor, k: Tensor) -> Tensor:
        return -k * (second @ w) + (basis @ w) ** 3 - force

    observed = basis @ least_squares(residual, torch.zeros(8), torch.tensor(0.7)).x.double()

    class Objective:
        version = 0
        names = ("k",)
        parameters = (torch.tensor(0.2, dtype=torch.float64, requires_grad=True),)

        def loss(self) -> Tensor:
            w = least_squares(residual, torch.zeros(8).double(), self.parameters[0]).x
            return (basis @ w - observed).square().mean()

    objective = Objective()
    optimiser = LBFGS().build(list(objective.parameters))
    for _ in range(15):
        if optimiser.step(objective).stop_reason:
            break
    assert float(objective.parameters[0].detach()) == pytest.approx(0.7, abs=1e-5)
