from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.optim import least_squares

# Forward-mode differentiation makes torch compile some formulas by its own, deprecated compiler.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def columns(x: Tensor) -> tuple[Tensor, ...]:
    return tuple(value.unsqueeze(-1) for value in x.unbind(-1))


# The test set of More, Garbow & Hillstrom (1981), ACM TOMS 7; numbers are theirs.
def rosenbrock(x):  # 1
    a, b = x.unbind(-1)
    return torch.stack([10 * (b - a**2), 1 - a], -1)


def freudenstein_roth(x):  # 2
    a, b = x.unbind(-1)
    return torch.stack([a - 13 + ((5 - b) * b - 2) * b, a - 29 + ((b + 1) * b - 14) * b], -1)


def beale(x):  # 5
    a, b = columns(x)
    return double(1.5, 2.25, 2.625) - a * (1 - b ** double(1, 2, 3))


def jennrich_sampson(x):  # 6
    a, b = columns(x)
    i = torch.arange(1, 11, dtype=x.dtype)
    return 2 + 2 * i - torch.exp(i * a) - torch.exp(i * b)


def helical_valley(x):  # 7
    a, b, c = x.unbind(-1)
    return torch.stack([10 * (c - 10 * torch.atan2(b, a) / (2 * math.pi)), 10 * (torch.hypot(a, b) - 1), c], -1)


def box(x):  # 12
    a, b, c = columns(x)
    t = torch.arange(1, 11, dtype=x.dtype) / 10
    return torch.exp(-t * a) - torch.exp(-t * b) - c * (torch.exp(-t) - torch.exp(-10 * t))


def powell(x):  # 13
    a, b, c, d = x.unbind(-1)
    return torch.stack([a + 10 * b, math.sqrt(5) * (c - d), (b - 2 * c) ** 2, math.sqrt(10) * (a - d) ** 2], -1)


def kowalik_osborne(x):  # 15
    a, b, c, d = columns(x)
    y = double(0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246)
    u = double(4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625)
    return y - a * (u**2 + u * b) / (u**2 + u * c + d)


def osborne(x):  # 17: a sum of two exponentials
    a, b, c, d, e = columns(x)
    y = 1e-3 * double(
        844, 908, 932, 936, 925, 908, 881, 850, 818, 784, 751, 718, 685, 658, 628, 603, 580,
        558, 538, 522, 506, 490, 478, 467, 457, 448, 438, 431, 424, 420, 414, 411, 406,
    )  # fmt: skip
    t = 10 * torch.arange(33, dtype=x.dtype)
    return y - (a + b * torch.exp(-d * t) + c * torch.exp(-e * t))


STANDARD = {
    rosenbrock: (-1.2, 1),
    freudenstein_roth: (0.5, -2),
    beale: (1, 1),
    jennrich_sampson: (0.3, 0.4),
    helical_valley: (-1, 0, 0),
    box: (0, 10, 20),
    powell: (3, -1, 0, 1),
    kowalik_osborne: (0.25, 0.39, 0.415, 0.39),
    osborne: (0.5, 1.5, -1, 0.01, 0.02),
}


@pytest.mark.parametrize("method", ["auto", "cholesky"])
@pytest.mark.parametrize("residual", STANDARD, ids=lambda f: f.__name__)
def test_agrees_with_scipy(residual, method):
    start = double(*STANDARD[residual])
    ours = least_squares(residual, start, method=method)
    theirs = scipy.optimize.least_squares(
        lambda x: residual(torch.from_numpy(x)).numpy(),
        start.numpy(),
        jac=lambda x: torch.func.jacfwd(residual)(torch.from_numpy(x)).numpy(),
        method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15,
    )  # fmt: skip
    assert ours.converged and ours.stop_reason.startswith("converged"), ours.stop_reason
    assert float(ours.residual.square().sum()) == pytest.approx(2 * theirs.cost, rel=1e-10, abs=1e-20)
    # Powell's Jacobian is singular at the solution: there the residual says less about x.
    np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-6, atol=1e-6 if residual is powell else 1e-8)
    torch.testing.assert_close(ours.residual, residual(ours.x))


