"""Errors of computed solutions from their residuals alone."""

from __future__ import annotations

import pytest
import torch

import problems
from sciml.jets import MultiIndexSet, autograd
from sciml.solvers import PINN, Experts
from sciml.solvers.experts.error import estimate_error


class Disturbed:
    """The exact solution and a smooth error on top."""

    def __init__(self, problem, size):
        self.problem, self.size = problem, size

    def jets(self, points, indices):
        def fields(p):
            error = self.size * torch.sin(3 * p[:, 0] + 0.3) * torch.cos(2 * p[:, 1])
            exact = self.problem.exact(*p.unbind(1))
            return torch.stack([exact[u] + error for u in self.problem.unknowns], dim=1)

        return dict(zip(self.problem.unknowns, autograd(fields, points, self.problem.coordinates), strict=True))


def true_error(problem, evaluator):
    points = problem.domain.sample(2000, torch.Generator().manual_seed(1))
    jets, exact = evaluator.jets(points, MultiIndexSet((), 2)), problem.exact(*points.unbind(1))
    return {u: ((jets[u].value.detach() - exact[u]).norm() / exact[u].norm()).item() for u in problem.unknowns}


@pytest.mark.parametrize(
    ("problem", "size"),
    [
        (problems.Helmholtz(), 1e-3),
        (problems.Heat(), 1e-6),
        (problems.Wave(), 1e-2),
        (problems.KleinGordon(), 1e-4),
        (problems.Kovasznay(), 1e-2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_estimate_is_the_error(problem, size):
    evaluator = Disturbed(problem, size)
    estimate = estimate_error(problem, evaluator, seconds=1e6)
    for name, error in true_error(problem, evaluator).items():
        assert 0.9 < estimate[name] / error < 1.2


def test_a_network_learns_how_wrong_it_is():
    problem = problems.Heat()
    network = PINN(problem, generator=torch.Generator().manual_seed(0), network_options={"width": 8, "depth": 2})
    estimate, error = estimate_error(problem, network, seconds=1e6)["u"], true_error(problem, network)["u"]
    assert 0.95 < estimate / error < 1.05, "linear equations have linear errors, however large"


def test_experts_are_told_too():
    problem = problems.Burgers()
    solver = Experts(problem)
    solver.solve(target=1e-2)
    estimate, error = estimate_error(problem, solver, seconds=1e6)["u"], true_error(problem, solver)["u"]
    assert 0.5 < estimate / error < 2
