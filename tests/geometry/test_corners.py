from __future__ import annotations

import math

import pytest

from sciml.geometry import Ball, Disk, Interval, Polygon, Rectangle, Time
from tests.geometry.shapes import L_VERTICES, STAR_VERTICES, XY, XYZ

RIGHT, REENTRANT = math.pi / 2, 3 * math.pi / 2
L_ANGLES = [REENTRANT if vertex == (1, 1) else RIGHT for vertex in L_VERTICES]


def table(domain):
    return {tuple(round(c, 9) + 0.0 for c in point): angle for point, angle in domain.corners}


@pytest.mark.parametrize("vertices", [L_VERTICES, L_VERTICES[::-1]])
def test_corners_of_a_polygon_come_in_order_with_interior_angles(vertices):
    corners = Polygon(XY, vertices).corners
    assert [corner.point for corner in corners] == [*vertices]
    expected = dict(zip(L_VERTICES, L_ANGLES, strict=True))
    assert [corner.angle for corner in corners] == pytest.approx([expected[vertex] for vertex in vertices])


def test_angles_add_up():
    angles = [corner.angle for corner in Polygon(XY, STAR_VERTICES).corners]
    assert sum(angles) == pytest.approx(8 * math.pi) and len(angles) == 10
    assert sum(angle > math.pi for angle in angles) == 5


def test_a_vertex_on_a_straight_edge_is_no_corner():
    assert len(Polygon(XY, [(0, 0), (1, 0), (2, 0), (2, 1), (0, 1)]).corners) == 4


def test_a_triangle():
    angles = [angle for _, angle in Polygon(XY, [(0, 0), (1, 0), (0, math.sqrt(3))]).corners]
    assert angles == pytest.approx([math.pi / 2, math.pi / 3, math.pi / 6])


@pytest.mark.parametrize("square", [Rectangle(XY, (0, 0), (2, 1)), Interval("x", 0, 2) * Interval("y", 0, 1)])
def test_corners_of_a_rectangle(square):
    assert table(square) == pytest.approx(dict.fromkeys([(0, 0), (2, 0), (2, 1), (0, 1)], RIGHT))


@pytest.mark.parametrize(
    "domain",
    [
        Rectangle(XY, (0, 0), (2, 2)) - Rectangle(XY, (1, 1), (2, 2)),
        Rectangle(XY, (0, 0), (2, 2)) - Rectangle(XY, (1, 1), (3, 3)),
        Rectangle(XY, (0, 0), (2, 1)) | Rectangle(XY, (0, 0), (1, 2)),
        Rectangle(XY, (0, 0), (2, 1)) | Rectangle(XY, (0, 1), (1, 2)),
        Polygon(XY, L_VERTICES) & Rectangle(XY, (-1, -1), (3, 3)),
    ],
)
def test_an_l_shape_has_the_same_corners_however_it_is_made(domain):
    assert table(domain) == pytest.approx(dict(zip(L_VERTICES, L_ANGLES, strict=True)))


def test_corners_of_a_hole_are_re_entrant():
    domain = Rectangle(XY, (0, 0), (3, 3)) - Polygon(XY, [(1, 1), (2, 1), (1, 2)])
    assert table(domain)[(1, 1)] == pytest.approx(REENTRANT)
    assert table(domain)[(2, 1)] == pytest.approx(7 * math.pi / 4)
    assert len(domain.corners) == 7


def test_corners_where_edges_cross():
    cross = Rectangle(XY, (-3, -1), (3, 1)) | Rectangle(XY, (-1, -3), (1, 3))
    angles = table(cross)
    assert len(angles) == 12
    assert {p for p, angle in angles.items() if angle > math.pi} == {(1, 1), (1, -1), (-1, 1), (-1, -1)}


def test_a_disk_removes_corners_and_has_none():
    assert Disk(XY, (0, 0), 1).corners == []
    assert set(table(Rectangle(XY, (0, 0), (2, 2)) - Disk(XY, (0, 0), 1))) == {(2, 0), (2, 2), (0, 2)}


def test_only_plane_shapes_have_corners():
    assert Ball(XYZ, (0, 0, 0), 1).corners == Interval("x", 0, 1).corners == []
    assert (Interval("x", 0, 1) * Time("t", 0, 1)).corners == []
    assert len((Polygon(XY, L_VERTICES) * Time("t", 0, 1)).space.corners) == 6
