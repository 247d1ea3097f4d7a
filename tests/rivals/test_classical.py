from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from problems import Burgers, Convection, Heat, Helmholtz, InverseDiffusion, Kovasznay, PoissonHoles, TaylorGreen, Wave
from sciml.errors import InputError
from sciml.geometry import Box, Rectangle
from sciml.problem import Dirichlet, Neumann, Problem, Robin
from sciml.rivals import RIVALS, classical
from sciml.rivals.classical import solve
from sciml.rivals.grid import Grid


def error(problem, cells, monkeypatch):
    """Relative L2 of the first unknown on one grid."""
    monkeypatch.setattr("sciml.rivals.classical.COARSEST", cells)
    outcome = solve(problem, 1e-9)
    assert outcome.note == f"{cells} cells an axis"
    return outcome.relative_l2[problem.unknowns[0]]


@dataclass(frozen=True)
class Flux(Problem):
    """A slope on one side, a mixture on another, an equation with a mixed derivative."""

    coordinates, unknowns = ("x", "y"), ("u",)
    domain = Rectangle(("x", "y"), (0, 0), (1, 2))

    def equations(self, u, x, y):
        return {"elliptic": u.xx + u.yy + 0.5 * u.xy - 0.5 * torch.exp(x) * torch.cos(y)}

    def conditions(self):
        def u(x, y):
            return torch.exp(x) * torch.sin(y)

        def slope(x, y):
            return torch.exp(x) * torch.cos(y)

        return [
            Dirichlet(u=u, on=("left", "bottom")),
            Neumann(u=u, on="right"),
            Robin(u=(2.0, 1.0, lambda x, y: 2 * u(x, y) + slope(x, y)), on="top"),
        ]

    def exact(self, x, y):
        return {"u": torch.exp(x) * torch.sin(y)}


CASES = {
    "Dirichlet": (Helmholtz(a1=1, a2=2), 16),
    "space and time": (Heat(), 16),
    "nonlinear": (Burgers(nu=0.1), 16),
    "periodic": (Convection(beta=2.0), 16),
    "second order in time": (Wave(c=1.0, mode=2), 16),
    "several unknowns": (Kovasznay(), 12),
    "slopes and mixed derivatives": (Flux(), 8),
}


@pytest.mark.parametrize("case", CASES)
def test_the_order_is_two(case, monkeypatch):
    problem, cells = CASES[case]
    coarse, fine = (error(problem, n, monkeypatch) for n in (cells, 2 * cells))
    assert 1.7 < math.log2(coarse / fine) < 3.2 and fine < 0.05


def test_grids_are_refined_as_far_as_time_and_memory_allow(monkeypatch):
    monkeypatch.setitem(classical.MOST, 2, 5000)
    assert solve(Heat(), 60.0).note == "64 cells an axis"  # 65^2 values fit, 129^2 do not
    monkeypatch.setitem(classical.GROWTH, 2, 10**9)
    assert solve(Heat(), 60.0).note == "16 cells an axis"


@pytest.mark.parametrize(
    ("problem", "message"),
    [(PoissonHoles(), "need a box"), (InverseDiffusion(), "coefficients diffusivity"), (TaylorGreen(), "observations_p")],
)
def test_what_it_cannot_treat(problem, message):
    with pytest.raises(InputError, match=message):
        RIVALS["classical"].solve(problem, 1.0, 0)


def test_four_dimensions_do_not_fit():
    class Hyper(Problem):
        coordinates, unknowns = ("a", "b", "c", "d"), ("u",)
        domain = Box(coordinates, (0,) * 4, (1,) * 4)

        def equations(self, u, a, b, c, d):
            return {"laplace": u.aa + u.bb + u.cc + u.dd}

        def conditions(self):
            return [Dirichlet(u=0.0)]

    with pytest.raises(InputError, match="4 dimensions"):
        solve(Hyper(), 1.0)


def test_the_grid_differentiates_and_interpolates():
    grid = Grid((0.0, 0.0), (1.0, 2 * math.pi), 40, frozenset({1}))
    assert grid.shape == (41, 40)
    x, y = grid.points.numpy().T
    values = x**3 * np.sin(y)
    assert np.abs(grid.derivative((1, 1)) @ values - 3 * x**2 * np.cos(y)).max() < 0.02
    places = np.array([[0.33, 6.2], [0.0, 0.01], [1.0, 3.0]])
    slope = grid.spline(values)(places, nu=(0, 1))
    assert slope == pytest.approx(places[:, 0] ** 3 * np.cos(places[:, 1]), abs=1e-4)
    assert grid.face(0, 1).sum() == 40 and (x[grid.face(0, 1)] == 1).all()
