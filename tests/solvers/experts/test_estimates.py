"""How far the experts' own estimate is from the true error, and whether they keep their budget."""

from __future__ import annotations

import pytest
import torch

import problems
from sciml.solution import Solution
from sciml.solvers import Experts
from sciml.solvers.experts import levels
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import grid
from sciml.solvers.experts.expansion import Expansion
from sciml.solvers.experts.passes import Clock, OutOfTime, Pass

TOO_LOW, TOO_HIGH = 2.0, 30.0  # factors


@pytest.mark.parametrize(
    ("problem", "target"),
    [
        (problems.Helmholtz(), 1e-4),
        (problems.Wave(), 1e-3),
        (problems.ConvectionDiffusion(), 1e-4),
        (problems.Kovasznay(), 1e-5),
        (problems.Burgers(nu=0.05), 1e-4),
        (problems.AllenCahnPeriodic(diffusivity=1e-2), 1e-3),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, float) else None,
)
def test_the_estimate_is_honest(problem, target):
    solver = Experts(problem)
    solver.solve(1e6, target)
    errors, estimates = Solution(problem, solver).relative_l2, solver.error_estimate()
    for name, estimate in estimates.items():
        assert errors[name] / TOO_LOW < estimate < TOO_HIGH * errors[name] + 1e-12, name


def constant(value):
    """A pass whose solution of Helmholtz's problem is ``value`` everywhere; the tail halves with every ``value``."""
    line = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    basis = Legendre(2, 2)
    coefficients = torch.zeros(1, 1, len(basis), dtype=torch.float64)
    coefficients[..., 0] = value
    coefficients[..., -1] = 1e-9
    return Pass(Expansion(grid([line, line]), basis, coefficients), 1e-3, (1,))


def test_slow_convergence_adds_up():
    """Differences 0.4, 0.2, 0.1 come from errors 0.8, 0.4, 0.2; the last has 0.1 left."""
    estimator = levels.Estimator(problems.Helmholtz(), torch.device("cpu"))
    *_, last = [estimator(constant(value))["u"] for value in (10.2, 10.6, 10.8, 10.9)]
    assert last == pytest.approx(levels.SAFETY * 0.1 / 10.9, rel=0.02)


def test_what_nothing_has_verified_is_estimated_with_caution():
    estimator = levels.Estimator(problems.Helmholtz(), torch.device("cpu"))
    hopeful = [estimator(constant(value))["u"] for value in (5.0, 10.0)][-1]
    assert hopeful == pytest.approx(levels.SAFETY * 0.5 * 0.5, rel=0.01)  # the tails promise half the difference
    assert estimator.cautious()["u"] == pytest.approx(levels.SAFETY * 0.5 * 0.5**0.5, rel=0.01)


def test_a_run_that_ends_before_the_check_is_cautious():
    reported = []
    outcome = levels.solve(
        problems.Helmholtz(), 1e6, 1e-12, torch.device("cpu"), lambda _, estimate, __: reported.append(estimate["u"]), most=6
    )
    assert outcome.estimate["u"] > 2 * reported[-1]


def test_errors_on_the_boundary_count_as_on_a_grid():
    points, weights = levels._grid_like(problems.AllenCahn(), torch.device("cpu"))
    for axis, end, count in ((1, 0.0, 1), (0, 1.0, 0.5)):
        share = weights[points[:, axis] == end].sum()
        assert float(share) == pytest.approx(count / levels.COMPARED**0.5, rel=0.05)


def test_costs_are_predicted_and_what_does_not_fit_is_not_begun():
    line = torch.linspace(0, 1, 5, dtype=torch.float64)
    small, large = grid([line, line]), grid([line, line]).bisected(torch.zeros(16, dtype=torch.long))
    clock = Clock(10.0)
    assert clock.expects(large, Legendre(2, 8)) == 0.0, "nothing is known yet"
    clock.note(small, Legendre(2, 8), 6.0)
    assert clock.expects(small, Legendre(2, 8)) == pytest.approx(6.0)
    assert clock.expects(large, Legendre(2, 8)) > 12 and clock.expects(small, Legendre(2, 12)) > 12
    clock.check(clock.expects(large, Legendre(2, 8)))  # there is nothing to fall back on
    clock.binding = True
    with pytest.raises(OutOfTime):
        clock.check(clock.expects(large, Legendre(2, 8)))
