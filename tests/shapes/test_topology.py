"""Solids on a grid get the pieces, handles and cavities that are asked for, where that takes least."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sciml import InputError
from sciml.shapes import Contour, Plane, Shape, Slices, euler_characteristic, reconstruct, slice_iou, slice_mesh, topology
from sciml.shapes.topology import betti_numbers, simplest, tetrahedral_surface, with_betti_numbers
from tests.shapes.solids import generator, shell, torus, torus_field, trimesh

AXIS = np.linspace(-1.6, 1.6, 41)
PLACES = np.stack(np.meshgrid(AXIS, AXIS, AXIS, indexing="ij"), axis=-1)
NOTHING = np.zeros(PLACES.shape[:-1], dtype=bool)


def ball(x, radius, y=0.0):
    return np.linalg.norm(PLACES - [x, y, 0.0], axis=-1) - radius


def bar(y, radius):
    """Along x, from one ball of ``dumbbell`` to the other."""
    return np.maximum(np.hypot(PLACES[..., 1] - y, PLACES[..., 2]) - radius, np.abs(PLACES[..., 0]) - 0.9)


def dumbbell(*bars):
    return np.minimum.reduce([ball(-0.9, 0.6), ball(0.9, 0.6), *bars])


def ring():
    return torus_field(PLACES.reshape(-1, 3)).reshape(NOTHING.shape)


def opened(width):
    """A ring with a gap."""
    return np.where(PLACES[..., 0] > 0, np.maximum(ring(), width - np.abs(PLACES[..., 1])), ring())


def random_field(seed, n=24):
    from scipy import ndimage

    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(n, n, n)), 2.0)
    field /= field.std()
    return np.pad(field[1:-1, 1:-1, 1:-1], 1, constant_values=2.0)


def changed(values, betti, keep=None):
    """The field with the asked topology, and the points that changed sides."""
    found = with_betti_numbers(values, betti, np.zeros(values.shape, dtype=bool) if keep is None else keep)
    assert betti_numbers(found < 0) == betti
    surface = trimesh.Trimesh(*tetrahedral_surface(found), process=False)
    assert surface.is_watertight and surface.is_winding_consistent and surface.volume > 0
    assert euler_characteristic(surface) == 2 * (betti[0] - betti[1] + betti[2])
    return PLACES[(found < 0) != (values < 0)] if found.shape == NOTHING.shape else (found < 0) != (values < 0)


def test_betti_numbers():
    assert betti_numbers(ball(0, 1) < 0) == (1, 0, 0)
    assert betti_numbers(ring() < 0) == (1, 1, 0)
    assert betti_numbers(np.abs(ball(0, 0.8)) - 0.3 < 0) == (1, 0, 1)
    assert betti_numbers(dumbbell() < 0) == (2, 0, 0)
    assert betti_numbers(dumbbell(bar(0.3, 0.1), bar(-0.3, 0.1)) < 0) == (1, 1, 0)
    # two points that share no edge of a tetrahedron
    apart = np.zeros((4, 4, 4), dtype=bool)
    apart[1, 2, 1] = apart[2, 1, 1] = True
    assert betti_numbers(apart) == (2, 0, 0)


@pytest.mark.parametrize("seed", range(3))
def test_the_surface_has_the_topology_and_the_volume_of_the_solid(seed):
    values = random_field(seed)
    pieces, handles, cavities = betti_numbers(values < 0)
    surface = trimesh.Trimesh(*tetrahedral_surface(values), process=False)
    assert surface.is_watertight and surface.is_winding_consistent
    assert euler_characteristic(surface) == 2 * (pieces - handles + cavities)
    assert handles > 3 and surface.volume == pytest.approx((values < 0).sum(), rel=0.1)


def test_the_surface_of_a_ball():
    surface = trimesh.Trimesh(*tetrahedral_surface(ball(0, 1)), process=False)
    assert surface.volume * (AXIS[1] - AXIS[0]) ** 3 == pytest.approx(4 / 3 * np.pi, rel=0.01)


@pytest.mark.parametrize("values", [ring(), np.abs(ball(0, 0.8)) - 0.3, random_field(0)], ids=["ring", "hollow", "tangle"])
def test_a_front_from_one_point_fills_what_it_can_of_a_solid_as_a_ball(values):
    inside = values < 0
    seed = np.zeros_like(inside)
    seed[np.unravel_index(values.argmin(), values.shape)] = True
    passed = topology._advance(values, seed, inside)
    assert betti_numbers(passed) == (1, 0, 0) and not (passed & ~inside).any()
    assert passed.sum() > 0.85 * inside.sum()


@pytest.mark.parametrize("betti", [(1, 0, 0), (1, 2, 0)])
@pytest.mark.parametrize("seed", range(3))
def test_a_tangle_becomes_simple(seed, betti):
    assert changed(random_field(seed), betti).mean() < 0.02


def test_nothing_changes_without_need():
    values = ring()
    assert with_betti_numbers(values, (1, 1, 0), NOTHING) is values


def test_the_thinner_of_two_bars_is_cut():
    places = changed(dumbbell(bar(0.3, 0.2), bar(-0.3, 0.1)), (1, 0, 0))
    assert len(places) and places[:, 1].max() < 0 and np.ptp(places[:, 0]) < 0.2


def test_a_hole_is_closed_where_that_takes_less_than_a_cut():
    pierced = np.maximum(np.abs(PLACES[..., 2]) - 0.15, np.hypot(PLACES[..., 0], PLACES[..., 1]) - 1.2)
    pierced = np.maximum(pierced, 0.1 - np.hypot(PLACES[..., 0] - 0.3, PLACES[..., 1]))
    places = changed(pierced, (1, 0, 0))
    assert np.hypot(places[:, 0] - 0.3, places[:, 1]).max() < 0.15


def test_pieces_are_joined_where_they_are_nearest():
    places = changed(dumbbell(), (1, 0, 0), keep=ball(0.9, 0.6) < 0)
    assert np.abs(places[:, 0]).max() < 0.35 and np.abs(places[:, 1:]).max() < 0.1


def test_a_speck_is_dropped_unless_it_is_known():
    values = np.minimum(ball(-0.6, 0.6), ball(1.2, 0.12))
    assert changed(values, (1, 0, 0))[:, 0].min() > 1
    joined = changed(values, (1, 0, 0), keep=ball(1.2, 0.12) < 0)
    assert joined[:, 0].min() < 0.2 and joined[:, 0].max() < 1.2


def test_a_ring_is_closed_at_its_gap():
    places = changed(opened(0.1), (1, 1, 0))
    assert places[:, 0].min() > 0 and np.abs(places[:, 1]).max() < 0.1


def test_a_hollow_is_filled():
    assert len(changed(np.abs(ball(0, 0.5)) - 0.4, (1, 0, 0)))


def test_what_cannot_be_reached_is_said():
    with pytest.raises(InputError, match=r"betti=\(3, 0, 0\): the solid has \(1, 0, 0\)"):
        with_betti_numbers(ball(0, 1), (3, 0, 0), NOTHING)


def test_the_simplest_solid_changes_only_what_is_undecided():
    values = dumbbell(bar(0.3, 0.2), bar(-0.3, 0.1))
    assert betti_numbers(simplest(values, NOTHING, lambda points: np.inf) < 0) == (1, 0, 0)
    thinner = simplest(values, NOTHING, lambda points: np.where(PLACES[points][:, 1] < 0, np.inf, 0))
    assert betti_numbers(thinner < 0) == (1, 0, 0) and PLACES[(thinner < 0) != (values < 0)][:, 1].max() < 0
    assert np.array_equal(simplest(values, NOTHING, lambda points: np.where(PLACES[points][:, 1] > 0, np.inf, 0)), values)


def test_the_simplest_solid_is_one_piece_without_cavities():
    assert betti_numbers(simplest(dumbbell(), NOTHING, lambda points: np.inf) < 0) == (1, 0, 0)
    assert betti_numbers(simplest(np.abs(ball(0, 0.5)) - 0.4, NOTHING, lambda points: np.inf) < 0) == (1, 0, 0)


def test_handles_that_planes_do_not_show_are_not_in_the_simplest_mesh():
    """Two rods along z, joined by two thick bars where a plane is, and by a thin one between two planes."""
    rods = [trimesh.creation.box((0.4, 0.4, 2.4), trimesh.transformations.translation_matrix((x, 0, 0))) for x in (-0.5, 0.5)]
    slices = slice_mesh(trimesh.util.concatenate(rods), 7)
    heights = np.sort(slices.heights)
    bars = [(heights[3], 0.15), (heights[5], 0.15), (heights[:2].mean(), 0.06)]  # height and half width

    def fields(points):
        x, y, z = points.double().abs().T
        rod = torch.maximum(torch.maximum((x - 0.5).abs(), y) - 0.2, z - 1.2)
        bars_ = [torch.maximum(torch.maximum((points[:, 2] - at).abs(), y) - half, x - 0.5) for at, half in bars]
        return torch.stack([rod, *bars_]).amin(0)[:, None]

    shape = Shape(slices, "rods", fields)
    assert [euler_characteristic(shape.mesh(64, betti=betti)) for betti in (None, "simplest", (1, 0, 0))] == [-2, 0, 2]


def test_the_simplest_solid_stays_out_of_others():
    """Two boxes that come near between planes, alone and with a sheet of another label between them."""
    boxes = [trimesh.creation.box((0.8, 1, 2), trimesh.transformations.translation_matrix((x, 0, 0))) for x in (-0.55, 0.55)]
    alone = slice_mesh(trimesh.util.concatenate(boxes), 5)
    sheet = slice_mesh(trimesh.creation.box((0.09, 1, 2)), alone.planes)
    planes = [
        Plane(p.normal, p.offset, (*p.contours, *(Contour(c.vertices, 2) for c in q.contours)))
        for p, q in zip(alone.planes, sheet.planes, strict=True)
    ]

    def fields(points):
        x, y, z = points.double().abs().T
        gap = 0.11 + 0.04 * torch.cos(5 * torch.pi * z)  # widest where the planes are
        around = torch.maximum(y - 0.5, z - 1.0)
        return torch.stack([torch.maximum(torch.maximum(gap - x, x - 0.95), around), torch.maximum(x - 0.045, around)], dim=1)

    for slices, euler in ((alone, 2), (Slices(planes), 4)):
        shape = Shape(slices, "boxes", lambda points, slices=slices: fields(points)[:, : len(slices.labels)])
        assert euler_characteristic(shape.mesh(64, 1, "simplest")) == euler


def test_a_mesh_with_the_handles_that_are_known():
    """Planes that miss the hole of a ring between them."""
    shape = reconstruct(slice_mesh(torus(), 5, (1, 0, 0)), "linear")
    assert [euler_characteristic(shape.mesh(48, betti=betti)) for betti in ((1, 1, 0), (1, 0, 0))] == [0, 2]
    hollow = reconstruct(slice_mesh(shell(), 9), "rbf", points=1000)
    assert euler_characteristic(hollow.mesh(48, betti=(1, 0, 1))) == 4
    for betti in ((1, 0), (0, 0, 0), (1, -1, 0), "simple"):
        with pytest.raises(InputError, match="betti must be numbers of pieces, handles and cavities"):
            shape.mesh(48, betti=betti)


def test_by_default_a_mesh_is_as_fine_as_the_planes_ask_for(monkeypatch):
    from sciml.shapes import shape as module

    slices = slice_mesh(torus(), 9, generator=generator())
    monkeypatch.setattr(module, "RESOLUTIONS", (16, 32, 64))
    shape = reconstruct(slices, "rbf", points=2000)
    found = shape.mesh()
    assert slice_iou(shape.mesh(16), slices) < module.AGREEMENT <= slice_iou(found, slices)
    assert found.metadata["resolution"] > 16
    monkeypatch.setattr(module, "AGREEMENT", 1.0)
    assert shape.mesh().metadata["resolution"] == 64
