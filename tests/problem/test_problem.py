"""The declaration language: what a user writes, and what goes wrong clearly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch

from sciml import (
    Constraint,
    Dirichlet,
    Disk,
    Initial,
    InputError,
    Integral,
    Interface,
    Interval,
    Neumann,
    Observations,
    Parameter,
    Periodic,
    Problem,
    Rectangle,
    Robin,
    Time,
    check_problem,
)
from sciml.jets import MultiIndexSet
from sciml.problem import exact_jets, sample_batch


@dataclass(frozen=True)
class Heat(Problem):
    """u_t = k u_xx with u = exp(-k pi^2 t) sin(pi x)."""

    diffusivity: float | Parameter = 0.1
    coordinates = ("x", "t")
    unknowns = ("u",)
    domain = Interval("x", 0, 1) * Time("t", 0, 1)

    def equations(self, u, x, t):
        return {"heat": u.t - self.diffusivity * u.xx}

    def conditions(self):
        return [Initial(u=lambda x: torch.sin(math.pi * x)), Dirichlet(u=0.0)]

    def exact(self, x, t):
        return {"u": torch.exp(-self.diffusivity * math.pi**2 * t) * torch.sin(math.pi * x)}


def residuals(problem, condition, n=16):
    """Residuals of one condition at the problem's exact solution."""
    points = condition.sample(problem, n, torch.Generator().manual_seed(0))
    images = None if points.images is None else exact_jets(problem, points.images)
    return condition.residuals(problem, exact_jets(problem, points.coordinates), points, images)


def with_conditions(*conditions, base=Heat):
    return type("Changed", (base,), {"conditions": lambda self: list(conditions)})()


def test_exact_solution_passes():
    worst = check_problem(Heat())
    assert set(worst) == {"heat", "initial_u", "dirichlet_u"}
    assert max(worst.values()) < 1e-12


def test_a_wrong_sign_is_found():
    class Wrong(Heat):
        def equations(self, u, x, t):
            return {"heat": u.t + self.diffusivity * u.xx}

    with pytest.raises(InputError, match="does not satisfy 'heat'"):
        check_problem(Wrong())


def test_needed_derivatives_are_traced():
    problem = Heat()
    assert problem.derivatives["interior"] == MultiIndexSet([(2, 0), (0, 1)], 2)
    assert problem.derivatives["dirichlet_u"] == MultiIndexSet([], 2)
    assert problem.order("u", "x") == 2
    assert problem.order("u", "t") == 1


def test_neumann_robin_and_constraint_hold_at_the_exact_solution():
    problem = Heat()
    slope = lambda x, t: -math.pi * torch.exp(-0.1 * math.pi**2 * t)  # noqa: E731
    (neumann,) = residuals(problem, Neumann(u=slope, on="right")).values()
    assert neumann.abs().max() < 1e-12
    (robin,) = residuals(problem, Robin(u=(2.0, lambda x, t: 3.0 + x, lambda x, t: 4 * slope(x, t)), on="right")).values()
    assert robin.abs().max() < 1e-12
    constraint = Constraint("flux", lambda u, t, normal: u.x * normal[:, 0] + math.pi * torch.exp(-0.1 * math.pi**2 * t))
    assert residuals(problem, constraint)["flux"].abs().max() < 1e-12


def test_periodic_matches_values_and_slopes_up_to_the_order_of_the_equation():
    class Wave(Heat):
        domain = Interval("x", 0, 2) * Time("t", 0, 1)

    terms = residuals(Wave(), Periodic("x"))
    assert set(terms) == {"periodic_x_u", "periodic_x_u_x"}
    assert all(term.abs().max() < 1e-12 for term in terms.values())
    terms = residuals(Heat(), Periodic("x"))
    assert terms["periodic_x_u_x"].abs().min() > 0.1  # half a period is not periodic


