"""Properties that every domain must have, and the errors of bad ones."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.errors import InputError
from sciml.geometry import Ball, Box, Disk, Interval, Mesh, Polygon, Rectangle, Time

XY = ("x", "y")
SQUARE = Rectangle(XY, (-0.5, -0.5), (0.5, 0.5))
L_VERTICES = [(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)]


def holes():
    domain = SQUARE
    for centre in ((0.3, 0.3), (-0.3, 0.3), (0.3, -0.3), (-0.3, -0.3)):
        domain = domain - Disk(XY, centre, 0.1).named("hole")
    return domain


PRIMITIVES = {
    "interval": (Interval("x", -1, 2), 3.0, 2.0),
    "rectangle": (Rectangle(XY, (0, 0), (2, 1)), 2.0, 6.0),
    "box": (Box(("x", "y", "z"), (0, 0, 0), (1, 2, 3)), 6.0, 22.0),
    "disk": (Disk(XY, (1, 1), 2), 4 * math.pi, 4 * math.pi),
    "ball": (Ball(("x", "y", "z"), (0, 0, 1), 1), 4 / 3 * math.pi, 4 * math.pi),
    "ball in 5-D": (Ball(tuple("abcde"), (0,) * 5, 1), 8 * math.pi**2 / 15, 8 * math.pi**2 / 3),
    "polygon": (Polygon(XY, L_VERTICES), 3.0, 8.0),
    "cylinder": (Disk(XY, (0, 0), 1) * Interval("z", 0, 2), 2 * math.pi, 4 * math.pi + 2 * math.pi),
}
COMBINATIONS = {
    "square with holes": (holes(), 1 - 0.04 * math.pi, 4 + 0.8 * math.pi),
    "L": (Rectangle(XY, (-1, -1), (1, 1)) - Rectangle(XY, (0, -1), (1, 0)), 3.0, 8.0),
    "union": (Disk(XY, (0, 0), 1) | Disk(XY, (3, 0), 1), 2 * math.pi, 4 * math.pi),
    "half disk": (Disk(XY, (0, 0), 1) & Rectangle(XY, (-2, 0), (2, 2)), math.pi / 2, math.pi + 2),
    "in time": (holes() * Time("t", 0, 2), 2 * (1 - 0.04 * math.pi), 2 * (4 + 0.8 * math.pi)),
}
DOMAINS = PRIMITIVES | COMBINATIONS


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("method", ["uniform", "sobol", "latin_hypercube"])
def test_interior_points_lie_inside_and_fill_the_domain(name, method):
    domain, volume, _ = DOMAINS[name]
    points = domain.sample(4000, generator(), method)
    assert points.shape == (4000, domain.dimension)
    assert (domain.signed_distance(points) <= 0).all()
    assert domain.contains(points).all()
    assert domain.volume == pytest.approx(volume, rel=1e-12 if name in PRIMITIVES else 2e-3)
    low, high = domain.bounds
    assert ((points.amax(0) - points.amin(0)) > 0.8 * (high - low)).all()


@pytest.mark.parametrize("name", DOMAINS)
def test_boundary_points_have_zero_distance_and_outward_unit_normals(name):
    domain, _, measure = DOMAINS[name]
    drawn = domain.sample_boundary(2000, generator())
    assert domain.signed_distance(drawn.points).abs().max() < 1e-12
    torch.testing.assert_close(drawn.normals.norm(dim=1), torch.ones(2000, dtype=torch.float64))
    step = 1e-6
    assert (domain.signed_distance(drawn.points + step * drawn.normals) > 0.99 * step).all()
    assert (domain.signed_distance(drawn.points - step * drawn.normals) < 0).double().mean() > 0.995  # but at corners
    exact = name in PRIMITIVES and name != "cylinder"  # whose ends are disks cut from squares
    assert domain.boundary_measure() == pytest.approx(measure, rel=1e-12 if exact else 2e-3)


@pytest.mark.parametrize("name", DOMAINS)
def test_boundary_points_are_uniform_by_measure(name):
    """The centroid of the boundary and Gauss's theorem: the volume is the flux of x / d."""
    domain, volume, measure = DOMAINS[name]
    if domain.time is not None:
        pytest.skip("ends of time are no boundary")
    drawn = domain.sample_boundary(20_000, generator(), method="sobol")
    flux = measure * (drawn.points * drawn.normals).sum(1).mean() / domain.dimension
    assert flux.item() == pytest.approx(volume, rel=0.02)


