"""Problems with many solutions, with none, and with numbers that are not finite: the experts say so."""

from __future__ import annotations

import math

import pytest
import torch

import problems
from sciml import (
    Constraint,
    Dirichlet,
    DivergenceError,
    Initial,
    InputError,
    Integral,
    Interval,
    Neumann,
    Periodic,
    Problem,
    Rectangle,
    Robin,
    Time,
)
from sciml.recipes.experts import experts
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.passes import Clock
from sciml.solvers.experts.soundness import undetermined
from sciml.solvers.experts.steady import refine
from sciml.solvers.experts.tiling import Tiling

SQUARE = Rectangle(("x", "y"), (0, 0), (1, 1))


class Plane(Problem):
    """u_xx + u_yy + k u = f on the unit square."""

    coordinates, unknowns, domain = ("x", "y"), ("u",), SQUARE

    def __init__(self, *conditions, k=0.0, f=0.0, gauge=()):
        self.given, self.k, self.f = conditions, k, f
        object.__setattr__(self, "gauge", gauge)

    def equations(self, u, x, y):
        return {"balance": u.xx + u.yy + self.k * u - (self.f(x, y) if callable(self.f) else self.f)}

    def conditions(self):
        return list(self.given)


class Line(Plane):
    """u_t = u_xx, or u_tt = u_xx, on the unit interval."""

    coordinates, domain = ("x", "t"), Interval("x", 0, 1) * Time("t", 0, 1)

    def equations(self, u, x, t):
        source = self.f(x, t) if callable(self.f) else self.f
        return {"balance": (u.tt if self.k else u.t) - u.xx - source}


class Pair(Plane):
    unknowns = ("u", "v")

    def equations(self, u, v, x, y):
        return {"first": u.xx + u.yy - 1, "second": v.xx + v.yy}


def sine(x, *_):
    return torch.sin(math.pi * x)


EIGENVALUE = 2 * math.pi**2
OPEN = {
    "no condition": (Plane(), "u"),
    "slopes alone": (Plane(Neumann(u=0.0)), "u"),
    "slopes that need a source": (Plane(Neumann(u=1.0)), "u"),
    "two sides alone": (Plane(Dirichlet(u=1.0, on=("left", "top"))), "u"),
    "an eigenvalue": (Plane(Dirichlet(u=0.0), k=EIGENVALUE), "u"),
    "a source at an eigenvalue": (Plane(Dirichlet(u=0.0), k=EIGENVALUE, f=1.0), "u"),
    "one of two unknowns": (Pair(Dirichlet(u=0.0), Neumann(v=0.0)), "v"),
    "no initial value": (Line(Dirichlet(u=1.0)), "u"),
    "no initial value but a mean": (Line(Periodic("x"), Integral(u=0.0)), "u"),
    "no boundary value": (Line(Initial(u=sine)), "u"),
    "no initial velocity": (Line(Initial(u=sine), Dirichlet(u=0.0), k=1.0), "u"),
}


@pytest.mark.parametrize(("problem", "name"), OPEN.values(), ids=OPEN)
def test_what_is_left_open_is_named_and_has_no_estimate(problem, name):
    with pytest.warns(UserWarning, match="not unique"):
        result = experts(problem, seconds=1, progress=False)
    assert result.stop_reason.startswith("not unique") and f"leave {name} open" in result.stop_reason
    assert result.solution.error_estimate is None


UNIQUE = {
    "a gauge": Plane(Neumann(u=0.0), gauge=("u",)),
    "a mean": Plane(Neumann(u=0.0), Integral(u=1.0)),
    "a mean at all times": Line(Periodic("x"), Initial(u=lambda x: torch.cos(2 * math.pi * x)), Integral(u=0.0)),
    "robin": Plane(Robin(u=(1.0, 2.0, 0.0), on=("left", "right")), Dirichlet(u=0.0, on=("bottom", "top")), f=1.0),
    "a constraint": Plane(Constraint("product", lambda u, x, y: u - x * y)),
}


@pytest.mark.parametrize("problem", UNIQUE.values(), ids=UNIQUE)
def test_what_is_determined_reaches_its_target(problem):
    result = experts(problem, seconds=20, target=1e-9, progress=False)
    assert result.stop_reason == "target" and result.solution.error_estimate["u"] < 1e-9


@pytest.mark.parametrize("declared", [problems.Cavity(100.0), problems.PoissonLShape(), problems.PoissonHoles()])
def test_pressures_corners_and_holes_leave_nothing_open(declared):
    tiling = Tiling(declared, torch.device("cpu"))
    basis = Legendre(2, 6)
    found = next(iter(refine(declared, tiling, basis, 1e-1, tiling.root, False, Clock(1e6))))
    assert undetermined(declared, tiling, found) == []


def test_conditions_that_contradict_each_other_are_named():
    with pytest.warns(UserWarning, match="conditions are not met"):
        result = experts(Plane(Dirichlet(u=0.0), Robin(u=(1.0, 0.0, 1.0), on="left")), seconds=1, progress=False)
    assert result.stop_reason.startswith("conditions are not met: dirichlet_u") and "robin_u_left" in result.stop_reason
    assert result.solution.error_estimate is None


NOT_FINITE = {
    "an equation": (Plane(Dirichlet(u=0.0), f=lambda x, y: torch.log(x - 0.5)), "^balance"),
    "a condition": (Plane(Dirichlet(u=lambda x, y: torch.log(x - 0.5))), "^dirichlet_u"),
    "in time": (Line(Dirichlet(u=0.0), Initial(u=0.0), f=lambda x, t: torch.log(x - 0.5)), "at t = 0: balance"),
}


@pytest.mark.parametrize(("problem", "term"), NOT_FINITE.values(), ids=NOT_FINITE)
def test_a_number_that_is_not_finite_is_traced_to_its_term_and_place(problem, term):
    with pytest.raises(DivergenceError, match=rf"{term}, or its slope, is not finite at x = 0"):
        experts(problem, seconds=2, progress=False)


@pytest.mark.parametrize("where", ["balance", "dirichlet_u"])
def test_a_gradient_that_would_be_lost_is_refused(where):
    k = torch.ones((), dtype=torch.float64, requires_grad=True)
    condition = Dirichlet(u=(lambda x, y: k * x) if where == "dirichlet_u" else 0.0)
    with pytest.raises(InputError, match=f"{where} depends on a tensor that requires a gradient"):
        experts(Plane(condition, k=k if where == "balance" else 0.0), seconds=1, progress=False)
