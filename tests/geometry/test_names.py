from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import torch

from sciml.errors import InputError
from sciml.geometry import Ball, Box, Disk, Interval, Polygon, Product, Rectangle, Time
from tests.geometry.shapes import DOMAINS, L_VERTICES, SQUARE, XY, XYZ, generator, holed


def drawn_from(domain, on):
    return domain.sample_boundary(40, generator(), on=on).points


@pytest.mark.parametrize(
    ("domain", "names"),
    [
        (Interval("x", -1, math.pi), ("left", "right", "x=-1", "x=3.14159")),
        (Interval("x", -0.0, 0.5), ("left", "right", "x=0", "x=0.5")),
        (Interval("d", 2459000.25, 2459000.5), ("left", "right", "d=2459000.2", "d=2459000.5")),
        (Time("t", 0, 1), ()),
        (Rectangle(XY, (0, 1), (2, 3)), ("left", "right", "bottom", "top", "x=0", "x=2", "y=1", "y=3")),
        (Box(XYZ, (0, 0, 0), (1, 1, 1)), ("x=0", "x=1", "y=0", "y=1", "z=0", "z=1")),
        (Interval("x", 0, 1) * Interval("y", 0, 1), ("x=0", "x=1", "y=0", "y=1")),
        (Interval("x", 0, 1) * Time("t", 0, 1), ("left", "right", "x=0", "x=1")),
        (
            Rectangle(XY, (0, 0), (1, 1)) * Interval("z", 0, 1),
            ("bottom", "top", "x=0", "x=1", "y=0", "y=1", "z=0", "z=1"),
        ),
        (Disk(XY, (0, 0), 1), ("circle",)),
        (Ball(XYZ, (0, 0, 0), 1), ("sphere",)),
        (Polygon(XY, [(0, 0), (1, 0), (0, 1)]), ("edge0", "edge1", "edge2")),
        (SQUARE.named("wall"), ("wall",)),
        (holed(SQUARE.named("wall")) * Time("t", 0, 1), ("wall", "hole")),
        ((Interval("x", 0, 1) * Time("t", 0, 1)).named("wall"), ("wall",)),
        (Interval("x", 0, 3) - Interval("x", 1, 2), ("left", "right", "x=0", "x=3", "x=1", "x=2")),
    ],
)
def test_boundary_names(domain, names):
    assert domain.boundary_names == names
    for name in names:
        points = drawn_from(domain, name)
        assert domain.signed_distance(points).abs().max() < 1e-9
        assert domain.boundary_distance(points, on=name).max() < 1e-9


def test_ends_and_sides():
    interval = Interval("x", -1, 2)
    for name, value in {"left": -1, "x=-1": -1, "right": 2, "x=2": 2}.items():
        points, normals = interval.sample_boundary(3, generator(), on=name)
        assert (points == value).all() and (normals == (1 if value > 0 else -1)).all()
    rectangle = Rectangle(XY, (0, 1), (2, 3))
    sides = {"left": (0, 0), "right": (0, 2), "bottom": (1, 1), "top": (1, 3), "x=2": (0, 2), "y=1": (1, 1)}
    for name, (axis, value) in sides.items():
        points, normals = rectangle.sample_boundary(9, generator(), on=name)
        assert (points[:, axis] == value).all() and points[:, 1 - axis].std() > 0.1
        assert (normals[:, axis] == (1 if value in (2, 3) else -1)).all()
        assert rectangle.boundary_measure(name) == 2


@pytest.mark.parametrize("name", ["x=0.0", "x=-0", f"x={math.pi}", "x=3.14159", "x=3.141593"])
def test_an_end_may_be_written_with_any_digits(name):
    domain = Interval("x", 0, math.pi) * Time("t", 0, 1)
    end = math.pi if "3" in name else 0.0
    assert (domain.sample_boundary(3, generator(), on=name).points[:, 0] == end).all()


