"""Two unknowns that meet at an interface."""

from __future__ import annotations

import math

import pytest
import torch

from sciml.errors import InputError
from sciml.geometry import Disk, Interval, Rectangle, Time
from sciml.problem import Dirichlet, Initial, Interface, Problem
from sciml.solution import Solution
from sciml.solvers import Experts
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.passes import Clock
from sciml.solvers.experts.steady import refine
from sciml.solvers.experts.tiling import Tiling


class Rod(Problem):
    """Heat in a rod of two materials: the second conducts three times as well, from x = 1/2 on."""

    coordinates, unknowns = ("x", "t"), ("u", "v")
    domain = Interval("x", 0, 1) * Time("t", 0, 0.5)
    p = 4.251154436187923  # the slowest mode: 3 q cos(q / 2) sin(p / 2) + p cos(p / 2) sin(q / 2) = 0 with p^2 = 3 q^2

    def equations(self, u, v, x, t):
        return {"first": u.t - u.xx, "second": v.t - 3 * v.xx}

    def conditions(self):
        return [
            Initial(u=lambda x: self._mode(x)["u"], v=lambda x: self._mode(x)["v"]),
            Dirichlet(u=0.0, v=0.0),
            Interface("u", "v", Interval("x", 0, 0.5), flux=(1.0, 3.0)),
        ]

    def _mode(self, x):
        q = self.p / 3**0.5
        return {"u": torch.sin(self.p * x), "v": math.sin(self.p / 2) / math.sin(q / 2) * torch.sin(q * (1 - x))}

    def exact(self, x, t):
        return {name: torch.exp(-(self.p**2) * t) * mode for name, mode in self._mode(x).items()}


class Half(Problem):
    """u left of x = 1/2 and v = u + 1 right of it, with twice its slope there."""

    coordinates, unknowns = ("x", "y"), ("u", "v")
    domain = Rectangle(("x", "y"), (0, 0), (1, 1))

    def equations(self, u, v, x, y):
        return {"left": u.xx + u.yy, "right": v.xx + v.yy}

    def conditions(self):
        return [
            Dirichlet(u=lambda x, y: self.exact(x, y)["u"], on=("left", "bottom", "top")),
            Dirichlet(v=lambda x, y: self.exact(x, y)["v"], on=("right", "bottom", "top")),
            Interface("u", "v", Rectangle(("x", "y"), (-1, -1), (0.5, 2)), flux=(2.0, 1.0), jump=-1.0),
        ]

    def exact(self, x, y):
        wave, z = torch.sin(math.pi * y), math.pi * (x - 0.5)
        value, slope = math.sinh(math.pi / 2), 2 * math.cosh(math.pi / 2)
        return {"u": wave * torch.sinh(math.pi * x), "v": 1 + wave * (value * torch.cosh(z) + slope * torch.sinh(z))}


class Disc(Problem):
    """u = r^2 in a disc, and around it a logarithm, which has no continuation into the disc."""

    coordinates, unknowns = ("x", "y"), ("u", "v")
    domain = Rectangle(("x", "y"), (-1, -1), (1, 1))

    def equations(self, u, v, x, y):
        return {"inside": u.xx + u.yy - 4.0, "outside": v.xx + v.yy}

    def conditions(self):
        around = Dirichlet(v=lambda x, y: self.exact(x, y)["v"])
        return [around, Interface("u", "v", Disk(("x", "y"), (0, 0), 0.5), flux=(1.0, 2.0))]

    def exact(self, x, y):
        square = x**2 + y**2
        return {"u": square, "v": 0.25 + 0.125 * torch.log(4 * square)}


@pytest.mark.parametrize("problem", [Rod(), Half()], ids=lambda p: type(p).__name__)
def test_straight_interfaces(problem):
    solver = Experts(problem)
    assert solver.solve(1e6, 1e-7) == "target"
    assert max(Solution(problem, solver).relative_l2.values()) < 1e-7


def test_a_curved_interface():
    problem = Disc()
    tiling = Tiling(problem, torch.device("cpu"))
    *_, last = refine(problem, tiling, Legendre(2, 8), 1e-3, tiling.root, True, Clock(1e6))
    points = problem.domain.sample(2000, torch.Generator().manual_seed(1))
    values, exact, present = last.expansion.values(points), problem.exact(*points.unbind(1)), problem.present(points)
    for value, name, there in zip(values, "uv", present, strict=True):
        assert (value - exact[name])[there].norm() < 1e-2 * exact[name][there].norm()


def test_an_unknown_is_nan_beyond_its_interface():
    solution = Solution(Disc(), Experts(Disc()))
    points = torch.tensor([[0.0, 0.1], [0.9, 0.0]], dtype=torch.float64)
    fields = solution(points)
    assert fields["u"].isnan().tolist() == [False, True] and fields["v"].isnan().tolist() == [True, False]
    assert all(math.isfinite(error) for error in solution.relative_l2.values())


def test_only_the_part_inside_the_domain_counts():
    (condition,) = (c for c in Half().conditions() if isinstance(c, Interface))
    points = condition.sample(Half(), 50, torch.Generator().manual_seed(0))
    assert len(points) == 50 and (points.coordinates[:, 0] == 0.5).all() and (points.normals[:, 0] == 1).all()
    with pytest.raises(InputError, match="no part of the boundary of its shape is inside"):
        Interface("u", "v", Disk(("x", "y"), (9, 9), 1)).check(Half())
