from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.geometry import Ball, Box, Disk, Interval, Polygon, Rectangle
from tests.geometry.shapes import DOMAINS, L_VERTICES, PRIMITIVES, SQUARE, XY, XYZ, around, generator, holed


@pytest.mark.parametrize("name", PRIMITIVES)
def test_signed_distances_of_primitives_are_exact(name):
    """A unit gradient, and the nearest boundary point exactly that far along it."""
    domain, _, _ = PRIMITIVES[name]
    points = around(domain, 300).requires_grad_()
    distance = domain.signed_distance(points)
    (gradient,) = torch.autograd.grad(distance.sum(), points)
    torch.testing.assert_close(gradient.norm(dim=1), torch.ones(300, dtype=torch.float64), rtol=0, atol=1e-9)
    foot = (points - distance[:, None] * gradient).detach()
    assert domain.signed_distance(foot).abs().max() < 1e-9
    boundary = domain.sample_boundary(3000, generator()).points
    nearest = torch.cdist(points.detach(), boundary).amin(1)
    assert (nearest > distance.abs().detach() - 1e-9).all()
    assert 0 < (distance < 0).double().mean() < 1


@pytest.mark.parametrize("name", DOMAINS)
def test_signed_distances_are_bounds_with_the_right_sign(name):
    domain, _, _ = DOMAINS[name]
    inside = domain.sample(200, generator())
    assert (domain.signed_distance(inside) < 0).all()
    points = around(domain, 400)
    distance = domain.signed_distance(points)
    assert torch.equal(domain.contains(points), distance <= 0)
    if domain.time is None:
        boundary = domain.sample_boundary(2000, generator()).points
        assert (torch.cdist(points, boundary).amin(1) > distance.abs() - 1e-9).all()


@pytest.mark.parametrize("name", DOMAINS)
def test_distances_run_in_any_precision_and_on_any_device(name):
    domain, _, _ = DOMAINS[name]
    points = around(domain, 50)
    for function in (domain.signed_distance, domain.boundary_distance):
        assert function(points.float()).dtype == torch.float32
        torch.testing.assert_close(function(points.float()).double(), function(points), rtol=1e-5, atol=1e-5)
        assert function(points.to("meta")).device.type == "meta"
        assert function(points[:0]).shape == (0,)


@pytest.mark.parametrize("name", PRIMITIVES)
def test_distances_have_finite_second_derivatives(name):
    """Hard constraints differentiate them twice, also where a root has none."""
    domain, _, _ = PRIMITIVES[name]
    low, high = domain.bounds
    points = torch.cat([around(domain, 50), domain.sample(50, generator()), (low + high)[None] / 2])
    for function in (domain.signed_distance, domain.boundary_distance):
        x = points.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(function(x).sum(), x, create_graph=True)
        second = torch.autograd.grad(gradient.square().sum(), x, allow_unused=True)[0] if gradient.requires_grad else None
        assert gradient.isfinite().all() and (second is None or second.isfinite().all())


def test_distances_of_a_box():
    box = Box(XYZ, (0, 0, 0), (1, 2, 3))
    points = torch.tensor([[0.5, 1, 1], [0.9, 1, 1.5], [2, 1, 1], [4, 6, 1], [-1, -2, -2]], dtype=torch.float64)
    assert box.signed_distance(points).tolist() == pytest.approx([-0.5, -0.1, 1, 5, 3])
    assert box.boundary_distance(points, on="x=0").tolist() == pytest.approx([0.5, 0.9, 2, math.sqrt(32), 3])


def test_ends_of_time_count_as_boundary_of_space_time_but_not_of_space():
    domain, _, _ = DOMAINS["rod"]
    points = torch.tensor([[0.5, 0.25], [1.9, 1.0]], dtype=torch.float64)
    assert domain.signed_distance(points).tolist() == pytest.approx([-0.25, -0.1])
    assert domain.boundary_distance(points).tolist() == pytest.approx([1.5, 0.1])


def test_distances_of_a_polygon_that_is_not_convex():
    polygon = Polygon(XY, L_VERTICES)
    points = torch.tensor([[0.5, 0.5], [1.5, 1.5], [0.9, 0.8], [3, 3], [1, 1], [1.25, 1.0], [-3, -4]], dtype=torch.float64)
    expected = [-0.5, 0.5, -math.hypot(0.1, 0.2), math.hypot(1, 2), 0, 0, 5]
    assert polygon.signed_distance(points).tolist() == pytest.approx(expected, abs=1e-12)
    assert polygon.boundary_distance(points[:2], on=["edge0"]).tolist() == pytest.approx([0.5, 1.5])


