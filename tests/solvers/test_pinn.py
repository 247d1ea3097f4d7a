"""The physics-informed network: what it is given, what it refuses, and that it solves."""

from __future__ import annotations

import copy
import json
import math

import pytest
import torch
from torch import nn

import problems
import sciml
from sciml import MLP, PINN, Adam, GradientAnnealing, InputError, LevenbergMarquardt, Parameter, Phase, Trainer
from sciml.jets import MultiIndexSet


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_least_squares_training_reaches_its_error():
    solver = PINN(problems.Heat(), points=300, condition_points=60, network_options={"width": 10, "depth": 2})
    result = Trainer([Phase(LevenbergMarquardt(), steps=60)], progress=False).fit(solver)
    assert result.solution.relative_l2["u"] < 1e-4


def test_the_recipe_recovers_a_coefficient_from_noisy_data():
    solution = sciml.solve(problems.InverseDiffusion(), steps=40, seed=0, progress=False, points=400)
    (value,) = solution.parameters.values()
    assert value == pytest.approx(problems.InverseDiffusion().true, rel=0.01)


def test_periodic_conditions_hold_exactly_and_leave_the_loss():
    problem = problems.KdV()
    solver = PINN(problem, points=10, condition_points=10).to(torch.float32).to(torch.float64)
    assert set(solver.term_points) == {"kdv", "initial_u"}
    t = torch.rand(5, dtype=torch.float64, generator=generator())
    left, right = (torch.stack([torch.full_like(t, x), t], 1) for x in (-1.0, 1.0))
    indices = MultiIndexSet([(2, 0)], 2)
    for index in indices:
        a, b = (solver.jets(end, indices)["u"].partial(index) for end in (left, right))
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    soft = PINN(problem, points=10, condition_points=10, periodic=False)
    assert {"periodic_x_u", "periodic_x_u_x", "periodic_x_u_xx"} <= set(soft.term_points)


def test_terms_name_their_kind_and_points():
    solver = PINN(problems.KleinGordon(), points=10, condition_points=10)
    assert set(solver.term_kinds.values()) == {"equation", "condition"}
    batch = solver.sample(generator())
    residuals = solver.residuals(batch)
    assert residuals.keys() == solver.term_points.keys()
    for name, residual in residuals.items():
        assert residual.shape == (len(batch[solver.term_points[name]]),)


class Sorted(nn.Module):
    """A network without a Taylor rule."""

    def __init__(self):
        super().__init__()
        self.layer, self.out = nn.Linear(2, 8), nn.Linear(8, 1)

    def forward(self, x):
        return self.out(torch.cumsum(torch.tanh(self.layer(x)), dim=-1))


def test_any_other_network_falls_back_to_autograd():
    solver = PINN(problems.Helmholtz(), Sorted(), points=10, condition_points=10)
    assert all(torch.isfinite(r).all() for r in solver.residuals(solver.sample(generator())).values())


