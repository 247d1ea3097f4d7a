"""Lagrangian networks: exact starts, the inverse map, what is solved along characteristics, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import sciml
from problems import Burgers, BurgersPeriodic, Convection, ConvectionDiffusion, InflowConvection, Rotation, Wave
from sciml import recipes
from sciml.errors import InputError
from sciml.geometry import Interval, Rectangle, Time
from sciml.optim import LevenbergMarquardt
from sciml.problem import Dirichlet, Initial, Neumann, Parameter, Periodic, Problem
from sciml.solution import Solution
from sciml.solvers import Lagrangian
from sciml.training import Callback, Phase, Trainer

SMALL = {"width": 6, "depth": 2, "points": 60}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def perturbed(problem: Problem, size: float = 0.3, **options: object) -> Lagrangian:
    """A solver with random last layers, whose characteristics are neither parallel nor right."""
    solver = Lagrangian(problem, generator=generator(), **SMALL, **options)
    draw = generator(1)
    with torch.no_grad():
        for p in solver.parameters():
            p += size * torch.randn(p.shape, generator=draw, dtype=p.dtype) / p.shape[-1] ** 0.5
    return solver


def train(problem: Problem, steps: int, **options: object) -> Lagrangian:
    solver = Lagrangian(problem, generator=generator(), **({"points": 400, "width": 12} | options))
    Trainer([Phase(LevenbergMarquardt(), steps=steps)], progress=False).fit(solver)
    return solver


def test_values_at_the_start_and_periodicity_hold_for_any_weights() -> None:
    solver = perturbed(BurgersPeriodic(mean=5.0))
    x = torch.linspace(0, 6.28, 40, dtype=torch.float64)
    start = torch.stack([x, torch.zeros_like(x)], 1)
    assert torch.allclose(solver.fields(start)["u"], 5 + torch.sin(x), atol=1e-13)
    late = torch.stack([x, torch.full_like(x, 0.7)], 1)
    turn = torch.tensor([2 * math.pi, 0.0], dtype=late.dtype)
    moved = solver.families[0].motion(late + turn)[0] - solver.families[0].motion(late)[0]
    assert torch.allclose(moved, torch.full_like(moved, 2 * math.pi), atol=1e-12)
    left, right = (torch.tensor([[edge, 0.7]], dtype=torch.float64) for edge in (0.0, 2 * math.pi))
    assert torch.allclose(solver.fields(left)["u"], solver.fields(right)["u"], atol=1e-12)


def test_inflow_values_hold_for_any_weights() -> None:
    solver = perturbed(InflowConvection(frequency=3.0))
    t = torch.linspace(0.1, 1, 20, dtype=torch.float64)
    end = torch.stack([torch.zeros_like(t), t], 1)
    assert torch.allclose(solver.fields(end)["u"], torch.cos(3 * t), atol=1e-10)


@pytest.mark.parametrize(
    "problem", [Convection(beta=1000.0), BurgersPeriodic(), Rotation(), InflowConvection()], ids=lambda p: type(p).__name__
)
def test_labels_invert_positions(problem: Problem) -> None:
    solver = perturbed(problem, size=0.1)
    assert solver.least_jacobian()[0] > 0.1
    points = problem.domain.sample(200, generator())
    for family, rows in solver._split(points):
        if rows.any():
            labels = family.labels(points[rows])
            # Between the first to enter and the first that was inside there is a gap until both are trained.
            error = (family.motion(labels)[0] - points[rows][:, family.space])[labels[:, 0] > 1e-9]
            if family.periods:
                error = torch.remainder(error + math.pi, 2 * math.pi) - math.pi
            assert float(error.detach().abs().max()) < 1e-10


@pytest.mark.parametrize(
    ("problem", "options"),
    [
        (BurgersPeriodic(nu=0.3), {}),
        (BurgersPeriodic(nu=0.3), {"shared": True}),
        (BurgersPeriodic(nu=0.3), {"form": "published"}),
        (InflowConvection(), {}),
    ],
    ids=str,
)
def test_row_jacobian_equals_autograd(problem: Problem, options: dict[str, object]) -> None:
    solver = perturbed(problem, size=0.1, **options)
    while solver.advance():
        pass
    batch = {key: points[:5] for key, points in solver.sample(generator()).items()}
    parameters = [p for p in solver.parameters() if p.requires_grad]
    residuals, jacobians = solver.row_jacobian(batch, parameters)
    for name, residual in solver.residuals(batch).items():
        torch.testing.assert_close(residuals[name], residual.detach(), rtol=1e-12, atol=1e-13)
        rows = [
            torch.cat([g.flatten() for g in torch.autograd.grad(r, parameters, retain_graph=True, materialize_grads=True)])
            for r in residual
        ]
        torch.testing.assert_close(jacobians[name], torch.stack(rows), rtol=1e-9, atol=1e-10, msg=name)


@pytest.mark.parametrize("beta", [0.0, 30.0, 1000.0])
def test_convection_is_solved_at_any_speed(beta: float) -> None:
    solution = sciml.solve(Convection(beta=beta), "lagrangian", steps=2, progress=False, width=8)
    assert solution.relative_l2 is not None and solution.relative_l2["u"] < 1e-6


def test_a_speed_that_is_not_known_at_the_start_is_learned() -> None:
    """With the drift taken away, the network of the positions has to find the speed."""
    problem = Convection(beta=30.0)
    solver = Lagrangian(problem, generator=generator(), points=200, width=8)
    solver.families[0].drift.zero_()
    solver.families[0].spread.fill_(2 * math.pi + 30)
    assert Solution(problem, solver).relative_l2["u"] > 1  # type: ignore[index]
    Trainer([Phase(LevenbergMarquardt(), steps=12)], progress=False).fit(solver)
    assert Solution(problem, solver).relative_l2["u"] < 1e-6  # type: ignore[index]


def test_diffusion_along_characteristics_does_not_depend_on_the_speed() -> None:
    errors = []
    for beta in (0.0, 70.0):
        solver = train(ConvectionDiffusion(beta=beta, nu=0.1), steps=8)
        errors.append(Solution(solver.problem, solver).relative_l2["u"])  # type: ignore[index]
    assert max(errors) < 1e-4
    assert errors[0] == pytest.approx(errors[1], rel=1e-2)


def test_both_forms_of_burgers() -> None:
    """The corrected form solves the equation; the published one its own closed form, which is another function."""
    problem = BurgersPeriodic(nu=0.1, end=0.8)
    points = problem.domain.sample(500, generator())
    x, t = points.unbind(-1)
    true = problem.exact(x, t)["u"]
    corrected, published = (train(problem, steps=15, form=form) for form in ("corrected", "published"))

    labels = torch.cat([published.labels(points), t[:, None]], 1)
    decay = torch.exp(-0.1 * t)
    xi = labels[:, 0]
    place = published.families[0].motion(labels)[0][:, 0].detach()
    assert float((published.fields(points)["u"] - 1 - decay * torch.sin(xi)).abs().max()) < 1e-3
    assert float((place - xi - t - (1 - decay) / 0.1 * torch.sin(xi)).abs().max()) < 1e-3

    def error(solver: Lagrangian) -> float:
        return float((solver.fields(points)["u"] - true).norm() / (true - 1).norm())

    assert error(corrected) < 2e-3
    assert error(published) > 1e-2


def test_a_bump_goes_round() -> None:
    solver = train(Rotation(turns=0.25, width=0.3), steps=25, points=300)
    assert Solution(solver.problem, solver).relative_l2["u"] < 2e-3  # type: ignore[index]


def test_what_flows_in_and_what_flows_out() -> None:
    problem = InflowConvection(frequency=3.0)
    solution = sciml.solve(problem, "lagrangian", steps=44, points=150, width=8, progress=False)
    assert solution.relative_l2["u"] < 1e-3  # type: ignore[index]


def test_the_equation_is_solved_at_any_velocity_of_the_labels() -> None:
    """Where labels slip, the residual is that of the declared equation, however wrong the characteristics are."""
    solver = perturbed(BurgersPeriodic(nu=0.3), size=0.2)
    labels = solver.sample(generator())["interior"]
    place = solver.families[0].motion(labels.coordinates)[0].detach()[:, 0]
    points = torch.stack([torch.remainder(place, 2 * math.pi), labels.coordinates[:, 1]], 1)
    residuals = solver.residuals({"interior": labels})
    declared = solver.problem.residuals(solver.jets(points, solver.problem.derivatives["interior"]), points)
    assert float(residuals["characteristic_x"].detach().abs().max()) > 1e-2
    torch.testing.assert_close(residuals["momentum"].detach(), declared["momentum"], rtol=1e-8, atol=1e-8)


def test_a_shock_stays_wide_in_the_label() -> None:
    problem = BurgersPeriodic(nu=0.03, mean=0.0, end=1.5)
    slipping, strict = (train(problem, steps=25, slip=slip, width=10, points=300) for slip in (0.07, 0.0))
    errors = [Solution(problem, solver).relative_l2["u"] for solver in (slipping, strict)]  # type: ignore[index]
    assert errors[0] < 1e-2 < errors[1]
    assert slipping.least_jacobian()[0] > 0.08 > strict.least_jacobian()[0]


def test_families_are_trained_one_after_another_and_saved() -> None:
    solution = sciml.solve(InflowConvection(frequency=3.0), "lagrangian", steps=8, **SMALL, progress=False)
    solver = solution.solver
    assert [any(p.requires_grad for p in family.parameters()) for family in solver.families] == [False, True]
    assert not solver.advance()
    restored = Lagrangian.from_configuration(solver.problem, solver.configuration())
    restored.load_state_dict(solver.state_dict())
    points = solver.problem.domain.sample(50, generator())
    assert torch.equal(restored.fields(points)["u"], solver.fields(points)["u"])
    assert [any(p.requires_grad for p in family.parameters()) for family in restored.families] == [False, True]


def test_an_interrupted_run_goes_on_in_its_family(tmp_path) -> None:
    class Stop(Callback):
        def on_step(self, run) -> None:
            if run.step == 4:
                run.stop("enough")

    problem = InflowConvection(frequency=3.0)

    def solve(**more: Any) -> sciml.Solution:
        return recipes.lagrangian.solve(problem, steps=6, **SMALL, progress=False, **more).solution

    solve(folder=tmp_path, callbacks=[Stop()])
    points = problem.domain.sample(50, generator())
    resumed, whole = solve(resume=tmp_path)(points)["u"], solve()(points)["u"]
    assert torch.allclose(resumed, whole, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "problem", [ConvectionDiffusion(nu=0.1), InflowConvection(frequency=3.0)], ids=lambda p: type(p).__name__
)
def test_the_error_is_estimated_without_a_reference(problem: Problem) -> None:
    solution = sciml.solve(problem, "lagrangian", steps=6, **SMALL, progress=False)
    assert solution.relative_l2 is not None and solution.error_estimate is not None
    assert 1e-5 < solution.relative_l2["u"] < 0.1
    # The estimate has a budget in seconds: on a busy machine it is the first, coarse one.
    assert 0.5 < solution.error_estimate["u"] / solution.relative_l2["u"] < 2


def test_no_estimate_in_the_plane() -> None:
    assert perturbed(Rotation()).error_estimate() is None


def test_crossing_characteristics_are_told() -> None:
    with pytest.warns(UserWarning, match="characteristics (cross|cluster): J"):
        sciml.solve(
            BurgersPeriodic(nu=0.01, end=1.5), "lagrangian", form="published", steps=8, width=8, points=200, progress=False
        )


def test_the_published_loss_trains() -> None:
    options = {"width": 8, "points": 100, "progress": False, "loss": "published"}
    losses = [
        sciml.solve(ConvectionDiffusion(nu=1.0), "lagrangian", steps=steps, **options).relative_l2["u"] for steps in (2, 200)
    ]
    assert losses[1] < losses[0] / 5


# What is refused ----------------------------------------------------------------------------------------------------
class Declared(Problem):
    coordinates, unknowns = ("x", "t"), ("u",)
    domain = Interval("x", 0, 1) * Time("t", 0, 1)
    c: object = 1.0

    def equations(self, u, x, t):
        return {"equation": u.t + self.c * u.x}

    def conditions(self):
        return [Initial(u=0.0), Periodic("x")]


def declared(**attributes: object) -> Problem:
    return type("Declared", (Declared,), attributes)()


REFUSED = {
    "second order in time": (Wave(), "derivative u_tt.*pinn"),
    "diffusion between walls": (Burgers(), "is not periodic.*experts"),
    "steady": (
        declared(
            coordinates=("x", "y"), domain=Rectangle(("x", "y"), (0, 0), (1, 1)), conditions=lambda self: [],
            equations=lambda self, u, x, y: {"laplace": u.xx + u.yy},
        ),
        "no Time coordinate",
    ),
    "nonlinear in the slope": (
        declared(equations=lambda self, u, x, t: {"hamilton_jacobi": u.t + u.x**2}), "not linear in the first derivatives",
    ),
    "speed of a derivative": (
        declared(equations=lambda self, u, x, t: {"e": u.t + u.xx * u.x}), "not linear in the first derivatives",
    ),
    "two speeds": (
        declared(
            unknowns=("u", "v"), equations=lambda self, u, v, x, t: {"u": u.t + u.x, "v": v.t - v.x},
            conditions=lambda self: [Initial(u=0.0, v=0.0), Periodic("x")],
        ),
        "different speeds",
    ),
    "no derivative in time": (
        declared(
            unknowns=("u", "p"), equations=lambda self, u, p, x, t: {"u": u.t + p.x, "p": u.x + p},
            conditions=lambda self: [Initial(u=0.0, p=0.0), Periodic("x")],
        ),
        "do not determine the derivative in t",
    ),
    "nothing flows in": (declared(conditions=lambda self: [Initial(u=0.0)]), "enter at x=0.*add Dirichlet"),
    "prescribed outflow": (
        declared(conditions=lambda self: [Initial(u=0.0), Dirichlet(u=0.0)]), "characteristics do not enter",
    ),
    "another condition": (
        declared(conditions=lambda self: [Initial(u=0.0), Neumann(u=0.0)]), "Neumann condition.*pinn",
    ),
    "no start": (declared(conditions=lambda self: [Periodic("x")]), "no initial value of 'u'"),
    "unknown speed": (declared(c=Parameter(1.0)), "unknown coefficients.*pinn"),
    "inflow in the plane": (
        declared(
            coordinates=("x", "y", "t"), domain=Rectangle(("x", "y"), (0, 0), (1, 1)) * Time("t", 0, 1),
            conditions=lambda self: [Initial(u=0.0)], equations=lambda self, u, x, y, t: {"e": u.t + u.x},
        ),
        "enter at x=.*use the pinn solver",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_reason(case: str) -> None:
    problem, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        Lagrangian(problem)


def test_wrong_options() -> None:
    with pytest.raises(InputError, match="form='euler'"):
        Lagrangian(Convection(), form="euler")  # type: ignore[arg-type]
    for slip in (-0.1, math.inf):
        with pytest.raises(InputError, match="slip="):
            Lagrangian(BurgersPeriodic(), slip=slip)