def line(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return (a @ x.unsqueeze(-1)).squeeze(-1) - b


def decay(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
    a, b = columns(x)
    return a * torch.exp(-b * t) - y


@pytest.mark.parametrize("method", ["auto", "cholesky"])
def test_linear_problem_takes_one_step(method):
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(2, 3, 20, 5, generator=generator, dtype=torch.float64)
    b = 100 * torch.randn(3, 20, generator=generator, dtype=torch.float64)
    result = least_squares(line, torch.ones(5).double(), a, b, method=method)
    assert (result.steps == 1).all() and result.converged.all()
    assert (result.stop_reason == "converged: gradient").all()
    torch.testing.assert_close(result.x, torch.linalg.lstsq(a, b.expand(2, 3, 20).unsqueeze(-1)).solution.squeeze(-1))


def test_batch_equals_loop():
    generator = torch.Generator().manual_seed(1)
    t = torch.linspace(0, 2, 15, dtype=torch.float64)
    y = 3 * torch.exp(-1.5 * t) + torch.randn(2, 4, 15, generator=generator, dtype=torch.float64)
    start = torch.rand(4, 2, generator=generator, dtype=torch.float64) + 0.5
    together = least_squares(decay, start, t, y)
    assert together.x.shape == (2, 4, 2) and together.residual.shape == (2, 4, 15)
    assert together.converged.all() and together.steps.unique().numel() > 1
    for i in np.ndindex(2, 4):
        alone = least_squares(decay, start[i[1]], t, y[i])
        torch.testing.assert_close(together.x[i], alone.x, rtol=1e-12, atol=1e-12)
        assert together.steps[i] == alone.steps and together.stop_reason[i] == alone.stop_reason


def test_given_jacobian_is_used():
    def jacobian(x):
        calls.append(x)
        return torch.stack([torch.stack([-20 * x[0], 10 + 0 * x[0]]), double(-1, 0)])

    calls = []
    result = least_squares(rosenbrock, double(-1.2, 1), jacobian=jacobian)
    torch.testing.assert_close(result.x, double(1, 1))
    assert len(calls) == result.steps + 1


def test_more_unknowns_than_residuals():
    result = least_squares(lambda x: x[..., :1] * x[..., 1:2] - 6 + x[..., 2:], double(1, 1, 0))
    assert result.converged and result.residual.abs().max() < 1e-12


def test_rank_deficient_jacobian():
    """Only the sum of two unknowns matters, a third has no influence: they stay where the start put them."""
    result = least_squares(lambda x: torch.exp(x[..., :1] + x[..., 1:2]) - double(1, 2, 3), double(1, 0, 7))
    assert result.converged
    assert float(result.x[:2].sum()) == pytest.approx(math.log(2))
    assert result.x[2] == 7 and abs(float(result.x[0] - result.x[1]) - 1) < 1e-6


def test_not_finite_at_the_start():
    y = torch.ones(3, 4).double()
    y[1, 2] = math.nan
    result = least_squares(decay, double(2, 0), torch.linspace(0, 1, 4).double(), y)
    assert result.stop_reason.tolist() == ["converged: residual", "not finite", "converged: residual"]
    assert result.converged.tolist() == [True, False, True] and result.steps[1] == 0
    torch.testing.assert_close(result.x[1], double(2, 0))
    torch.testing.assert_close(result.x[0], double(1, 0))


def test_steps_out_of_the_domain_are_refused():
    """The Gauss-Newton step from 5 leads to a negative argument of the logarithm."""
    result = least_squares(lambda x: torch.log(x), double(5))
    assert result.converged
    torch.testing.assert_close(result.x, double(1))


def test_steps_to_an_undefined_jacobian_are_refused():
    """The Gauss-Newton step from 4 leads below zero, where the residual is defined and its derivative is not."""
    result = least_squares(lambda x: torch.sqrt(x.clamp(min=0)) - 0.1, double(4))
    assert result.converged
    torch.testing.assert_close(result.x, double(0.01))


def test_undamped_steps_need_a_linear_residual():
    """From here a Gauss-Newton step that lowers the sum of squares leads astray; scipy reaches the same value."""
    result = least_squares(jennrich_sampson, double(3, 4))
    assert result.converged
    assert float(result.residual.square().sum()) == pytest.approx(259.5802, rel=1e-6)


def test_stop_reasons():
    assert least_squares(rosenbrock, double(-1.2, 1), maximum_steps=3).stop_reason == "maximum steps"
    assert least_squares(rosenbrock, double(1, 1)).stop_reason == "converged: residual"
    assert least_squares(rosenbrock, double(1, 1)).steps == 0
    wrong = least_squares(rosenbrock, double(-1.2, 1), jacobian=lambda x: -torch.func.jacfwd(rosenbrock)(x))
    assert wrong.stop_reason == "no decrease found" and not wrong.converged
    torch.testing.assert_close(wrong.x, double(-1.2, 1))


def test_single_precision_start_and_arguments():
    t = torch.linspace(0, 2, 15)
    result = least_squares(decay, torch.ones(2), t, 3 * torch.exp(-1.5 * t))
    assert result.x.dtype == result.residual.dtype == torch.float32
    torch.testing.assert_close(result.x, torch.tensor([3.0, 1.5]))


def test_bad_input_is_named():
    with pytest.raises(InputError, match="start must be"):
        least_squares(rosenbrock, torch.tensor(1.0))
    with pytest.raises(InputError, match="residual must return"):
        least_squares(lambda x: x.square().sum(), double(1, 1))
    with pytest.raises(InputError, match="do not broadcast"):
        least_squares(lambda x: torch.ones(3, 4), torch.ones(2, 5))
    coefficient = double(1).requires_grad_()
    with pytest.raises(InputError, match="pass it in args"):
        least_squares(lambda x: coefficient * x, double(1, 1))
