"""Bases, boxes and the coupled least squares of the experts."""

from __future__ import annotations

import pytest
import torch

from problems import AllenCahnPeriodic, Burgers, Helmholtz, Kovasznay, PoissonHoles, PoissonLShape, Wave
from sciml.jets import MultiIndexSet
from sciml.solvers.experts.adapt import Criterion
from sciml.solvers.experts.basis import Legendre, gauss, legendre
from sciml.solvers.experts.boxes import Boxes, faces, grid
from sciml.solvers.experts.dissection import dissection
from sciml.solvers.experts.expansion import Expansion, project
from sciml.solvers.experts.system import System
from sciml.solvers.experts.terms import State
from sciml.solvers.experts.tiling import Tiling
from sciml.solvers.linearise import equations_at, is_linear, linearise


def line(*values):
    return torch.tensor(values, dtype=torch.float64)


def uneven():
    """Four boxes on [0, 2] x [0, 1] with a hanging node."""
    return grid([line(0, 1, 2), line(0, 1)]).bisected(torch.tensor([1, -1])).bisected(torch.tensor([-1, 0, -1]))


def test_legendre_is_orthonormal_with_exact_derivatives():
    z, weights = gauss(12, 2, torch.zeros((), dtype=torch.float64))
    basis = Legendre(2, 5)
    table = basis.jets(z, [(0, 0)])[0]
    torch.testing.assert_close(table.T @ (weights[:, None] * table), torch.eye(len(basis)).double(), atol=1e-13, rtol=0)
    points = torch.rand(7, dtype=torch.float64).requires_grad_()
    value, first, second = legendre(points, 6, 2)
    for n in range(7):
        slope = torch.autograd.grad(value[:, n].sum(), points, create_graph=True, materialize_grads=True)[0]
        torch.testing.assert_close(first[:, n], slope, atol=1e-11, rtol=1e-11)
        curve = torch.autograd.grad(first[:, n].sum(), points, retain_graph=True, materialize_grads=True)[0]
        torch.testing.assert_close(second[:, n], curve, atol=1e-11, rtol=1e-11)


def test_tails_tell_the_direction():
    boxes, basis = grid([line(-1, 1), line(-1, 1)]), Legendre(2, 8)
    wave = project(lambda p: torch.sin(6 * p[:, 1])[None], boxes, basis)
    x, y = basis.tails(wave)[0, 0].tolist()
    assert x < 1e-12 < 1e-3 < y


def test_projection_is_evaluated_with_its_derivatives():
    boxes, basis = uneven(), Legendre(2, 12)
    found = Expansion(boxes, basis, project(lambda p: (torch.sin(p[:, 0]) * torch.exp(p[:, 1]))[None], boxes, basis))
    points = torch.rand(50, 2, dtype=torch.float64) * line(2, 1)
    value, slope = found(points, [(0, 0), (1, 2)])[0]
    torch.testing.assert_close(value, torch.sin(points[:, 0]) * torch.exp(points[:, 1]), atol=1e-11, rtol=0)
    torch.testing.assert_close(slope, torch.cos(points[:, 0]) * torch.exp(points[:, 1]), atol=1e-7, rtol=0)


def test_faces_cover_every_inner_side_once():
    boxes = uneven()
    for axis, length in ((0, 1.0 + 0.5), (1, 1.0)):
        found = faces(boxes, axis)
        assert ((found.high - found.low)[:, 1 - axis].sum() - length).abs() < 1e-12
        for experts, move in found.sides():
            middle = (found.low + found.high) / 2 + move
            assert (boxes.local(middle, experts).abs() <= 1 + 1e-12).all()


def test_a_period_joins_the_ends():
    found = faces(grid([line(0, 2), line(0, 1)]), 0, period=(0.0, 2.0))
    assert (found.below.tolist(), found.above.tolist(), found.shift.tolist()) == ([0], [0], [-2.0])


def test_linearised_residual_is_the_derivative():
    problem, indices = Burgers(), MultiIndexSet([(2, 0), (0, 1)], 2)
    points, generator = problem.domain.sample(5, torch.Generator().manual_seed(0)), torch.Generator().manual_seed(1)
    state = torch.rand(1, len(indices), 5, dtype=torch.float64, generator=generator)
    step = 1e-6 * torch.rand(state.shape, dtype=torch.float64, generator=generator)
    residual = lambda s: linearise(equations_at(points), problem, s, indices, s.new_zeros(0))["momentum"]  # noqa: E731
    change = residual(state + step).value - residual(state - step).value
    torch.testing.assert_close(change, 2 * (residual(state).slopes * step).sum((0, 1)), rtol=1e-6, atol=0)