def test_taylor_and_autograd_give_the_same_loss_and_gradients():
    values = []
    for derivatives in ("taylor", "autograd"):
        solver = PINN(problems.KdV(), points=20, condition_points=10, derivatives=derivatives, generator=generator())
        residuals = solver.residuals(solver.sample(generator(1)))
        loss = sum(r.square().mean() for r in residuals.values())
        values.append([loss.detach(), *torch.autograd.grad(loss, list(solver.parameters()))])
    for a, b in zip(*values, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_a_positive_coefficient_stays_positive_and_enters_the_residual():
    class Decay(sciml.Problem):
        rate = Parameter(2.0, positive=True)
        coordinates, unknowns, domain = ("t",), ("u",), sciml.Time("t", 0, 1)

        def equations(self, u, t):
            return {"decay": u.t + self.rate * u}

        def conditions(self):
            return [sciml.Initial(u=1.0)]

    solver = PINN(Decay(), points=8, condition_points=2)
    assert solver.coefficients()["rate"].item() == pytest.approx(2.0)
    residuals = solver.residuals(solver.sample(generator()))
    (gradient,) = torch.autograd.grad(residuals["decay"].sum(), solver.raw_coefficients["rate"])
    assert gradient != 0
    with torch.no_grad():
        solver.raw_coefficients["rate"] -= 50
    assert solver.coefficients()["rate"] > 0


def test_an_ordinary_differential_equation_is_a_problem_too():
    class Oscillator(sciml.Problem):
        coordinates, unknowns, domain = ("t",), ("u",), sciml.Time("t", 0, 2)

        def equations(self, u, t):
            return {"oscillator": u.tt + 4 * u}

        def conditions(self):
            return [sciml.Initial(u=1.0, u_t=0.0)]

        def exact(self, t):
            return {"u": torch.cos(2 * t)}

    solver = PINN(Oscillator(), points=100, condition_points=1, network_options={"width": 10, "depth": 2})
    result = Trainer([Phase(LevenbergMarquardt(), steps=40)], progress=False).fit(solver)
    assert result.solution.relative_l2["u"] < 1e-5


@pytest.mark.parametrize(
    ("network", "message"),
    [(MLP(3, 1), "must take 2 features"), (MLP(2, 2), r"expected \(2, 1\): one output for each of")],
)
def test_networks_of_a_wrong_size_are_refused(network, message):
    with pytest.raises(InputError, match=message):
        PINN(problems.Helmholtz(), network)


def test_a_solution_is_rebuilt_from_its_configuration(tmp_path):
    solver = PINN(problems.Helmholtz(), points=8, condition_points=8, network_options={"kind": "modified_mlp", "width": 5})
    sciml.Solution(solver.problem, solver).save(tmp_path)
    loaded = sciml.load(tmp_path)
    points = torch.rand(6, 2, dtype=torch.float64, generator=generator())
    torch.testing.assert_close(loaded(points)["u"], sciml.Solution(solver.problem, solver)(points)["u"])
    own = PINN(problems.Helmholtz(), MLP(2, 1))
    with pytest.raises(InputError, match="a network of your own"):
        PINN.from_configuration(own.problem, own.configuration())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_compiled_equals_eager():
    solver = PINN(problems.Helmholtz(), points=64, condition_points=32, network_options={"width": 8, "depth": 2})
    batch = solver.sample(generator())
    eager, compiled = solver.residuals(batch), torch.compile(solver.residuals)(batch)
    for name, residual in eager.items():
        torch.testing.assert_close(compiled[name], residual, rtol=1e-10, atol=1e-10)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_compiled_training_equals_eager_with_weights_that_go_backward_too():
    def trained(compile):
        network = MLP(2, 1, width=8, depth=2)
        solver = PINN(problems.Helmholtz(), network, points=64, condition_points=32)
        phase = Phase(Adam(), steps=3, weighting=GradientAnnealing(period=1), compile=compile)
        return Trainer([phase], progress=False).fit(solver).weights

    assert trained(True) == pytest.approx(trained(False), rel=1e-10)


@pytest.mark.slow
def test_the_default_solves_helmholtz():
    solution = sciml.solve(problems.Helmholtz(), seconds=60, seed=0, progress=False)
    assert solution.relative_l2["u"] < 1e-3
    assert math.isfinite(solution(torch.zeros(1, 2, dtype=torch.float64))["u"])


@pytest.mark.parametrize("steps", [1, 9])
def test_a_budget_of_steps_is_the_number_of_steps(steps):
    from sciml.recipes.pinn import pinn

    result = pinn(problems.Heat(), steps=steps, progress=False, points=50, width=5, depth=1)
    assert result.steps == steps


def test_fast_transport_starts_with_features_as_fine_in_time():
    from sciml.recipes.pinn import refine_in_time

    def first(problem):
        drawn = torch.Generator().manual_seed(0)
        solver = PINN(problem, generator=drawn, network_options={"width": 300, "depth": 2})
        before = copy.deepcopy(solver.network.layers[0])
        refine_in_time(solver, drawn)
        return before, solver.network.layers[0]

    before, after = first(
        problems.Convection(beta=30.0)
    )  # 30 radians pass a place in the unit of time, t varies from -1/2 to 1/2
    torch.testing.assert_close(after.weight[:, 2], 15 * before.weight[:, 2], rtol=1e-3, atol=0.0)
    torch.testing.assert_close(after.weight[:, :2], before.weight[:, :2])
    centres = -after.bias / after.weight[:, 2]
    assert centres.min() < -1.5 and centres.max() > 1.5 and centres.abs().max() < math.sqrt(3) + 1e-9
    for slow in (problems.Convection(beta=1.0), problems.Burgers(), problems.Helmholtz(), problems.Heat()):
        before, after = first(slow)
        torch.testing.assert_close(after.weight, before.weight)
        torch.testing.assert_close(after.bias, before.bias)


def test_a_resumed_run_takes_the_steps_that_are_asked_for(tmp_path):
    small = {"seed": 0, "progress": False, "folder": tmp_path / "run", "points": 50, "width": 5, "depth": 1}
    sciml.solve(problems.Heat(), "pinn", steps=3, **small)
    sciml.solve(problems.Heat(), "pinn", steps=40, resume=tmp_path / "run", **small)
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["steps"] == 40
