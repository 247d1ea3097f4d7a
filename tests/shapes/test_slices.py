from __future__ import annotations

import numpy as np
import pytest

from sciml.errors import InputError
from sciml.shapes import Contour, Plane, Slices, slice_mesh
from tests.shapes.solids import generator, level, nested, square, torus

Z = np.array([0.0, 0.0, 1.0])
PLACES = np.array([[0.0, 0, 0], [0.8, 0, 0], [1.3, 0, 0], [1.9, 0, 0], [2.5, 0, 0]])


@pytest.mark.parametrize(
    ("sides", "inside"),
    [
        ((4,), [True, True, True, True, False]),
        ((4, 3), [False, False, False, True, False]),
        ((4, 3, 2), [True, True, False, True, False]),
        ((4, 3, 2, 1), [False, True, False, True, False]),
    ],
)
def test_islands_in_holes_are_filled_by_parity(sides, inside):
    slices = nested(*sides)
    assert slices.occupancy(PLACES, 0).tolist() == inside and slices.repairs == ()
    axis = np.linspace(-2.2, 2.2, 45)
    raster = slices.raster(0, 1, axis, axis)
    points = slices.planes[0].frame.lift(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2))
    assert (raster.ravel() == slices.occupancy(points, 0)).all()


def test_orientation_of_the_loops_is_of_no_account():
    turned = Slices([level(z, square(4, z, reverse=True), square(3, z)) for z in (0, 1)])
    assert turned.occupancy(PLACES, 0).tolist() == [False, False, False, True, False]


def test_planes_of_any_orientation_keep_their_contours():
    slices = slice_mesh(torus(), 6, generator=generator())
    assert not slices.parallel and slice_mesh(torus(), 3, (1, 2, 3)).parallel
    for plane in slices.planes:
        assert np.abs(plane.vertices @ plane.normal - plane.offset).max() < 1e-12
        u, v = plane.frame.axes
        np.testing.assert_allclose(np.cross(u, v), plane.normal, atol=1e-12)
        np.testing.assert_allclose(plane.frame.lift(plane.frame.flatten(plane.vertices)), plane.vertices, atol=1e-12)
    radial = np.array([[1.0, 0, 0], [0, 1.2, 0], [0, 0, 0], [0.5, 0, 0]])
    middle = slice_mesh(torus(), [Plane(Z, 0.0)])
    assert middle.occupancy(radial, 0).tolist() == [True, True, False, False]


def test_an_empty_plane_is_kept():
    slices = Slices([level(0, square()), level(1)])
    assert len(slices) == 2 and slices.planes[1].contours == ()
    assert not slices.occupancy(PLACES, 1).any()
    assert len(slice_mesh(torus(), [Plane(Z, 0.1), Plane(Z, 3.0)])) == 2


def test_labels_by_number_and_by_name():
    slices = Slices([level(z, square(1, z, 3), square(1, z, 7, (5, 0))) for z in (0, 1)], {3: "heart", 7: "liver", 9: "lung"})
    assert slices.labels == (3, 7) and slices.label("liver") == 7 and slices.label(3) == 3
    assert slices.repairs == ("no contour has the label lung",)
    here = np.array([[0.0, 0, 0], [5, 0, 0], [2, 0, 0]])
    assert slices.occupancy(here, 0).tolist() == [True, True, False]
    assert slices.occupancy(here, 0, "heart").tolist() == [True, False, False]
    alike = Slices(slices.planes, {3: "node", 7: "node"})
    assert alike.names == {3: "node 3", 7: "node 7"}
    with pytest.raises(InputError, match="'livre' does not occur; did you mean 'liver'"):
        slices.label("livre")
    with pytest.raises(InputError, match="label must be given, one of heart, liver"):
        slices.label(None)


def test_of_overlapping_labels_the_smaller_is_cut_out():
    slices = Slices([level(z, square(4, z, 1), square(2, z, 2)) for z in (0, 1)], {1: "body", 2: "organ"})
    assert slices.repairs == ("organ overlaps body and is cut out of it, being the smaller",)
    here = np.array([[0.0, 0, 0], [1.5, 0, 0]])
    assert slices.occupancy(here, 0, "body").tolist() == [False, True]
    assert slices.occupancy(here, 0, "organ").tolist() == [True, False]