@pytest.mark.parametrize("name", PRIMITIVES)
def test_signed_distances_of_primitives_are_exact(name):
    """A distance function has a unit gradient, and no boundary point is nearer than it says."""
    domain, _, _ = PRIMITIVES[name]
    low, high = domain.bounds
    points = (low - 0.5 + (high - low + 1) * torch.rand(200, domain.dimension, dtype=torch.float64, generator=generator()))
    points.requires_grad_()
    distance = domain.signed_distance(points)
    (gradient,) = torch.autograd.grad(distance.sum(), points)
    torch.testing.assert_close(gradient.norm(dim=1), torch.ones(200, dtype=torch.float64), rtol=1e-6, atol=1e-6)
    boundary = domain.sample_boundary(20_000, generator()).points
    nearest = torch.cdist(points.detach(), boundary).amin(1)
    assert (nearest >= distance.detach().abs() - 1e-12).all()
    assert (nearest - distance.detach().abs()).median() < 0.05 * (high - low).norm()


@settings(max_examples=25, deadline=None)
@given(
    centre=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    radius=st.floats(0.05, 1.5),
    operation=st.sampled_from(["|", "&", "-"]),
)
def test_set_operations_are_boolean_logic(centre, radius, operation):
    disk, points = Disk(XY, centre, radius), torch.rand(500, 2, dtype=torch.float64, generator=generator()) * 4 - 2
    a, b = SQUARE.contains(points), disk.contains(points)
    expected = {"|": a | b, "&": a & b, "-": a & ~b}[operation]
    combined = {"|": SQUARE | disk, "&": SQUARE & disk, "-": SQUARE - disk}[operation]
    assert torch.equal(combined.contains(points), expected)
    assert torch.equal(combined.signed_distance(points) <= 0, expected)


def test_pieces_are_addressed_by_name():
    domain = holes()
    assert domain.boundary_names == ("left", "right", "bottom", "top", "hole")
    top = domain.sample_boundary(50, generator(), on="top")
    assert (top.points[:, 1] == 0.5).all()
    assert (top.normals == torch.tensor([0.0, 1.0], dtype=torch.float64)).all()
    hole = domain.sample_boundary(64, generator(), on=["hole"])
    assert ((hole.points.abs() - 0.3).norm(dim=1) - 0.1).abs().max() < 1e-12
    inward = -(hole.points.abs() - 0.3) * hole.points.sign()
    torch.testing.assert_close(hole.normals, inward / 0.1)
    assert domain.boundary_measure("hole") == pytest.approx(0.8 * math.pi)
    assert (domain.sample_boundary(9, generator(), on="x=-0.5").points[:, 0] == -0.5).all()


def test_products_of_intervals_name_their_sides_by_coordinate():
    domain = Interval("x", 0, 1) * Interval("y", 0, 2) * Time("t", 0, 3)
    assert domain.boundary_names == ("x=0", "x=1", "y=0", "y=2")
    assert domain.space.names == XY
    assert domain.time.names == ("t",)
    drawn = domain.sample_boundary(30, generator(), on="y=2")
    assert (drawn.points[:, 1] == 2).all()
    assert drawn.points[:, 2].max() > 2
    assert (drawn.normals[:, 2] == 0).all()
    assert (Interval("x", 0, 1) * Time("t", 0, 3)).sample_boundary(5, generator(), on="right").points[:, 0].eq(1).all()
    with pytest.raises(InputError, match="no boundary piece 'left'"):
        domain.sample_boundary(3, generator(), on="left")
    assert (Interval("x", 0, 1) * Time("t", 0, 3)).named("wall").boundary_names == ("wall",)


def test_initial_points_lie_in_space_at_the_initial_time():
    domain = holes() * Time("t", 1, 2)
    points = domain.sample_initial(100, generator())
    assert (points[:, 2] == 1).all()
    assert holes().contains(points[:, :2]).all()


def test_shares_of_pieces_follow_their_measure():
    drawn = Rectangle(XY, (0, 0), (3, 1)).sample_boundary(800, generator())
    assert (drawn.points[:, 1] == 1).sum() == 300
    assert (drawn.points[:, 0] == 3).sum() == 100


def test_corners_have_their_interior_angles():
    angles = dict(Polygon(XY, L_VERTICES).corners)
    assert angles[(1.0, 1.0)] == pytest.approx(1.5 * math.pi)
    assert sorted(angles.values())[:5] == pytest.approx([math.pi / 2] * 5)
    cut = Rectangle(XY, (-1, -1), (1, 1)) - Rectangle(XY, (0, -1), (1, 0))
    assert dict(cut.corners)[(0.0, 0.0)] == pytest.approx(1.5 * math.pi)


