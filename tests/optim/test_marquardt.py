"""The Levenberg-Marquardt iteration by normal equations: the same optima, and nothing done for what has stopped."""

from __future__ import annotations

import torch

from sciml.optim import least_squares
from sciml.optim.marquardt import NormalModel, converged, minimise

T = torch.linspace(0, 2, 15, dtype=torch.float64)
OPTIONS = {
    "maximum_steps": 200, "residual_tolerance": 1e-14, "gradient_tolerance": 1e-10, "step_tolerance": 1e-12, "damping": 1e-3
}  # fmt: skip


def decay(x, y):
    a, b = x[..., :1], x[..., 1:]
    return a * torch.exp(-b * T) - y


def test_normal_equations_end_where_rows_do_and_stopped_problems_cost_nothing():
    generator = torch.Generator().manual_seed(0)
    y = 3 * torch.exp(-1.5 * T) + 0.3 * torch.randn(4, 15, generator=generator, dtype=torch.float64)
    asked = torch.zeros(4, dtype=torch.long)

    def evaluate(x, problems):
        asked[problems] += 1
        r, falling = decay(x, y[problems]), torch.exp(-x[:, 1:] * T)
        j = torch.stack([falling, -x[:, :1] * T * falling], -1)
        return NormalModel(r.square().sum(-1), (j.mT @ r[..., None])[..., 0], j.mT @ j)

    start = torch.tensor([[1.0, 1.0], [3.0, 1.5], [0.5, 3.0], [10.0, 0.1]], dtype=torch.float64)
    x, reasons, steps = minimise(evaluate, start, **OPTIONS)
    assert converged(reasons).all()
    torch.testing.assert_close(x, least_squares(decay, start, y).x, rtol=1e-7, atol=1e-8)
    assert torch.equal(asked, steps + 1) and steps.unique().numel() > 1
    assert torch.equal(start[1], torch.tensor([3.0, 1.5], dtype=torch.float64)), "the start is the caller's"


def test_a_problem_that_is_not_finite_stops_by_itself():
    def evaluate(x, problems):
        r = torch.where((problems == 0)[:, None], torch.nan, x - 1)
        return NormalModel(r.square().sum(-1), r, torch.eye(2, dtype=x.dtype).expand(len(x), 2, 2))

    x, reasons, _ = minimise(evaluate, torch.zeros(2, 2, dtype=torch.float64), **OPTIONS)
    assert converged(reasons).tolist() == [False, True]
    torch.testing.assert_close(x, torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64))