def off_plane(away, tilt=0.0):
    ring = np.array([[np.cos(a), np.sin(a), away + tilt * np.cos(a)] for a in np.linspace(0, 6, 30)])
    return Plane(Z, 0.0, (Contour(ring), Contour(0.5 * ring + [0, 0, away / 2])))


def test_vertices_off_their_plane():
    def repair(plane):
        slices = Slices([plane, level(3, square(1, 3))])
        (text,) = slices.repairs
        first = slices.planes[0]
        assert np.abs(first.vertices @ first.normal - first.offset).max() < 1e-9
        return text, first

    text, plane = repair(off_plane(0.5))
    assert "plane 1: vertices lay up to 0.5 off it; the plane was moved" in text
    assert plane.offset == pytest.approx(0.5) and plane.normal.tolist() == [0, 0, 1]
    text, plane = repair(off_plane(0.0, 0.5))
    assert "refitted" in text and plane.normal[0] == pytest.approx(-0.5 / 1.25**0.5)
    bent = Contour(np.array([[0, 0, 0], [1, 0, 0.4], [1, 1, 0], [0, 1, 0.4]]))
    with pytest.raises(InputError, match=r"plane 1: its vertices lie up to 0.2 off every plane"):
        Slices([Plane(Z, 0.0, (bent,)), level(3, square(1, 3))])


def test_rounding_and_a_normal_of_any_length_are_no_repair():
    loop = square(4, 2.0).vertices + np.random.default_rng(0).normal(0, 1e-8, (4, 3))
    slices = Slices([Plane(10 * Z, 20.0, (Contour(loop),)), level(0)])
    assert slices.repairs == () and slices.planes[0].offset == pytest.approx(2)


def contours_with(*loops):
    return Slices([level(0, *(Contour(np.array([(x, y, 0.0) for x, y in loop])) for loop in loops)), level(1)])


def test_what_encloses_nothing_is_left_out_in_so_many_words():
    ring = [(0, 0), (1, 0), (1, 1), (0, 1)]
    slices = contours_with([*ring, ring[0]], [(2, 2), (3, 3)], [(4, 4), (5, 5), (6, 6)])
    assert slices.repairs == (
        "plane 1: contour 2 encloses no area and was left out",
        "plane 1: contour 3 encloses no area and was left out",
        "plane 1: 1 repeated vertices were left out",
    )
    assert [len(contour.vertices) for contour in slices.planes[0].contours] == [4]


def test_a_contour_that_crosses_itself_is_filled_by_parity():
    slices = contours_with([(0, 0), (2, 2), (2, 0), (0, 2)])
    assert slices.repairs == ("contours of label 1 on plane 1 cross; filled by the even-odd rule",)
    here = np.array([[0.2, 1, 0], [1.8, 1, 0], [1, 0.2, 0]])
    assert slices.occupancy(here, 0).tolist() == [True, True, False]
    assert contours_with([(0, 0), (2, 0), (2, 2), (0, 2)], [(1, 1), (3, 1), (3, 3), (1, 3)]).repairs


def test_a_keyhole_does_not_cross():
    ring = [(0, 0), (4, 0), (4, 4), (0, 4), (0, 0), (1, 1), (1, 3), (3, 3), (3, 1), (1, 1)]
    slices = contours_with(ring)
    assert slices.repairs == ()
    assert slices.occupancy(np.array([[0.5, 2, 0], [2, 2.2, 0]]), 0).tolist() == [True, False]


def test_a_contour_given_twice_is_kept_once():
    corners = [(0, 0), (2, 0), (2, 2), (0, 2)]
    again = [corners[2:] + corners[:2], corners[::-1], [(0, 0), (1, 0), *corners[1:]]]
    for loop in again:
        slices = contours_with(corners, loop)
        assert slices.repairs == ("plane 1: 1 contours that repeat others were left out",)
        assert slices.occupancy(np.array([[1.0, 1, 0]]), 0).all()
    slices = contours_with(*again, [(0.5, 0.5), (1.5, 0.5), (1.5, 1.5), (0.5, 1.5)])
    assert slices.repairs == ("plane 1: 2 contours that repeat others were left out",)
    assert slices.occupancy(np.array([[0.2, 1, 0], [1, 1, 0]]), 0).tolist() == [True, False]
    two_labels = Slices([level(z, square(2, z, 1), square(2, z, 2)) for z in (0, 1)])
    assert [len(plane.contours) for plane in two_labels.planes] == [2, 2]


