"""Singular functions at corners."""

from __future__ import annotations

import math

import pytest
import torch

import problems
from sciml.geometry import Polygon, Rectangle
from sciml.solution import Solution
from sciml.solvers import Experts
from sciml.solvers.experts.singular import singular


def test_only_domains_with_a_re_entrant_corner_have_them():
    assert len(singular(Rectangle(("x", "y"), (0, 0), (1, 2)))) == 0
    assert len(singular(problems.PoissonHoles.domain)) == 0
    found = singular(problems.PoissonLShape.domain)
    assert [p.power for p in found.powers if p.corner == 0] == pytest.approx([k * 2 / 3 for k in range(1, 10)])
    assert {(p.power, p.logarithmic) for p in found.powers if p.corner != 0} == {(2, True), (4, True), (6, True)}
    notch = Polygon(("x", "y"), [(0, 0), (3, 0), (3, 3), (2, 3), (2, 1), (1, 1), (1, 3), (0, 3)])
    assert {p.corner for p in singular(notch).powers}.isdisjoint({2 + 1j, 1 + 1j}), "their cuts would cross the domain"


def test_derivatives_and_harmonicity():
    found = singular(problems.PoissonLShape.domain)
    points = problems.PoissonLShape.domain.sample(30, torch.Generator().manual_seed(0)).requires_grad_()
    value, x, y, xx, yy, xy = found.jets(points, [(0, 0), (1, 0), (0, 1), (2, 0), (0, 2), (1, 1)]).unbind(1)
    torch.testing.assert_close(xx + yy, torch.zeros_like(xx), rtol=0, atol=1e-9 * float(xx.detach().abs().max()))
    for row in range(len(found)):
        slope = torch.autograd.grad(value[row].sum(), points, retain_graph=True)[0]
        torch.testing.assert_close(torch.stack([x, y])[:, row].T.detach(), slope, rtol=1e-9, atol=1e-12)
        second = torch.autograd.grad(x[row].sum(), points, retain_graph=True)[0]
        torch.testing.assert_close(torch.stack([xx, xy])[:, row].T.detach(), second, rtol=1e-9, atol=1e-9)
    corner = found.jets(torch.zeros(1, 2, dtype=torch.float64), [(0, 0)])
    assert torch.isfinite(corner).all()


def test_the_l_shape_is_solved_as_if_it_were_smooth():
    problem = problems.PoissonLShape()
    solver = Experts(problem)
    assert solver.solve(1e6, 1e-8) == "target"
    assert Solution(problem, solver).relative_l2["u"] < 1e-9
    assert len(solver.low) < 20, "grading alone takes hundreds of boxes to 1e-6"


def test_amplitudes_are_saved(tmp_path):
    problem = problems.PoissonLShape()
    solver = Experts(problem)
    solver.solve(1e6, 1e-2)
    assert solver.amplitudes.abs().max() > 0.01
    again = Experts.from_configuration(problem, solver.configuration())
    again.load_state_dict(solver.state_dict())
    points = problem.domain.sample(50, torch.Generator().manual_seed(0))
    torch.testing.assert_close(again.fields(points)["u"], solver.fields(points)["u"], rtol=0, atol=0)
    assert math.isfinite(float(again.fields(torch.zeros(1, 2, dtype=torch.float64))["u"]))
