"""Periodic evolution equations solved from their declaration: closed forms, conservation, order, what is refused."""

from __future__ import annotations

import math

import pytest
import torch

import problems
from sciml import Dirichlet, Initial, InputError, Integral, Interval, Periodic, Problem, Rectangle, Time
from sciml.reference import FourierGrid, etdrk4, solve_periodic

BOX = Rectangle(("x", "y"), (0, 0), (2 * math.pi, 2 * math.pi)) * Time("t", 0, 1)


def relative(computed, true):
    return ((computed - true).norm() / true.norm()).item()


def exact(problem, points, times):
    """(T, n) of a problem in one dimension of space."""
    low, high = (bound[0].item() for bound in problem.domain.bounds)
    x = low + (high - low) / points * torch.arange(points, dtype=torch.float64)
    return torch.stack([problem.exact(x, torch.full_like(x, t))["u"] for t in times])


def test_burgers_against_cole_and_hopf():
    problem, times = problems.BurgersPeriodic(nu=0.05), [0.0, 0.3, 1.0]
    u = solve_periodic([problem], 64, times, refine=2)["u"][0]
    assert relative(u, exact(problem, 64, times)) < 1e-7


def test_kdv_against_the_integrator_written_out():
    problem, times = problems.KdV(dispersion=2e-3), [0.0, 0.5, 1.0]
    u = solve_periodic([problem], 64, times, refine=2)["u"][0]
    grid = FourierGrid((-1.0,), (1.0,), (256,))
    flux = -grid.derivative(1) / 2
    start = grid.forward(torch.cos(math.pi * grid.points()[0]))
    true = grid.inverse(
        etdrk4(-2e-3 * grid.derivative(3), lambda v: flux * grid.forward(grid.inverse(v) ** 2), start, times, 2000)
    )
    assert relative(u, true[:, ::4]) < 1e-5


class Vortices(Problem):
    """Taylor and Green's decaying vortices, carried along by no mean flow."""

    coordinates, unknowns, domain = ("x", "y", "t"), ("u", "v", "w"), BOX
    nu, mean = 0.1, 0.0

    def equations(self, u, v, w, x, y, t):
        return {
            "definition": v.x - u.y - w,
            "vorticity": w.t + u * w.x + v * w.y - self.nu * (w.xx + w.yy),
            "continuity": u.x + v.y,
        }

    def conditions(self):
        def vorticity(x, y):
            return self.mean + 2 * torch.cos(x) * torch.cos(y) + torch.cos(x)

        return [Initial(w=vorticity), Periodic("x"), Periodic("y"), Integral(u=0.0, v=0.0)]


def test_the_velocity_follows_from_the_vorticity():
    fields = solve_periodic([Vortices()], 16, [0.0])
    x, y = FourierGrid((0.0,) * 2, (2 * math.pi,) * 2, (16, 16)).points()
    assert (fields["u"][0, 0] + torch.cos(x) * torch.sin(y)).abs().max() < 1e-13
    assert (fields["v"][0, 0] - (torch.sin(x) * torch.cos(y) + torch.sin(x))).abs().max() < 1e-13


def test_a_mean_vorticity_is_refused_on_a_torus():
    problem = Vortices()
    problem.mean = 0.5
    with pytest.raises(InputError, match="the means of w in Vortices contradict"):
        solve_periodic([problem], 16, [0.0])


def test_energy_decays_by_the_enstrophy():
    # d/dt mean (u^2 + v^2) / 2 = -nu mean w^2, the integral by Simpson's rule.
    times = torch.linspace(0, 1, 21, dtype=torch.float64)
    fields = solve_periodic([Vortices()], 16, times)
    u, v, w = (fields[name][0] for name in "uvw")
    energy = ((u**2 + v**2) / 2).mean((1, 2))
    enstrophy = (w**2).mean((1, 2))
    weights = torch.tensor([1.0] + [4.0, 2.0] * 9 + [4.0, 1.0], dtype=torch.float64) * 0.05 / 3
    lost = 0.1 * (weights * enstrophy).sum()
    assert (energy[0] - energy[-1]).item() == pytest.approx(lost.item(), rel=1e-6)
    assert (energy[0] - energy[-1]).item() > 0.1 * energy[0].item()
    assert w.mean((1, 2)).abs().max() < 1e-14