def test_linear_problems_are_recognised():
    assert [is_linear(p) for p in (Helmholtz(), Wave(), PoissonHoles(), Burgers(), Kovasznay(), AllenCahnPeriodic())] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_nested_dissection_ends_with_the_separator():
    boxes = grid([line(*range(9)), line(0, 1)])
    pairs = torch.tensor([(i, i + 1) for i in range(7)])
    order = dissection(boxes.centre, pairs)
    assert sorted(order) == list(range(7)) and order[-1] == 3


def test_coupled_least_squares_equals_the_dense_one():
    """The skeleton's solution minimises the squares of all rows and of half the squared jumps."""
    problem, boxes, basis = Helmholtz(), uneven(), Legendre(2, 4)
    boxes = Boxes(boxes.low - line(1, 0), boxes.high - line(1, 0))
    system = System(problem, Tiling(problem, torch.device("cpu")), boxes, basis)
    nothing = boxes.low.new_zeros(0)
    found = system.step(State(boxes.low.new_zeros(system.shape), nothing)).coefficients

    def rows(flat):
        coefficients = flat.reshape(system.shape)
        parts = [term.residuals(State(coefficients, nothing)).flatten() for term in system.terms]
        return torch.cat([*parts, system.skeleton.jumps(coefficients.flatten(1))])

    zero = torch.zeros(found.numel(), dtype=torch.float64)
    matrix = torch.stack([rows(unit) - rows(zero) for unit in torch.eye(len(zero), dtype=torch.float64)], dim=1)
    expected = torch.linalg.lstsq(matrix, -rows(zero)[:, None], driver="gelsd").solution[:, 0]
    torch.testing.assert_close(found.flatten(), expected, rtol=1e-6, atol=1e-8 * float(expected.abs().max()))


def test_boxes_are_cut_where_the_tails_are_and_joined_again():
    problem, basis = Helmholtz(), Legendre(2, 8)
    criterion = Criterion.of(problem, (0, 1), Tiling(problem, torch.device("cpu")))
    steep = lambda p: torch.tanh(20 * p[:, 0])[None]  # noqa: E731
    boxes = criterion.fit(steep, grid([line(-1, 1), line(-1, 1)]), basis, 1e-3)
    assert len(boxes) > 4 and torch.allclose(boxes.half[:, 1], line(1.0)), "only along x"
    assert boxes.half[boxes.centre[:, 0].abs().argmin(), 0] < boxes.half[:, 0].max() / 2, "finest at the layer"
    flat = Expansion(boxes, basis, project(lambda p: p[:, :1].T, boxes, basis))
    for _ in range(6):
        flat = Expansion(criterion.joined(flat, 1e-6), basis, project(flat.values, criterion.joined(flat, 1e-6), basis))
    assert len(flat.boxes) == 2 or len(flat.boxes) == 1


@pytest.mark.parametrize(("problem", "boxes"), [(PoissonLShape(), 3), (Helmholtz(), 1)])
def test_edges_along_the_axes_cut_no_box(problem, boxes):
    tiling = Tiling(problem, torch.device("cpu"))
    assert len(tiling.root) == boxes and not tiling.cut(tiling.root).any()


def test_cut_boxes_are_shrunk_dropped_and_their_faces_clipped():
    problem = PoissonHoles()
    tiling = Tiling(problem, torch.device("cpu"))
    breaks = torch.linspace(-0.5, 0.5, 21, dtype=torch.float64)
    boxes = tiling.trimmed(grid([breaks, breaks]))
    assert len(boxes) < 400 and 0 < tiling.cut(boxes).sum() < len(boxes)
    area = (2 * boxes.half).prod(1).sum()
    assert problem.domain.volume < area < 1.08 * problem.domain.volume
    for axis in (0, 1):
        clipped = tiling.clipped(faces(boxes, axis))
        for z in (-1, 0, 1):
            points = (clipped.low + clipped.high) / 2 + z * (clipped.high - clipped.low) / 2
            assert problem.domain.contains(points, tolerance=1e-8).all()
