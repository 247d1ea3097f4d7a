from __future__ import annotations

import io
import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sciml.optim import LevenbergMarquardt, Step


class Poisson:
    """-u'' = pi^2 sin(pi x), u(0) = u(1) = 0, for a network with two hidden tanh layers; exact: sin(pi x)."""

    def __init__(self, width: int = 8, points: int = 30) -> None:
        self.generator = torch.Generator().manual_seed(0)
        sizes = [1, width, width, 1]
        self.parameters: list[Tensor] = []
        for n, m in itertools.pairwise(sizes):
            self.parameters += [self._normal(m, n) * math.sqrt(2 / (m + n)), self._normal(m) / 2]
        for parameter in self.parameters:
            parameter.requires_grad_()
        self.names = [str(i) for i in range(len(self.parameters))]
        self.version = 0
        self.points = torch.linspace(0, 1, points).double()

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64)

    def resample(self) -> None:
        self.points = torch.rand(len(self.points), generator=self.generator, dtype=torch.float64)
        self.version += 1

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """u and u'' by propagating both derivatives through the layers."""
        u, d, dd = x.unsqueeze(1), torch.ones_like(x).unsqueeze(1), torch.zeros_like(x).unsqueeze(1)
        *hidden, last_weight, last_bias = self.parameters
        for weight, bias in zip(hidden[::2], hidden[1::2], strict=True):
            u, d, dd = torch.tanh(u @ weight.mT + bias), d @ weight.mT, dd @ weight.mT
            slope = 1 - u**2
            d, dd = slope * d, slope * dd - 2 * u * slope * d**2
        return (u @ last_weight.mT + last_bias).squeeze(1), (dd @ last_weight.mT).squeeze(1)

    def residual_vector(self, parameters: dict[str, Tensor] | None = None) -> Tensor:
        inside = self(self.points)[1] + math.pi**2 * torch.sin(math.pi * self.points)
        ends = self(self.points.new_tensor([0.0, 1.0]))[0]
        return torch.cat([inside / math.sqrt(len(inside)), 10 * ends])

    def loss(self) -> Tensor:
        return self.residual_vector().square().sum()

    def error(self) -> float:
        x = torch.linspace(0, 1, 201).double()
        exact = torch.sin(math.pi * x)
        return float((self(x)[0].detach() - exact).norm() / exact.norm())


class Vector:
    """A residual of two unknowns given one by one, without a Jacobian."""

    def __init__(self, residual: Callable[[Tensor, Tensor], Tensor], *start: float) -> None:
        self.parameters = [torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in start]
        self.names, self.version, self.residual = ["p", "q"], 0, residual

    def residual_vector(self, parameters: dict[str, Tensor] | None = None) -> Tensor:
        return self.residual(*self.parameters)

    def loss(self) -> Tensor:
        return self.residual_vector().square().sum()


class Linear:
    """r = A p - b, with its Jacobian given; ``sign`` falsifies that."""

    def __init__(self, m: int, n: int, sign: float = 1.0) -> None:
        generator = torch.Generator().manual_seed(1)
        self.a = torch.randn(m, n, generator=generator, dtype=torch.float64)
        self.b = torch.randn(m, generator=generator, dtype=torch.float64)
        self.parameters = [torch.zeros(n, dtype=torch.float64, requires_grad=True)]
        self.names, self.version, self.sign = ["p"], 0, sign

    def residual_vector(self, parameters: dict[str, Tensor] | None = None) -> Tensor:
        return self.a @ self.parameters[0] - self.b

    def loss(self) -> Tensor:
        return self.residual_vector().square().sum()

    def jacobian(self) -> tuple[Tensor, Tensor]:
        return self.residual_vector(), self.sign * self.a


def train(objective, steps: int, configuration: LevenbergMarquardt | None = None, resample: bool = False) -> list[Step]:
    optimiser = (configuration or LevenbergMarquardt()).build(objective.parameters)
    taken = []
    for _ in range(steps):
        if resample:
            objective.resample()
        taken.append(optimiser.step(objective))
        if taken[-1].stop_reason is not None:
            break
    return taken