def test_the_distance_of_a_polygon_is_smooth_across_its_edges():
    points = torch.tensor([[0.5, 0.0], [2.0, 0.5], [1.5, 1.0]], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(Polygon(XY, L_VERTICES).signed_distance(points).sum(), points)
    assert gradient.tolist() == [[0, -1], [1, 0], [0, 1]]


@pytest.mark.parametrize("name", DOMAINS)
def test_boundary_distance_vanishes_on_the_boundary_and_bounds_from_below(name):
    domain, _, _ = DOMAINS[name]
    drawn = domain.sample_boundary(3000, generator()).points
    assert domain.boundary_distance(drawn).max() < 1e-9
    points = domain.sample(200, generator())
    distance = domain.boundary_distance(points)
    assert (distance > 0).all()
    assert (torch.cdist(points, drawn).amin(1) > distance - 1e-9).all()


@pytest.mark.parametrize("name", ["step", "overlap", "side by side", "square with holes", "half disk"])
def test_distance_to_a_piece_vanishes_there_alone(name):
    domain, _, _ = DOMAINS[name]
    names = [name for name in domain.boundary_names if "=" not in name and domain.boundary_measure(name) > 0]
    inside = domain.sample(300, generator())
    for name in names:
        assert (domain.boundary_distance(inside, on=name) > 0).all()  # though a combination removes what lies there
        for other in names:
            points = domain.sample_boundary(200, generator(), on=other).points
            near = domain.boundary_distance(points, on=name) < 1e-9
            assert near.all() if other == name else not near.any()
    assert len(names) > 1


def test_removed_parts_of_boundaries_are_no_boundary():
    a, b = Rectangle(XY, (0, 0), (2, 1)), Rectangle(XY, (0, 0), (1, 2))
    points = torch.tensor([[0.5, 1.0], [1.0, 0.5]], dtype=torch.float64)  # on the top of a in b, on the right of b in a
    for union in (a | b, b | a):
        assert union.boundary_distance(points).tolist() == pytest.approx([0.5, 0.5])
        assert union.boundary_distance(points, on="y=1").tolist() == pytest.approx([0.5, 0.5])
    assert (a - b).boundary_distance(torch.tensor([[0.5, 1.0]]), on="y=1").item() == pytest.approx(0.5)
    assert (b & a).boundary_distance(torch.tensor([[1.0, 1.5]]), on="x=1").item() == pytest.approx(0.5)


def test_distance_to_a_piece_of_a_square_with_holes_is_exact_inside():
    points = holed().sample(500, generator())
    torch.testing.assert_close(holed().boundary_distance(points, on="left"), points[:, 0] + 0.5)
    to_hole = ((points.abs() - 0.3).norm(dim=1) - 0.1).abs()
    torch.testing.assert_close(holed().boundary_distance(points, on="hole"), to_hole)
    both = holed().boundary_distance(points, on=("left", "hole"))
    torch.testing.assert_close(both, torch.minimum(to_hole, points[:, 0] + 0.5))


coordinate = st.floats(-1, 1)


@settings(max_examples=40, deadline=None)
@given(centre=st.tuples(coordinate, coordinate), radius=st.floats(0.05, 1.5))
def test_truth_table_of_combinations(centre, radius):
    disk, points = Disk(XY, centre, radius), around(Disk(XY, (0, 0), 1.5), 400)
    a, b = SQUARE.contains(points), disk.contains(points)
    expected = {SQUARE | disk: a | b, SQUARE & disk: a & b, SQUARE - disk: a & ~b, disk - SQUARE: b & ~a}
    for combined, truth in expected.items():
        assert torch.equal(combined.contains(points), truth)
        assert torch.equal(combined.signed_distance(points) < 0, truth)


@settings(max_examples=30, deadline=None)
@given(low=st.tuples(coordinate, coordinate), size=st.tuples(st.floats(0.1, 2), st.floats(0.1, 2)), seed=st.integers(0, 99))
def test_a_rectangle_is_a_polygon_and_a_product_of_intervals(low, size, seed):
    (x, y), (w, h) = low, size
    rectangle = Rectangle(XY, low, (x + w, y + h))
    polygon = Polygon(XY, [(x, y), (x + w, y), (x + w, y + h), (x, y + h)])
    intervals = Interval("x", x, x + w) * Interval("y", y, y + h)
    points = around(rectangle, 100, seed)
    torch.testing.assert_close(polygon.signed_distance(points), rectangle.signed_distance(points), rtol=0, atol=1e-12)
    torch.testing.assert_close(intervals.signed_distance(points), rectangle.signed_distance(points), rtol=0, atol=1e-12)
    for side, edge in zip(("bottom", "right", "top", "left"), polygon.boundary_names, strict=True):
        torch.testing.assert_close(
            polygon.boundary_distance(points, edge), rectangle.boundary_distance(points, side), rtol=0, atol=1e-12
        )


def test_containment_is_closed_and_takes_a_tolerance():
    points = torch.tensor([[0.1 * 3], [0.3 + 1e-9], [float("nan")]], dtype=torch.float64)
    assert Interval("x", 0, 0.1 * 3).contains(points).tolist() == [True, False, False]
    assert Interval("x", 0, 0.3).contains(points, tolerance=1e-8).tolist() == [True, True, False]
    assert Ball(XYZ, (0, 0, 0), 1).contains(torch.eye(3)).all()
