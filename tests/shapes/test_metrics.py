from __future__ import annotations

import pytest

from sciml.shapes import Slices, dice, euler_characteristic, iou, slice_iou, slice_mesh, surface_distances
from sciml.shapes.metrics import missed_contours
from tests.shapes.solids import level, nested, shell, square, torus, trimesh


def box(size=(1, 1, 1), shift=0.0):
    mesh = trimesh.creation.box(size)
    mesh.vertices += [shift, 0, 0]
    return mesh


def test_overlap_of_boxes():
    assert iou(box(), box()) == 1
    assert iou(box(), box(shift=0.5)) == pytest.approx(1 / 3, abs=0.01)
    assert iou(box(), box(shift=3)) == 0
    inside_out = box()
    inside_out.invert()
    assert iou(inside_out, box()) == 1


def test_distances_are_to_the_surface_and_over_the_diagonal():
    same = surface_distances(torus(), torus(), 2**10)
    assert same["chamfer"] < 1e-7 and same["hausdorff"] < 1e-6
    assert same["normal_consistency"] == pytest.approx(1)
    balls = [trimesh.creation.icosphere(4, radius) for radius in (1.1, 1.0)]
    found = surface_distances(*balls, 2**12)
    diagonal = 2 * 3**0.5
    assert found["chamfer"] == pytest.approx(0.1 / diagonal, rel=0.01)
    assert found["hausdorff"] == pytest.approx(0.1 / diagonal, rel=0.05)
    assert found["normal_consistency"] > 0.99
    # the far end counts, whichever surface has it
    long, short = box((3, 1, 1)), box((1, 1, 1))
    assert surface_distances(long, short, 2**12)["hausdorff"] == pytest.approx(1 / 3**0.5, rel=0.01)
    assert surface_distances(short, long, 2**12)["hausdorff"] == pytest.approx(1 / 11**0.5, rel=0.01)


def test_euler_characteristic():
    assert euler_characteristic(box()) == 2 and euler_characteristic(torus()) == 0
    assert euler_characteristic(shell()) == 4


def test_agreement_on_planes():
    slices = nested(1, levels=(-0.2, 0.1))
    assert slice_iou(box(), slices) == 1 and dice(box(), slices) == 1
    assert slice_iou(box(shift=0.5), slices) == pytest.approx(1 / 3, abs=0.02)
    assert dice(box(shift=0.5), slices) == pytest.approx(1 / 2, abs=0.02)
    assert slice_iou(box(), nested(1, levels=(-0.2, 3))) == pytest.approx(1 / 2, abs=0.01)
    assert slice_iou(torus(), slice_mesh(torus(), 3, (1, 1, 1))) == 1


def test_what_no_point_of_the_planes_sees_is_no_agreement():
    specks = Slices([level(z, square(9, z, 2), square(1e-3, z, 1)) for z in (3, 4)])
    assert slice_iou(box(), specks, 1) == 0
    assert slice_iou(trimesh.Trimesh(), nested(1)) == 0


def test_contours_that_the_mesh_misses():
    levels = (-0.2, 0.1)

    def missed(*arguments):
        return len(missed_contours(*arguments))

    assert missed(box(), nested(1.1, levels=levels)) == missed(box(), nested(0.9, levels=levels)) == 0
    apart = Slices([level(z, square(1, z), square(0.1, z, centre=(2, 0))) for z in levels])
    assert missed(box(), apart) == 2 and missed(box(shift=2), apart) == 2
    assert missed_contours(box(), nested(1, 0.1, levels=levels)) == pytest.approx([0.01, 0.01])  # a hole that is filled
    assert missed(box(), nested(3, 2, 1, levels=levels)) == 0
    assert missed(box(), nested(3, 2, 0.9, 0.1, levels=levels)) == 2
    assert missed(box((1, 1.2, 1), 0.5), nested(3, 1, levels=(0.45,))) == 0  # half of the hole is filled
    assert missed(box(), nested(1, levels=(-0.2, 3))) == 1
    crossing = Slices([level(z, square(4, z, 1), square(1, z, 1, (3.5, 0)), square(1.2, z, 2, (3.5, 0))) for z in levels])
    assert crossing.winners(1) == (2,) and missed(box((4, 4, 1)), crossing, 1) == 0  # label 2 has it all
