"""What the experts solve with nothing but the problem's declaration."""

from __future__ import annotations

import json
import math

import pytest
import torch

import problems
import sciml
from sciml.errors import DivergenceError, InputError
from sciml.geometry import Interval, Time
from sciml.io.grid import dataset_points
from sciml.problem import INTERIOR, Dirichlet, Initial, Problem
from sciml.recipes.experts import experts
from sciml.solution import Solution
from sciml.solvers import Experts
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.march import march
from sciml.solvers.experts.passes import Clock
from sciml.solvers.experts.singular import Singular
from sciml.solvers.experts.steady import refine
from sciml.solvers.experts.tiling import Tiling
from sciml.training import Callback


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


class Line(Problem):
    coordinates, unknowns, domain = ("x",), ("u",), Interval("x", 0, 1)

    def equations(self, u, x):
        return {"bending": u.xx + u}

    def conditions(self):
        return [Dirichlet(u=lambda x: torch.sin(x))]

    def exact(self, x):
        return {"u": torch.sin(x)}


class Decay(Line):
    coordinates, domain = ("t",), Time("t", 0, 1)

    def equations(self, u, t):
        return {"decay": u.t + u}

    def conditions(self):
        return [Initial(u=1.0)]

    def exact(self, t):
        return {"u": torch.exp(-t)}


def test_one_dimension():
    _, errors, reason = solved(Line(), 1e-9)
    assert reason == "target" and errors["u"] < 1e-8


def test_time_alone_is_for_networks():
    with pytest.raises(InputError, match="experts need a coordinate of space, Decay has time alone"):
        Experts(Decay())
    solution = sciml.solve(Decay(), steps=20, progress=False)
    assert solution.error_estimate is None and solution.relative_l2["u"] < 0.5


def test_layers_that_sharpen_after_a_kink():
    """The initial slope jumps where the period closes; later there are fronts as wide as the root of the diffusivity."""
    problem = problems.AllenCahnPeriodic()
    tiling = Tiling(problem, torch.device("cpu"))
    found = march(problem, tiling, Legendre(2, 8), 1e-4, False, Clock(1e6)).expansion
    points, dimensions, _ = dataset_points(problem.reference(), problem.coordinates)
    exact = torch.as_tensor(problem.reference()["u"].transpose(*dimensions).values.reshape(-1))
    assert (found.values(points[::7])[0] - exact[::7]).norm() < 1e-3 * exact[::7].norm()
    last = found.boxes.half[found.boxes.high[:, 1] == 1, 0]
    assert last.max() >= 4 * last.min(), "fine only where it must be"


def refined(problem, degree, tolerance):
    tiling = Tiling(problem, torch.device("cpu"))
    tiling.singular = Singular(())
    *_, last = refine(problem, tiling, Legendre(2, degree), tolerance, tiling.root, True, Clock(1e6))
    points = problem.domain.sample(2000, torch.Generator().manual_seed(1))
    exact = problem.exact(*points.unbind(1))["u"]
    return last.expansion, ((last.expansion.values(points)[0] - exact).norm() / exact.norm()).item()


def test_without_singular_functions_boxes_are_graded_towards_a_re_entrant_corner():
    expansion, error = refined(problems.PoissonLShape(), 8, 1e-5)
    assert error < 0.02
    half = expansion.boxes.half.prod(1)
    corner = expansion.boxes.owner(torch.tensor([[-1e-9, -1e-9], [-1e-9, 1e-9], [1e-9, -1e-9]], dtype=torch.float64))
    assert half[corner].max() < 0.02 * half.max()


def test_curved_holes():
    expansion, error = refined(problems.PoissonHoles(), 10, 1e-4)
    assert error < 1e-3
    assert len(expansion.boxes) < 100


def test_one_second_is_enough_for_something():
    """However little time there is, the first pass is finished."""
    _, errors, reason = solved(problems.Burgers(), 1e-12, seconds=1e-3)
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
    with pytest.raises(DivergenceError, match=r"at t = 0\.(49|5)"):
        solved(Blow(), 1e-3)


class Drift(Problem):
    """Nothing moves, and the boundary value contradicts the initial one only in the corner."""

    coordinates, unknowns = ("x", "t"), ("u",)
    domain = Interval("x", 0, 1) * Time("t", 0, 1)

    def equations(self, u, x, t):
        return {"heat": u.t - u.xx}

    def conditions(self):
        return [Initial(u=lambda x: torch.sin(math.pi * x)), Dirichlet(u=0.0)]


def test_saved_and_loaded(tmp_path, blank_pictures):
    solution = sciml.solve(Drift(), solver="experts", target=1e-3, progress=False)
    solution.save(tmp_path)
    loaded = sciml.load(tmp_path, Drift())
    points = Drift.domain.sample(20, torch.Generator().manual_seed(0))
    torch.testing.assert_close(loaded(points)["u"], solution(points)["u"], rtol=0, atol=0)


def test_the_run_folder_tells_what_was_chosen(tmp_path, blank_pictures):
    sciml.solve(Drift(), solver="experts", target=1e-3, progress=False, folder=tmp_path / "run")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["choices"]["experts"] >= 1 and metrics["stop_reason"] == "target"
    assert metrics["error_estimate"]["u"] <= 1e-3


def test_residuals_are_small_and_differentiable():
    solver, _, _ = solved(problems.Heat(), 1e-6)
    batch = solver.sample(torch.Generator().manual_seed(0))
    residuals = solver.residuals(batch)
    assert set(residuals) == set(solver.term_kinds) == {"heat", "initial_u", "dirichlet_u"}
    assert all(residual.abs().max() < 1e-4 for residual in residuals.values())
    assert residuals["heat"].shape == batch[INTERIOR].coordinates.shape[:1]
    residuals["heat"].sum().backward()
    assert solver.weights.grad.abs().max() > 0


def test_the_recipe_says_what_it_cannot_do_and_keeps_its_budget():
    with pytest.raises(InputError, match="takes no callbacks"):
        experts(problems.Heat(), callbacks=[Callback()])
    result = experts(problems.Heat(), steps=1, progress=False)
    assert result.stop_reason == "step budget of 1 reached"
    assert len(result.history.rows) == 1
    first, second = (sciml.solve(problems.Heat(), solver="experts", steps=1, seed=seed, progress=False) for seed in (0, 1))
    assert first.relative_l2 == second.relative_l2