def test_contours_that_cancel_everywhere_are_refused():
    whole, left, right = [(0, 0), (2, 0), (2, 2), (0, 2)], [(0, 0), (1, 0), (1, 2), (0, 2)], [(1, 0), (2, 0), (2, 2), (1, 2)]
    with pytest.raises(InputError, match=r"contours of label 1 enclose no area on any plane: .* give the outline"):
        contours_with(whole, left, right)
    thin = [(1e-4, 1e-4), (2 - 1e-4, 1e-4), (2 - 1e-4, 2 - 1e-4), (1e-4, 2 - 1e-4)]
    assert contours_with(whole, thin).repairs == ()
    there_and_back = contours_with([(0, 0), (1, 0), (1, 1), (1, 0)], whole)
    assert there_and_back.repairs == ("plane 1: contour 1 encloses no area and was left out",)


@pytest.mark.parametrize("turn", [0.0, 0.7])
@pytest.mark.parametrize(
    ("side", "shift", "crosses"), [(2, (1, 0), True), (2, (2, 0), False), (2, (2, 1), False), (1, (0.5, 0), False)]
)
def test_contours_that_share_edges_cross_where_they_share_area(turn, side, shift, crosses):
    cos, sin = np.cos(turn), np.sin(turn)
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    contours = (square(2), square(side, centre=shift))
    slices = Slices([level(0, *(Contour(contour.vertices @ rotation) for contour in contours)), level(1)])
    found = "contours of label 1 on plane 1 cross; filled by the even-odd rule"
    assert slices.repairs == ((found,) if crosses else ())


def test_coincident_planes_are_one():
    slices = Slices([level(0, square(4)), Plane(-Z, 0.0, (square(2), square(4))), level(1)])
    assert len(slices) == 2 and slices.repairs == (
        "plane 2 coincides with plane 1 and was merged with it",
        "plane 1: 1 contours that repeat others were left out",
    )
    assert slices.occupancy(PLACES, 0).tolist() == [False, False, True, True, False]


def test_mistakes():
    with pytest.raises(InputError, match="at least one plane"):
        Slices([])
    broken = square(1)
    broken.vertices[2, 1] = np.nan
    with pytest.raises(InputError, match=r"plane 2, contour 1: vertex 2 is .*nan.*, not finite"):
        Slices([level(1), level(0, broken)])
    with pytest.raises(InputError, match="normal"):
        Slices([Plane(np.zeros(3), 0.0)])
    with pytest.raises(InputError, match=r"vertices must be \(n, 3\)"):
        Slices([level(0, Contour(np.zeros((4, 2))))])
    with pytest.raises(InputError, match="every plane is empty"):
        _ = Slices([level(0), level(1)]).bounds


def test_a_surface_is_cut_into_closed_loops():
    slices = slice_mesh(torus(), 5, (0, 0, 1))
    assert [len(plane.contours) for plane in slices.planes] == [2] * 5 and slices.repairs == ()
    assert [plane.offset for plane in slices.planes] == pytest.approx([-0.32, -0.16, 0, 0.16, 0.32])
    radii = np.linalg.norm(slices.planes[3].vertices[:, :2], axis=1)
    assert np.ptp(np.round(radii, 2)) == pytest.approx(2 * (0.16 - 0.0256) ** 0.5, abs=0.02)
    assert np.ptp(slice_mesh(torus(), 4).bounds[0]) > 0 and slice_mesh(torus(), 4).planes[0].normal.tolist() == [1, 0, 0]
    opened = torus()
    opened.update_faces(np.arange(len(opened.faces)) > 200)
    with pytest.raises(InputError, match="not closed"):
        slice_mesh(opened, 15)
    with pytest.raises(InputError, match="planes must be at least 1, got 0"):
        slice_mesh(torus(), 0)


def test_some_of_the_planes():
    slices = slice_mesh(torus(), 5)
    assert [plane.offset for plane in slices.take([0, 3]).planes] == [slices.planes[k].offset for k in (0, 3)]
