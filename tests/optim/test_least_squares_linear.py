from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from sciml.errors import InputError
from sciml.optim import linear_least_squares

METHODS = ["auto", "qr", "svd", "cholesky"]


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("method", METHODS)
def test_batches_agree_with_numpy(method):
    a, b = normal(2, 3, 9, 4), normal(3, 9, 2, seed=1)
    x = linear_least_squares(a, b, method=method).x
    assert x.shape == (2, 3, 4, 2)
    for i in np.ndindex(2, 3):
        expected = np.linalg.lstsq(a[i].numpy(), b[i[1]].numpy(), rcond=None)[0]
        np.testing.assert_allclose(x[i], expected, rtol=1e-11, atol=1e-13)


def test_right_hand_side_is_a_vector_or_columns():
    a, b = normal(5, 9, 4), normal(5, 9)
    one = linear_least_squares(a[0], b[0])
    assert one.x.shape == (4,) and one.method == "qr"
    assert linear_least_squares(a, b).x.shape == (5, 4)
    assert linear_least_squares(a, b[0]).x.shape == (5, 4)
    assert linear_least_squares(a[0], b.mT).x.shape == (4, 5)
    torch.testing.assert_close(linear_least_squares(a, b).x[0], one.x)


def test_columns_may_be_of_any_scale():
    scale = torch.logspace(-100, 100, 6, dtype=torch.float64)
    a, expected = normal(20, 6), normal(6, seed=1)
    solution = linear_least_squares(a * scale, a @ expected)
    torch.testing.assert_close(solution.x * scale, expected)
    assert solution.condition < 10


def test_qr_keeps_digits_that_normal_equations_lose():
    a = torch.linspace(0, 1, 60, dtype=torch.float64).unsqueeze(1) ** torch.arange(11)
    x = torch.ones(11, dtype=torch.float64)
    error = {method: (linear_least_squares(a, a @ x, method=method).x - x).norm() for method in ("qr", "cholesky")}
    assert error["qr"] < 1e-7 < 1e-4 < error["cholesky"]


def test_condition_estimate():
    for seed in range(5):
        u, v = (torch.linalg.qr(normal(n, 12, seed=seed + n)).Q for n in (30, 12))
        a = u * torch.logspace(0, -6, 12, dtype=torch.float64) @ v.mT
        exact = torch.linalg.cond(a / a.norm(dim=0))
        assert exact / 2 < linear_least_squares(a, normal(30)).condition < exact * 2 * 12**0.5


def test_rank_deficient_system_has_the_solution_of_minimum_norm():
    a, b = torch.linalg.qr(normal(12, 5)).Q, normal(12, seed=1)
    a[:, 4] = a[:, 1]
    expected = torch.linalg.pinv(a, rtol=1e-12) @ b
    for method in ("auto", "svd"):
        solution = linear_least_squares(a, b, method=method)
        torch.testing.assert_close(solution.x, expected)
        assert solution.method == "svd" and solution.condition > 1e12
    for method in ("qr", "cholesky"):
        solution = linear_least_squares(a, a @ expected, method=method)
        assert solution.method == f"{method} with ridge"
        torch.testing.assert_close(a @ solution.x, a @ expected)
        assert solution.x.norm() < 2 * expected.norm()


def test_underdetermined_and_contradictory_systems():
    wide = normal(3, 7)
    torch.testing.assert_close(wide @ linear_least_squares(wide, torch.ones(3).double()).x, torch.ones(3).double())
    twice = torch.tensor([[1.0], [1.0]], dtype=torch.float64)
    torch.testing.assert_close(linear_least_squares(twice, torch.tensor([0.0, 1.0]).double()).x, torch.tensor([0.5]).double())


def test_zero_matrix_gives_zero():
    for method in METHODS:
        assert not linear_least_squares(torch.zeros(4, 2).double(), torch.ones(4).double(), method=method).x.any()


def test_deficient_problem_does_not_disturb_the_others():
    a, b = normal(3, 8, 4), normal(8, seed=1)
    a[1, :, 3] = a[1, :, 0]
    a.requires_grad_()
    solution = linear_least_squares(a, b)
    assert solution.method.tolist() == ["qr", "svd", "qr"]
    solution.x.square().sum().backward()
    alone = a[2].detach().requires_grad_()
    linear_least_squares(alone, b).x.square().sum().backward()
    torch.testing.assert_close(a.grad[2], alone.grad)
    assert a.grad.isfinite().all()


@pytest.mark.parametrize("method", METHODS)
def test_derivatives(method):
    a, b = normal(2, 6, 3).requires_grad_(), normal(6, 2, seed=1).requires_grad_()

    def solve(a, b):
        return linear_least_squares(a, b, method=method).x

    assert gradcheck(solve, (a, b)) and gradgradcheck(solve, (a, b))


def test_derivatives_of_minimum_norm_solution():
    a, b = normal(3, 5).requires_grad_(), normal(3, seed=1).requires_grad_()

    def solve(a, b):
        return linear_least_squares(a, b).x

    assert gradcheck(solve, (a, b)) and gradgradcheck(solve, (a, b))


def test_single_precision_inputs_are_solved_in_double():
    a, b = normal(40, 9, dtype=torch.float32), normal(40, seed=1, dtype=torch.float32)
    a[:, 8] = a[:, 7] + 1e-3 * a[:, 8]
    x = linear_least_squares(a, b).x
    assert x.dtype == torch.float32
    torch.testing.assert_close(x, linear_least_squares(a.double(), b.double()).x.float())


def test_bad_input_is_named():
    a, b = normal(5, 3), normal(5)
    with pytest.raises(InputError, match="rhs has 1 entries that are not finite"):
        linear_least_squares(a, b.index_fill(0, torch.tensor(2), torch.nan))
    with pytest.raises(InputError, match="matrix has 3 entries"):
        linear_least_squares(a.index_fill(0, torch.tensor(2), torch.inf), b)
    with pytest.raises(InputError, match="did you mean 'cholesky'"):
        linear_least_squares(a, b, method="cholesk")
    with pytest.raises(InputError, match="5 rows of matrix"):
        linear_least_squares(a, b[:4])
    with pytest.raises(InputError, match="matrix must be"):
        linear_least_squares(b, b)
    with pytest.raises(InputError, match="int64"):
        linear_least_squares(a.long(), b)