class Turning(Problem):
    """u_tt = c^2 u_xx as a system of the first order, with a speed that is an unknown itself."""

    coordinates, unknowns, domain = ("x", "t"), ("u", "v", "c"), Interval("x", 0, 2 * math.pi) * Time("t", 0, 1)
    speed = 2.0

    def equations(self, u, v, c, x, t):
        return {"u": u.t - v, "v": v.t - c**2 * u.xx, "c": c.t}

    def conditions(self):
        return [Initial(u=lambda x: torch.sin(3 * x), v=0.0, c=self.speed), Periodic("x")]


def test_a_wave_with_coupled_unknowns():
    slow, fast = Turning(), Turning()
    fast.speed = 3.0
    u = solve_periodic([slow, fast], 16, [0.0, 0.7, 1.0], courant=0.2)["u"]
    x = 2 * math.pi / 16 * torch.arange(16, dtype=torch.float64)
    for problem, row in zip((slow, fast), u, strict=True):
        for t, field in zip((0.0, 0.7, 1.0), row, strict=True):
            assert (field - torch.sin(3 * x) * math.cos(3 * problem.speed * t)).abs().max() < 1e-5


class Drift(Problem):
    coordinates, unknowns, domain = ("x", "t"), ("u",), Interval("x", 0, 2 * math.pi) * Time("t", 0, 1)
    speed = 1.0

    def equations(self, u, x, t):
        return {"drift": 2 * u.t + 2 * self.speed * u.x}

    def conditions(self):
        return [Initial(u=lambda x: torch.sin(x)), Periodic("x")]


def test_instances_with_other_coefficients_are_not_mixed_up():
    slow, fast = Drift(), Drift()
    fast.speed = 2.0
    u = solve_periodic([slow, fast], 16, [0.0, 1.0])["u"]
    x = 2 * math.pi / 16 * torch.arange(16, dtype=torch.float64)
    for speed, row in zip((1.0, 2.0), u, strict=True):
        assert (row[1] - torch.sin(x - speed)).abs().max() < 1e-12  # linear: exact


def test_what_lies_before_the_first_output_is_integrated_too():
    problem = problems.BurgersPeriodic(nu=0.05)
    late = solve_periodic([problem], 64, [0.5, 1.0], refine=2)["u"][0]
    assert relative(late, exact(problem, 64, [0.5, 1.0])) < 1e-7


def test_the_error_falls_with_the_fourth_power_of_the_step():
    problem = problems.BurgersPeriodic(nu=0.05)
    truth = solve_periodic([problem], 32, [1.0], courant=0.1)["u"]
    coarse, fine = ((solve_periodic([problem], 32, [1.0], courant=c)["u"] - truth).norm().item() for c in (0.8, 0.4))
    assert 3.5 < math.log2(coarse / fine) < 4.8


def with_equations(function, base=Drift, **attributes):
    return type("Changed", (base,), {"equations": function, **attributes})()


TWO = {"unknowns": ("u", "v"), "conditions": lambda self: [Initial(u=0.0, v=0.0), Periodic("x")]}


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (problems.Helmholtz(), "no Time"),
        (problems.Burgers(), "not periodic in x"),
        (with_equations(lambda self, u, x, t: {"a": u.tt - u.xx}), "first one of an unknown .* write u_tt as v_t"),
        (with_equations(lambda self, u, x, t: {"a": u * u.t - u.xx}), "constant coefficient"),
        (with_equations(lambda self, u, x, t: {"a": u.t - u.xx + torch.sin(t)}), "depend on t explicitly"),
        (with_equations(lambda self, u, v, x, t: {"a": u.t - v, "b": v - u**2}, **TWO), "equation 2 of Changed .* linear"),
        (with_equations(lambda self, u, v, x, t: {"a": u.t - v, "b": v - u - 1}, **TWO), "homogeneous"),
        (with_equations(lambda self, u, v, x, t: {"a": u.t - v, "b": u.x}, **TWO), "do not determine v from u alone"),
        (problems.TaylorGreen(), "has the condition 'observations_p'"),
    ],
)  # fmt: skip
def test_other_problems_are_refused_with_the_reason(problem, message):
    with pytest.raises(InputError, match=message):
        solve_periodic([problem], 8, [0.0, 0.1])


def test_a_missing_initial_value_is_named():
    problem = type("Empty", (Drift,), {"conditions": lambda self: [Periodic("x")]})()
    with pytest.raises(InputError, match=r"Empty has no Initial\(u=...\)"):
        solve_periodic([problem], 8, [0.0])


def test_a_boundary_condition_is_not_ignored():
    problem = type("Held", (Drift,), {"conditions": lambda self: [*Drift.conditions(self), Dirichlet(u=0.0)]})()
    with pytest.raises(InputError, match="cannot take"):
        solve_periodic([problem], 8, [0.0])