def test_edges_of_a_polygon_run_from_vertex_to_vertex_in_either_sense():
    for vertices in (L_VERTICES, L_VERTICES[::-1]):
        polygon = Polygon(XY, vertices)
        for i, start in enumerate(vertices):
            end = vertices[(i + 1) % len(vertices)]
            points = drawn_from(polygon, f"edge{i}")
            ends = torch.tensor([start, end], dtype=torch.float64)
            torch.testing.assert_close(torch.cdist(points, ends).sum(1), torch.full((40,), math.dist(start, end)).double())
            assert polygon.boundary_measure(f"edge{i}") == pytest.approx(math.dist(start, end))


def test_several_pieces():
    points = drawn_from(holed(), ["hole", "top"])
    on_top = points[:, 1] == 0.5
    assert on_top.any() and not on_top.all()
    assert holed().boundary_measure(("hole", "top")) == pytest.approx(1 + 0.8 * math.pi)


def test_a_subtracted_shape_has_no_left_side():
    """Its sides answer to their coordinates, or to a name."""
    square, hole = Rectangle(XY, (0, 0), (3, 3)), Rectangle(XY, (1, 1), (2, 2))
    assert (drawn_from(square - hole, "left")[:, 0] == 0).all()
    points, normals = (square - hole).sample_boundary(40, generator(), on="x=1")
    assert (points[:, 0] == 1).all() and (normals[:, 0] == 1).all()
    assert (square - hole).boundary_distance(torch.tensor([[0.5, 1.5]]), on="left").item() == 0.5
    named = square - hole.named("hole")
    assert named.boundary_measure("hole") == 4 and named.boundary_names[-1] == "hole"


def test_shapes_of_one_name_make_one_piece():
    both = Disk(XY, (0, 0), 1) | Disk(XY, (3, 0), 1)
    assert both.boundary_measure("circle") == pytest.approx(4 * math.pi)
    adjacent = Rectangle(XY, (0, 0), (1, 1)) | Rectangle(XY, (1, 0), (2, 1))
    assert adjacent.boundary_measure("bottom") == pytest.approx(2)
    assert adjacent.boundary_measure("left") == pytest.approx(1)
    assert drawn_from(adjacent, "bottom")[:, 0].max() > 1.5


def test_coincident_boundaries_belong_to_the_left_shape_and_count_once():
    step = DOMAINS["step"][0]
    assert step.boundary_measure("top") == pytest.approx(2, rel=1e-3)
    assert step.boundary_measure("left") == pytest.approx(1, rel=1e-3)
    assert step.boundary_measure("y=1") == pytest.approx(2, rel=1e-3)
    disk = Disk(XY, (0, 0), 1)
    for same in (disk | disk.named("other"), disk & disk.named("other")):
        assert same.boundary_measure() == pytest.approx(2 * math.pi)
        assert same.boundary_measure("other") == 0


def test_names_survive_products_and_further_combinations():
    domain = (holed() * Interval("z", 0, 1) - Ball(XYZ, (0, 0, 0.5), 0.1).named("bubble")) * Time("t", 0, 2)
    assert {"hole", "bubble", "z=1", "top"} <= set(domain.boundary_names)
    points, normals = domain.sample_boundary(30, generator(), on="bubble")
    torch.testing.assert_close(normals[:, :3], (torch.tensor([0, 0, 0.5]) - points[:, :3]) / 0.1)
    assert domain.space.boundary_measure("hole") == pytest.approx(0.8 * math.pi, rel=1e-3)


@pytest.mark.parametrize("name", ["left", "top", "right"])
def test_an_ambiguous_side_asks_which(name):
    domain = Interval("x", 0, 1) * Interval("y", 0, 2) * Time("t", 0, 1)
    message = r"'left' .* fits several coordinates; choose one of x=0, x=1, y=0, y=2"
    with pytest.raises(InputError, match=message if name == "left" else f"'{name}'"):
        domain.sample_boundary(3, generator(), on=name)


