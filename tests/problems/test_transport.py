"""Transport along characteristics: exact solutions satisfy their problems, and agree with what is known otherwise."""

from __future__ import annotations

import math

import pytest
import torch

from problems import BurgersPeriodic, InflowConvection, Rotation, VariableConvection
from sciml.problem import Problem, check_problem
from sciml.reference import FourierGrid, etdrk4


@pytest.mark.parametrize(
    "problem",
    [
        BurgersPeriodic(),
        BurgersPeriodic(nu=0.1, mean=50.0, end=1.5),
        VariableConvection(),
        VariableConvection(mean=3.0, variation=2.5),
        VariableConvection(variation=0.0),
        Rotation(),
        Rotation(turns=0.3, width=0.4),
        InflowConvection(),
        InflowConvection(beta=0.4, decay=2.0),
    ],
    ids=repr,
)
def test_exact_solutions(problem: Problem) -> None:
    check_problem(problem, tolerance=1e-10)


def test_burgers_agrees_with_a_spectral_solution() -> None:
    problem = BurgersPeriodic(nu=0.05, mean=2.0, end=1.5)
    grid = FourierGrid((0.0,), (2 * math.pi,), (256,))
    (x,) = grid.points()
    flux = -0.5 * grid.derivative(1)
    coefficients = etdrk4(
        0.05 * grid.derivative(2),
        lambda v: flux * grid.forward(grid.inverse(v) ** 2),
        grid.forward(2 + torch.sin(x)),
        [0.0, 1.5],
        steps=2400,
    )
    exact = problem.exact(x, torch.full_like(x, 1.5))["u"]
    assert float((grid.inverse(coefficients[-1]) - exact).abs().max()) < 1e-8


def test_a_variable_speed_is_travelled_in_the_time_that_it_takes() -> None:
    """The feature that starts at x = 0 is at the end of the integral of dx / c(x) = t."""
    problem = VariableConvection(mean=2.0, variation=1.0)
    x = torch.linspace(0, 2, 200_001, dtype=torch.float64)
    travelled = torch.cumulative_trapezoid(1 / (2 + torch.cos(x)), x)
    time = travelled[-1]
    assert float(problem.exact(x[-1:], time[None])["u"]) == pytest.approx(math.sin(0.0), abs=1e-9)
    assert time < 1