@pytest.mark.parametrize("method", ["uniform", "sobol", "latin_hypercube"])
def test_the_same_generator_draws_the_same_points(method):
    first, second = (holes().sample(100, generator(3), method) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, holes().sample(100, generator(4), method))


def test_low_discrepancy_beats_chance():
    exact = 1 / 3
    errors = {
        method: abs(SQUARE.sample(4096, generator(), method)[:, 0].add(0.5).square().mean().item() - exact)
        for method in ("uniform", "sobol", "latin_hypercube")
    }
    assert errors["sobol"] < errors["uniform"] / 10
    assert errors["latin_hypercube"] < errors["uniform"] / 10


def test_points_have_the_type_that_is_asked_for():
    assert holes().sample(10, generator(), dtype=torch.float32).dtype == torch.float32
    assert holes().sample_boundary(10, generator(), dtype=torch.float32).normals.dtype == torch.float32


def test_clockwise_polygons_are_turned_round():
    polygon = Polygon(XY, L_VERTICES[::-1])
    assert polygon.volume == 3.0
    drawn = polygon.sample_boundary(100, generator())
    assert (polygon.signed_distance(drawn.points + 1e-6 * drawn.normals) > 0).all()


def test_a_mesh_is_a_domain(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    trimesh.creation.box((1, 2, 3)).export(tmp_path / "box.stl")
    domain = Mesh(("x", "y", "z"), tmp_path / "box.stl")
    assert domain.volume == pytest.approx(6)
    assert domain.boundary_measure() == pytest.approx(22)
    pytest.importorskip("igl")
    exact = Box(("x", "y", "z"), (-0.5, -1, -1.5), (0.5, 1, 1.5))
    points = torch.rand(100, 3, dtype=torch.float64, generator=generator()) * 4 - 2
    torch.testing.assert_close(domain.signed_distance(points), exact.signed_distance(points), rtol=1e-6, atol=1e-6)
    drawn = domain.sample_boundary(200, generator())
    assert exact.signed_distance(drawn.points).abs().max() < 1e-6
    assert (exact.signed_distance(drawn.points + 1e-3 * drawn.normals) > 0).all()
    assert exact.contains(domain.sample(100, generator()), tolerance=1e-9).all()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Interval("x", 1, 0), "must run from a smaller to a larger number, got 1.0 to 0.0"),
        (lambda: Interval("x", 0, math.inf), "must run from a smaller"),
        (lambda: Rectangle(("x", "y", "z"), (0, 0, 0), (1, 1, 1)), "use Box"),
        (lambda: Box(("x", "y"), (0,), (1, 1)), "one number for each"),
        (lambda: Box(("x", "x"), (0, 0), (1, 1)), "must be different names"),
        (lambda: Disk(XY, (0, 0), -1), "radius=-1.0 must be positive"),
        (lambda: Disk(XY, (0, math.nan), 1), "finite numbers"),
        (lambda: Polygon(XY, [(0, 0), (1, 0)]), "at least three vertices"),
        (lambda: Polygon(XY, [(0, 0), (1, 1), (1, 0), (0, 1)]), "edges . and . cross"),
        (lambda: Polygon(XY, [(0, 0), (0, 0), (1, 0), (0, 1)]), "coincide"),
        (lambda: Interval("x", 0, 1) * Interval("x", 0, 1), "different coordinates"),
        (lambda: Time("t", 0, 1) * Time("s", 0, 1), "only one Time"),
        (lambda: SQUARE - Interval("x", 0, 1), "use \\* for different coordinates"),
        (lambda: (SQUARE - SQUARE).sample(5, generator()), "is empty"),
        (lambda: SQUARE.sample(0, generator()), "ask for at least one"),
        (lambda: SQUARE.sample(5, generator(), "sobel"), "did you mean 'sobol'"),
        (lambda: SQUARE.sample_boundary(5, generator(), on="tops"), "did you mean 'top'"),
        (lambda: SQUARE.sample_initial(5, generator()), "no Time factor"),
        (lambda: Mesh(("x", "y", "z"), "nowhere.stl"), "there is no file"),
    ],
)
def test_errors_name_the_argument_and_the_fix(build, message):
    with pytest.raises(InputError, match=message):
        build()