def test_poisson_network_reaches_six_digits():
    objective = Poisson()
    losses = [step.loss for step in train(objective, 60)]
    assert objective.error() < 1e-6
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(float(objective.loss().detach()))


def test_points_may_change_between_steps():
    """The loss of each step is that of its own points."""
    objective = Poisson()
    taken = train(objective, 60, resample=True)
    assert taken[-1].loss == pytest.approx(float(objective.loss().detach()))
    assert objective.error() < 1e-4


@pytest.mark.parametrize("m, n", [(30, 7), (7, 200_000)])
def test_linear_least_squares_with_fewer_parameters_or_fewer_residuals(m, n):
    """From zero, underdetermined systems get the solution of minimum norm. A matrix of P x P would not fit in memory."""
    objective = Linear(m, n)
    taken = train(objective, 40, LevenbergMarquardt(gradient_tolerance=1e-6))
    assert taken[-1].stop_reason.startswith("gradient below tolerance")
    expected = torch.linalg.pinv(objective.a) @ objective.b
    torch.testing.assert_close(objective.parameters[0].detach(), expected, rtol=1e-6, atol=1e-6)


def test_rows_by_backward_passes_equal_a_given_jacobian():
    class Given(Poisson):
        def jacobian(self) -> tuple[Tensor, Tensor]:
            r = self.residual_vector()
            gradients = [torch.autograd.grad(value, self.parameters, retain_graph=True) for value in r]
            return r, torch.stack([torch.cat([piece.flatten() for piece in row]) for row in gradients])

    class Unknown(Poisson):
        def jacobian(self) -> None:
            return None

    losses = [[step.loss for step in train(kind(points=80), 4)] for kind in (Poisson, Given, Unknown)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)
    assert losses[0] == losses[2]


def test_parameter_without_influence_stays():
    objective = Vector(lambda p, q: torch.cat([p - 3, 2 * p - 1]), 0.0, 7.0)
    assert train(objective, 20)[-1].loss == pytest.approx(5.0)
    assert float(objective.parameters[0].detach()) == pytest.approx(1.0)
    assert float(objective.parameters[1].detach()) == 7.0


def test_far_start_without_tuning():
    """Rosenbrock's valley from a thousand times too far, where the residual is 1e7."""
    objective = Vector(lambda p, q: torch.cat([10 * (q - p**2), 1 - p]), -1200.0, 1000.0)
    assert train(objective, 200)[-1].loss < 1e-15
    torch.testing.assert_close(torch.cat(objective.parameters).detach(), torch.ones(2).double())


def test_refused_steps_leave_the_parameters_and_are_reported():
    objective = Linear(30, 7, sign=-1.0)
    taken = train(objective, 5)
    assert len(taken) == 1 and taken[0].stop_reason == "damping exceeded its limit: no decrease found"
    assert taken[0].loss == float(objective.loss().detach())
    assert not objective.parameters[0].any()


def test_not_finite_is_reported():
    objective = Linear(30, 7)
    objective.b[3] = math.nan
    assert "not finite" in train(objective, 5)[-1].stop_reason
    assert not objective.parameters[0].any()


def test_steps_into_undefined_values_are_refused():
    objective = Vector(lambda p, q: torch.log(torch.cat([p, p * q])), 50.0, 20.0)
    assert train(objective, 60)[-1].loss < 1e-20


def test_continues_from_a_saved_state():
    through = Poisson()
    whole = [step.loss for step in train(through, 10)]

    halves = Poisson()
    optimiser = LevenbergMarquardt().build(halves.parameters)
    for _ in range(5):
        optimiser.step(halves)
    saved = io.BytesIO()
    torch.save(optimiser.state_dict(), saved)
    saved.seek(0)
    optimiser = LevenbergMarquardt().build(halves.parameters)
    optimiser.load_state_dict(torch.load(saved, weights_only=True))
    assert [optimiser.step(halves).loss for _ in range(5)] == whole[5:]