def test_an_ambiguous_side_stays_out_of_combinations():
    intervals = Interval("x", 0, 1) * Interval("y", 0, 1)
    domain = Rectangle(XY, (-1, 0), (1, 1)) | intervals
    assert domain.boundary_measure("left") == pytest.approx(1)
    assert (drawn_from(domain, "left")[:, 0] == -1).all()
    assert intervals.named("wall").boundary_measure("wall") == 4


def test_naming_leaves_the_original_alone_and_keeps_the_name_in_space():
    disk = Disk(XY, (0, 0), 1)
    assert disk.named("hole") != disk and disk.boundary_names == ("circle",)
    assert (disk * Time("t", 0, 1)).named("wall").space.boundary_names == ("wall",)
    with pytest.raises(InputError, match="circle"):
        disk.named("hole").boundary_measure("circle")


def test_factors_space_and_time():
    x, y, t = Interval("x", 0, 1), Interval("y", 0, 1), Time("t", 0, 1)
    domain = x * y * t
    assert domain.factors == (x, y, t) == (x * (y * t)).factors
    assert domain.names == ("x", "y", "t") and domain.dimension == 3
    assert domain.space == x * y and domain.time == t and t.is_time and not x.is_time
    assert (t * x).space == x and t.space is None and t.time is t and x.space is x and x.time is None
    assert ((x * t).named("wall") * y).space == x.named("wall") * y
    low, high = (Interval("x", -1, 2) * Rectangle(("y", "z"), (3, 4), (5, 6))).bounds
    assert low.tolist() == [-1, 3, 4] and high.tolist() == [2, 5, 6] and low.dtype == torch.float64


def test_bounds_of_combinations():
    a, b = Rectangle(XY, (0, 0), (2, 2)), Disk(XY, (2, 1), 1)
    for domain, low, high in ((a | b, [0, 0], [3, 2]), (a & b, [1, 0], [2, 2]), (a - b, [0, 0], [2, 2])):
        assert [bound.tolist() for bound in domain.bounds] == [low, high]


@pytest.mark.parametrize("name", DOMAINS)
def test_domains_are_values(name):
    domain, _, _ = DOMAINS[name]
    text = repr(domain)
    if "<" not in text:
        assert eval(text) == domain
    for other in (copy.deepcopy(domain), pickle.loads(pickle.dumps(domain))):
        assert other == domain and hash(other) == hash(domain)
    assert domain.named("a") != domain.named("b") and domain.named("a") == domain.named("a")
    assert eval(repr(domain.named("a"))) == domain.named("a")
    with pytest.raises(AttributeError):
        domain.names = ("a",)


def test_text_of_a_domain():
    assert repr(Interval("x", 0, 1) * Time("t", 0, 1)) == "Interval('x', 0.0, 1.0) * Time('t', 0.0, 1.0)"
    a, b = Disk(XY, (0, 0), 1), Disk(XY, (1, 0), 1)
    text = "Disk(('x', 'y'), (0.0, 0.0), 1.0)", "Disk(('x', 'y'), (1.0, 0.0), 1.0)"
    assert repr((a | b) - b.named("hole")) == f"({text[0]} | {text[1]}) - {text[1]}.named('hole')"
    assert repr(((a - b) * Time("t", 0, 1)).named("w")) == f"(({text[0]} - {text[1]}) * Time('t', 0.0, 1.0)).named('w')"
    circle = [(math.cos(0.1 * k), math.sin(0.1 * k)) for k in range(60)]
    assert repr(Polygon(XY, circle)) == "Polygon(('x', 'y'), <60 vertices>)"


def test_numbers_may_come_as_arrays():
    assert Box(XYZ, np.zeros(3), torch.ones(3)) == Box(XYZ, (0, 0, 0), (1, 1, 1))
    assert Polygon(list(XY), np.array(L_VERTICES)) == Polygon(XY, L_VERTICES)
    assert Polygon(XY, [*L_VERTICES, L_VERTICES[0]]) == Polygon(XY, L_VERTICES)
    assert Product([Interval("x", 0, 1)]).names == ("x",)