def test_initial_slope():
    class Oscillator(Problem):
        coordinates, unknowns, domain = ("x", "t"), ("u",), Interval("x", 0, 1) * Time("t", 0, 1)

        def equations(self, u, x, t):
            return {"wave": u.tt - u.xx}

        def conditions(self):
            return [Initial(u=lambda x: 0 * x, u_t=lambda x: math.pi * torch.sin(math.pi * x)), Dirichlet(u=0)]

        def exact(self, x, t):
            return {"u": torch.sin(math.pi * t) * torch.sin(math.pi * x)}

    assert set(check_problem(Oscillator())) == {"wave", "initial_u", "initial_u_t", "dirichlet_u"}


def test_integral_condition_is_exact_for_smooth_fields():
    (residual,) = residuals(Heat(), Integral(u=0.0), n=200).values()
    points = Integral(u=0.0).sample(Heat(), 200, torch.Generator().manual_seed(0)).coordinates
    times = points.reshape(len(residual), -1, 2)[:, 0, 1]
    torch.testing.assert_close(residual, 2 / math.pi * torch.exp(-0.1 * math.pi**2 * times))


def test_an_integral_may_depend_on_time():
    def total(t):
        return 2 / math.pi * torch.exp(-0.1 * math.pi**2 * t)

    problem = with_conditions(Integral(u=total))
    problem.validate()
    (residual,) = residuals(problem, Integral(u=total)).values()
    assert len(residual) > 1 and residual.abs().max() < 1e-10


def test_a_function_may_have_arguments_of_its_own():
    dirichlet = Dirichlet(u=lambda t, k=0.1: torch.exp(-k * t), on="left")
    (residual,) = residuals(with_conditions(dirichlet), dirichlet).values()
    assert residual.shape == (16,) and (residual + 0.95).abs().max() < 0.06


def test_interface_jumps():
    class TwoPhase(Problem):
        """Radial conduction: u = r^2 inside r < 1/2, v continuous with flux 2 r inside = 4 v_r outside."""

        coordinates, unknowns = ("x", "y"), ("u", "v")
        domain = Rectangle(("x", "y"), (-1, -1), (1, 1))

        def equations(self, u, v, x, y):
            return {"inside": u.xx + u.yy - 4.0, "outside": v.xx + v.yy - 1.0}

        def conditions(self):
            return [Interface("u", "v", Disk(("x", "y"), (0, 0), 0.5), flux=(1.0, 4.0))]

        def exact(self, x, y):
            square = x**2 + y**2
            return {"u": square, "v": square / 4 + 3 / 16}

    assert set(check_problem(TwoPhase())) == {"inside", "outside", "interface_u_v_value", "interface_u_v_flux"}


