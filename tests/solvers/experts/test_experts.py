"""What the experts solve with nothing but the problem's declaration."""

from __future__ import annotations

import math

import pytest
import torch

import problems
import sciml
from sciml.geometry import Interval, Time
from sciml.problem import INTERIOR, Dirichlet, Initial, Problem
from sciml.solution import Solution
from sciml.solvers import Experts


def solved(problem, target, seconds=1e6):
    solver = Experts(problem)
    reason = solver.solve(seconds, target)
    return solver, Solution(problem, solver).relative_l2, reason


@pytest.mark.parametrize(
    ("problem", "target", "bound"),
    [
        (problems.Helmholtz(a1=1, a2=4), 1e-10, 1e-10),
        (problems.Heat(), 1e-9, 1e-9),
        (problems.Wave(), 1e-8, 1e-8),
        (problems.Convection(30.0), 1e-9, 1e-9),
        (problems.KleinGordon(), 1e-8, 1e-8),
        (problems.Kovasznay(), 1e-8, 1e-8),
        (problems.Burgers(), 1e-6, 1e-7),
        (problems.ConvectionDiffusion(), 1e-7, 1e-7),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Problem) else None,
)
def test_smooth_problems(problem, target, bound):
    solver, errors, reason = solved(problem, target)
    assert reason == "target"
    assert max(errors.values()) < bound
    for name, estimate in solver.error_estimate().items():
        assert errors[name] < 3 * estimate, "the estimate is honest"
        assert estimate <= target


def test_fronts_and_kinks():
    """A kink at the initial time, where the first windows must be thin, and sharp layers later."""
    solver, errors, _ = solved(problems.AllenCahnPeriodic(), 3e-3)
    assert errors["u"] < 1e-3
    times = solver.low[:, 1].unique()
    assert times[1] < 0.1 * times.diff().max()


def test_a_re_entrant_corner_is_graded():
    solver, errors, _ = solved(problems.PoissonLShape(), 0.0, seconds=1.0)
    assert errors["u"] < 5e-2
    smallest = (solver.high - solver.low).prod(1).argmin()
    assert torch.minimum(solver.low[smallest].abs(), solver.high[smallest].abs()).max() < 1e-12, "it touches the corner"


def test_curved_holes():
    _, errors, _ = solved(problems.PoissonHoles(), 1e-2)
    assert errors["u"] < 1e-2


def test_one_second_is_enough_for_something():
    """However little time there is, the first pass is finished."""
    solver, errors, reason = solved(problems.Burgers(), 1e-12, seconds=1e-3)
    assert reason == "time" and errors["u"] < 0.2


class Blow(Problem):
    """u_t = u^2 from u = 2, which is infinite at t = 1/2."""

    coordinates, unknowns = ("x", "t"), ("u",)
    domain = Interval("x", 0, 1) * Time("t", 0, 1)

    def equations(self, u, x, t):
        return {"growth": u.t - u**2}

    def conditions(self):
        return [Initial(u=2.0)]


def test_a_solution_that_ends_is_reported():
    with pytest.raises(sciml.errors.DivergenceError, match=r"at t = 0\.(49|5)"):
        solved(Blow(), 1e-3)


class Drift(Problem):
    """Nothing moves, and the boundary value contradicts the initial one only in the corner."""

    coordinates, unknowns = ("x", "t"), ("u",)
    domain = Interval("x", 0, 1) * Time("t", 0, 1)

    def equations(self, u, x, t):
        return {"heat": u.t - u.xx}

    def conditions(self):
        return [Initial(u=lambda x: torch.sin(math.pi * x)), Dirichlet(u=0.0)]


def test_saved_and_loaded(tmp_path):
    solution = sciml.solve(Drift(), solver="experts", target=1e-3, progress=False)
    solution.save(tmp_path)
    loaded = sciml.load(tmp_path, Drift())
    points = Drift.domain.sample(20, torch.Generator().manual_seed(0))
    torch.testing.assert_close(loaded(points)["u"], solution(points)["u"], rtol=0, atol=0)


def test_the_run_folder_tells_what_was_chosen(tmp_path):
    sciml.solve(Drift(), solver="experts", target=1e-3, progress=False, folder=tmp_path / "run")
    metrics = sciml.io.read_json(tmp_path / "run" / "metrics.json") if hasattr(sciml.io, "read_json") else None
    text = (tmp_path / "run" / "metrics.json").read_text()
    assert metrics is None or metrics["choices"]["experts"] >= 1
    assert '"degree"' in text and '"windows"' in text


def test_residuals_are_small_and_differentiable():
    solver, _, _ = solved(problems.Heat(), 1e-6)
    batch = solver.sample(torch.Generator().manual_seed(0))
    residuals = solver.residuals(batch)
    assert set(residuals) == set(solver.term_kinds) == {"heat", "initial_u", "dirichlet_u"}
    assert all(residual.abs().max() < 1e-4 for residual in residuals.values())
    assert residuals["heat"].shape == batch[INTERIOR].coordinates.shape[:1]
    residuals["heat"].sum().backward()
    assert solver.weights.grad.abs().max() > 0
