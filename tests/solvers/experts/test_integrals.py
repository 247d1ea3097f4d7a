"""Integral conditions, which tie all experts together."""

from __future__ import annotations

import math

import pytest
import torch

from sciml.errors import InputError
from sciml.geometry import Disk, Interval, Rectangle, Time
from sciml.problem import Dirichlet, Initial, Integral, Neumann, Observations, Problem
from sciml.solution import Solution
from sciml.solvers import Experts
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import grid
from sciml.solvers.experts.error import estimate_error
from sciml.solvers.experts.quadrature import quadrature
from sciml.solvers.experts.system import System
from sciml.solvers.experts.terms import State
from sciml.solvers.experts.tiling import Tiling

CPU = torch.device("cpu")


class Insulated(Problem):
    """Only the integral tells which of the solutions is meant."""

    coordinates, unknowns = ("x", "y"), ("u",)
    domain = Rectangle(("x", "y"), (0, 0), (1, 2))

    def equations(self, u, x, y):
        return {"poisson": u.xx + u.yy + 5 * math.pi**2 * torch.cos(math.pi * x) * torch.cos(2 * math.pi * y)}

    def conditions(self):
        return [Neumann(u=0.0), Integral(u=3.0)]

    def exact(self, x, y):
        return {"u": torch.cos(math.pi * x) * torch.cos(2 * math.pi * y) + 1.5}


class Level(Problem):
    """Heat, and a potential q of it whose integral is one at all times."""

    coordinates, unknowns = ("x", "t"), ("u", "q")
    domain = Interval("x", 0, 1) * Time("t", 0, 1)

    def equations(self, u, q, x, t):
        return {"heat": u.t - 0.1 * u.xx, "potential": q.x - u}

    def conditions(self):
        return [Initial(u=lambda x: torch.sin(math.pi * x)), Dirichlet(u=0.0), Integral(q=1.0)]

    def exact(self, x, t):
        decay = torch.exp(-0.1 * math.pi**2 * t)
        return {"u": decay * torch.sin(math.pi * x), "q": 1 - decay * torch.cos(math.pi * x) / math.pi}


class Plate(Insulated):
    """u = r^2 on a plate with a hole, its integral zero after a shift."""

    domain = Rectangle(("x", "y"), (-1, -1), (1, 1)) - Disk(("x", "y"), (0, 0), 0.5)

    def equations(self, u, x, y):
        return {"poisson": u.xx + u.yy - 4.0}

    def conditions(self):
        return [Neumann(u=lambda x, y: torch.where(x**2 + y**2 > 0.3, 2.0, -1.0)), Integral(u=0.0)]

    def exact(self, x, y):
        return {"u": x**2 + y**2 - (8 / 3 - math.pi / 32) / (4 - math.pi / 4)}


@pytest.mark.parametrize("problem", [Insulated(), Level(), Plate()], ids=lambda p: type(p).__name__)
def test_the_integral_chooses_the_solution(problem):
    solver = Experts(problem)
    solver.solve(1e6, 1e-6)
    errors, estimate = Solution(problem, solver).relative_l2, solver.error_estimate()
    assert max(errors.values()) < 1e-6
    assert all(errors[name] < 3 * estimate[name] + 1e-9 for name in errors)


def test_it_is_in_the_equation_for_the_error():
    solver = Experts(Insulated())
    solver.solve(1e6, 1e-2)
    error = Solution(Insulated(), solver).relative_l2["u"]
    assert 0.8 < estimate_error(Insulated(), solver, seconds=1e6)["u"] / error < 1.25


def test_sums_passed_from_expert_to_expert_equal_the_dense_row():
    problem, basis = Insulated(), Legendre(2, 4)
    boxes = grid([torch.tensor([0, 0.3, 1]).double(), torch.tensor([0, 1, 1.2, 2]).double()])
    system = System(problem, Tiling(problem, CPU), boxes, basis)
    nothing = boxes.low.new_zeros(0)
    found = system.step(State(boxes.low.new_zeros(system.shape), nothing)).coefficients

    def rows(flat):
        state = State(flat.reshape(system.shape), nothing)
        terms = [term.residuals(state).flatten() for term in system.terms]
        return torch.cat([*terms, system.skeleton.jumps(state.coefficients.flatten(1))])

    zero = torch.zeros(found.numel(), dtype=torch.float64)
    matrix = torch.autograd.functional.jacobian(rows, zero)
    expected = torch.linalg.lstsq(matrix, -rows(zero)[:, None], driver="gelsd").solution[:, 0]
    torch.testing.assert_close(found.flatten(), expected, rtol=1e-6, atol=1e-8 * float(expected.abs().max()))


def test_quadrature_in_cut_boxes():
    tiling = Tiling(Plate(), CPU)
    breaks = torch.linspace(-1, 1, 6, dtype=torch.float64)
    for boxes, accuracy in ((tiling.root, 1e-9), (tiling.trimmed(grid([breaks, breaks])), 3e-5)):
        points, weights, owner = quadrature(tiling, boxes, 8)
        assert (boxes.local(points, owner).abs() <= 1 + 1e-9).all() and Plate.domain.contains(points, 1e-9).all()
        assert float(weights.sum()) == pytest.approx(4 - math.pi / 4, rel=accuracy)
        assert float((weights * points.square().sum(1)).sum()) == pytest.approx(8 / 3 - math.pi / 32, rel=accuracy)


class Observed(Level):
    def conditions(self):
        return [*super().conditions(), Observations([[0.5, 0.5]], u=[0.6])]


def test_integrals_beside_measurements_in_time_are_refused():
    with pytest.raises(InputError, match="'integral_q' together with measurements"):
        Experts(Observed())