def test_observations_return_their_own_values():
    points = torch.rand(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    values = Heat().exact(*points.unbind(-1))["u"]
    for n in (8, 100):
        (residual,) = residuals(Heat(), Observations(points, u=values), n).values()
        assert residual.shape == (min(n, 20),)
        assert residual.abs().max() < 1e-14


def test_parameters_are_found_and_bound():
    problem = Heat(diffusivity=Parameter(0.3, positive=True))
    assert list(problem.parameters()) == ["diffusivity"]
    bound = problem.bind({"diffusivity": torch.tensor(0.1, dtype=torch.float64)})
    assert not bound.parameters()
    assert max(check_problem(bound).values()) < 1e-12
    parameter = Parameter(0.3, positive=True)
    torch.testing.assert_close(parameter.from_raw(parameter.to_raw(0.3)), torch.tensor(0.3))


def test_a_batch_has_points_for_every_condition():
    problem = Heat()
    sizes = {"interior": 10, "initial_u": 5, "dirichlet_u": 6}
    batch = sample_batch(problem, problem.named_conditions(), sizes, torch.Generator().manual_seed(0))
    assert {key: len(points) for key, points in batch.items()} == sizes
    assert (batch["initial_u"].coordinates[:, 1] == 0).all()
    assert set(batch["dirichlet_u"].coordinates[:, 0].tolist()) == {0.0, 1.0}


def swap_arguments(self, x, u, t):
    return {"heat": u.t}


def undeclared(self, u, x, t):
    return {"heat": u.t - u.yy}


def unknown_name(self, u, x, t):
    return {"heat": u.t - v.xx}  # noqa: F821


def counted(self, u, x, t):
    return {"heat": u.t - u.d("x", 2)}


def column(self, u, x, t):
    return {"heat": (u.t - u.xx).unsqueeze(1)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"equations": swap_arguments}, "its arguments must be u, x, t"),
        ({"equations": undeclared}, "'yy' is not a derivative with respect to the coordinates x, t"),
        ({"equations": unknown_name}, "equations cannot be evaluated: .*'v' is not defined; it takes u, x, t"),
        ({"equations": counted}, "2 is not a coordinate"),
        ({"equations": lambda self, u, x, t: u.t - u.xx}, "must return residuals by name"),
        ({"equations": lambda self, u, x, t: {}}, "returned no residual"),
        ({"equations": column}, r"has shape \(3, 1\) for 3 points"),
        ({"coordinates": ("t", "x")}, "declare both in the same order"),
        ({"unknowns": "u"}, "must be a tuple of names"),
        ({"gauge": ("p",)}, "gauge names 'p'"),
        ({"conditions": lambda self: [Dirichlet(u=0, on="top")]}, "'top' is no boundary piece"),
        ({"conditions": lambda self: [Dirichlet(v=0)]}, "not an unknown"),
        ({"conditions": lambda self: [Initial(u_x=0)]}, "no unknown or time derivative"),
        ({"conditions": lambda self: [Periodic("t")]}, "not a spatial coordinate"),
        ({"conditions": lambda self: Dirichlet(u=0)}, "must return a list of conditions"),
        ({"conditions": lambda self: [Dirichlet(u="0")]}, "must be a number or a function of the coordinates, got str"),
        ({"conditions": lambda self: [Initial(u=torch.sin)]}, "does not name its arguments"),
        ({"exact": lambda self, x, t: x}, "exact returned Tensor"),
        ({"exact": lambda self, x, t: {"v": x}}, "'v', which is no unknown"),
        ({"exact": lambda self, x, t: {"u": x[:, None]}}, r"of shape \(3, 1\) for 3 points"),
        ({"exact": lambda self, x, t: {"u": missing}}, "'missing' is not defined"),  # noqa: F821
        ({"conditions": lambda self: [Dirichlet(u=0), Dirichlet(u=1)]}, "two conditions"),
        ({"conditions": lambda self: [Dirichlet(u=lambda x, y: x)]}, "asks for 'y'"),
        ({"conditions": lambda self: [Dirichlet(u=lambda x: x[:, None])]}, r"returned shape \(3, 1\) for 3 points"),
        ({"conditions": lambda self: [Robin(u=1.0)]}, "must be a triple"),
        ({"conditions": lambda self: [Observations([[2.0, 0.5]], u=[1.0])]}, "outside the domain"),
    ],
)
def test_declaration_errors_name_the_fix(changes, message):
    changed = type("Changed", (Heat,), changes)
    with pytest.raises(InputError, match=message):
        changed().validate()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Observations([[0.1, 0.2]], u=[[1.0]]), r"has shape \(1, 1\), expected \(1,\)"),
        (lambda: Observations([[0.1, float("nan")]], u=[1.0]), "not finite"),
        (lambda: Observations([[0.1, 0.2]], u=lambda x: x), "must be an array of numbers"),
        (lambda: Parameter(-1.0, positive=True), "must be positive"),
        (lambda: Dirichlet(), "at least one unknown"),
        (lambda: Initial(), "at least one unknown"),
    ],
)
def test_condition_errors_name_the_fix(build, message):
    with pytest.raises(InputError, match=message):
        build()


def test_no_time_no_initial_condition():
    class Steady(Problem):
        coordinates, unknowns, domain = ("x", "y"), ("u",), Rectangle(("x", "y"), (0, 0), (1, 1))

        def equations(self, u, x, y):
            return {"laplace": u.xx + u.yy}

        def conditions(self):
            return [Initial(u=0.0)]

    with pytest.raises(InputError, match="needs a domain with a Time factor"):
        Steady().validate()


def test_an_unbound_parameter_has_no_value():
    problem = Heat(diffusivity=Parameter(0.3))
    with pytest.raises(InputError, match="has no value of its own"):
        problem.exact(torch.zeros(1), torch.zeros(1))
