from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pytest
import torch

from sciml.errors import InputError
from sciml.shapes import (
    Contour,
    Slices,
    choose,
    euler_characteristic,
    iou,
    load_mesh,
    read_slices,
    reconstruct,
    slice_iou,
    slice_mesh,
    write_ply,
)
from sciml.shapes.methods import linear, rbf
from sciml.shapes.surface import extract
from tests.shapes.solids import (
    BALL_VOLUME,
    TORUS_VOLUME,
    generator,
    level,
    nested,
    shell,
    square,
    torus,
    torus_field,
    trimesh,
    two_holes,
)


def sound(mesh):
    return mesh.is_watertight and mesh.is_winding_consistent and mesh.volume > 0


@pytest.mark.parametrize(("method", "random", "least"), [("rbf", False, 0.96), ("rbf", True, 0.96), ("linear", False, 0.95)])
def test_a_torus_from_15_planes(method, random, least):
    slices = slice_mesh(torus(), 15, generator=generator() if random else None)
    mesh = reconstruct(slices, method).mesh(56)
    assert sound(mesh) and euler_characteristic(mesh) == 0
    assert iou(mesh, torus(), 2**14) > least
    assert slice_iou(mesh, slices) > 0.97
    assert mesh.volume == pytest.approx(TORUS_VOLUME, rel=0.04)


@pytest.mark.parametrize("method", [linear, partial(rbf, points=1000)], ids=["linear", "rbf"])
def test_a_hollow_ball_keeps_its_hollow(method):
    mesh = reconstruct(slice_mesh(shell(), 12), method).mesh(40)
    assert sound(mesh) and euler_characteristic(mesh) == 4
    assert mesh.volume == pytest.approx(BALL_VOLUME * 0.875, rel=0.05)


def test_two_holes():
    solid = two_holes()
    assert euler_characteristic(solid) == -2
    mesh = reconstruct(slice_mesh(solid, 16), "rbf").mesh(56)
    assert sound(mesh) and euler_characteristic(mesh) == -2 and iou(mesh, solid, 2**14) > 0.94


@pytest.mark.parametrize("method", [linear, partial(rbf, points=1000)], ids=["linear", "rbf"])
def test_units_and_frame_are_the_inputs(method):
    near = reconstruct(slice_mesh(torus(), 7, (0, 0, 1)), method)
    far = reconstruct(slice_mesh(torus(2e3, 2e5), 7, (0, 0, 1)), method)
    places = np.random.default_rng(0).uniform(-1.5, 1.5, (400, 3)) * [1, 1, 0.4]
    same = near.occupancy(places) == far.occupancy(places * 2e3 + 2e5)
    assert same.mean() > 0.995 and 0.1 < near.occupancy(places).mean() < 0.9
    mesh = far.mesh(24)
    assert sound(mesh) and np.abs(mesh.vertices.mean(0) - 2e5).max() < 200


def test_tensors_stay_tensors():
    shape = reconstruct(slice_mesh(torus(), 5), "linear")
    points = torch.tensor([[1.0, 0, 0], [0, 0, 0], [50, 0, 0]], dtype=torch.float32)
    inside = shape.occupancy(points)
    assert inside.dtype == torch.bool and inside.tolist() == [True, False, False]
    assert shape.field(points).dtype == torch.float32
    with pytest.raises(InputError, match=r"points must be \(N, 3\), got \(2,\)"):
        shape.occupancy(points[0, :2])


@pytest.mark.parametrize("method", [linear, partial(rbf, points=1000)], ids=["linear", "rbf"])
def test_labels_do_not_overlap(method):
    """Two balls whose cross-sections touch, one of them around a third."""
    balls = [(1, -0.5, 0.5), (2, 0.45, 0.5), (3, -0.5, 0.2)]
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    levels = np.linspace(-0.45, 0.45, 9)
    planes = []
    for z in levels:
        contours = []
        for label, centre, radius in balls:
            if abs(z) < radius:
                r = (radius**2 - z**2) ** 0.5
                ring = np.column_stack([centre + r * np.cos(angles), r * np.sin(angles), np.full(40, z)])
                contours.append(Contour(ring, label))
        planes.append(level(z, *contours))
    shape = reconstruct(Slices(planes), method)
    points = np.random.default_rng(1).uniform(-1, 1, (6000, 3)) * [1.1, 0.6, 0.6]
    inside = np.stack([shape.occupancy(points, label) for label in (1, 2, 3)])
    assert inside.sum(0).max() == 1
    truth = np.stack([np.linalg.norm(points - [c, 0, 0], axis=1) < r for _, c, r in balls])
    truth[0] &= ~truth[2]
    truth[1] &= ~truth[0]
    for mine, exact in zip(inside, truth, strict=True):
        assert (mine & exact).sum() / (mine | exact).sum() > 0.7  # three planes cut the smallest
    assert (shape.occupancy(points) == inside.any(0)).mean() > 0.999
    with pytest.raises(InputError, match="label must be given, one of 1, 2, 3"):
        shape.mesh(16)
    with pytest.raises(InputError, match="label 8 does not occur"):
        shape.mesh(16, 8)
    meshes = [shape.mesh(32, label) for label in (1, 2, 3)]
    assert all(map(sound, meshes)) and [euler_characteristic(mesh) for mesh in meshes] == [4, 2, 2]


@pytest.mark.parametrize("method", [linear, partial(rbf, points=1000)], ids=["linear", "rbf"])
def test_an_empty_plane_parts_the_solid(method):
    whole = [level(z, square(2, z)) for z in (0.0, 1.0, 2.0, 3.0, 4.0)]
    parted = [level(2.0) if plane.offset == 2 else plane for plane in whole]
    middle = np.array([[0.0, 0, 2.0], [0.0, 0, 1.0]])
    assert reconstruct(Slices(whole), method).occupancy(middle).tolist() == [True, True]
    shape = reconstruct(Slices(parted), method)
    assert shape.occupancy(middle).tolist() == [False, True]
    assert euler_characteristic(shape.mesh(40)) == 4


def test_the_method_is_chosen_by_what_the_planes_allow():
    assert choose(slice_mesh(torus(), 15), "auto") == "rbf"
    assert choose(slice_mesh(torus(), 15, generator=generator()), "auto") == "rbf"
    assert choose(slice_mesh(torus(), 30, (0, 0, 1)), "auto") == "linear"


def test_a_method_of_ones_own():
    def ball(slices):
        return lambda points: points.norm(dim=1, keepdim=True) - 1

    shape = reconstruct(nested(1), ball)
    assert shape.method == "ball" and shape.occupancy(np.zeros((1, 3))).all()


def test_mistakes():
    slices = nested(1)
    with pytest.raises(InputError, match="no method 'rfb'; did you mean 'rbf'"):
        reconstruct(slices, "rfb")
    with pytest.raises(InputError, match="at least two planes"):
        reconstruct(slices.take([0]))
    with pytest.raises(InputError, match="every plane is empty"):
        reconstruct(Slices([level(0), level(1)]))
    with pytest.raises(InputError, match="needs parallel planes"):
        reconstruct(slice_mesh(torus(), 4, generator=generator()), "linear")
    with pytest.raises(InputError, match=r"resolution must be .* got 4"):
        reconstruct(slices, "linear").mesh(4)
    with pytest.raises(InputError, match=r"resolution must be .* got 0"):
        reconstruct(slices, "linear").mesh(0)
    nothing = reconstruct(slices, lambda _: lambda points: torch.ones(len(points), 1).to(points))
    with pytest.raises(InputError, match="encloses nothing at resolution 16"):
        nothing.mesh(16)


def counted(field, low, high, resolution, seeds):
    vertices, faces, evaluated = extract(field, np.array(low), np.array(high), resolution, np.array(seeds).reshape(-1, 3))
    return trimesh.Trimesh(vertices, faces, process=False), evaluated


def test_only_cells_near_the_surface_are_evaluated():
    mesh, evaluated = counted(torus_field, [-1.5, -1.5, -0.6], [1.5, 1.5, 0.6], 256, [])
    assert sound(mesh) and mesh.volume == pytest.approx(TORUS_VOLUME, rel=2e-3)
    assert evaluated < 0.1 * 257 * 257 * 105
    dense, _ = counted(
        torus_field, [-1.5, -1.5, -0.6], [1.5, 1.5, 0.6], 40, np.random.default_rng(0).uniform(-1.5, 1.5, (10**5, 3))
    )
    sparse, _ = counted(torus_field, [-1.5, -1.5, -0.6], [1.5, 1.5, 0.6], 40, [])
    np.testing.assert_allclose(dense.vertices, sparse.vertices, atol=1e-4)


def test_a_seed_finds_what_falls_between_coarse_points():
    def speck(points):
        return np.linalg.norm(points - 0.31, axis=1) - 0.04

    assert len(counted(speck, [-1] * 3, [1] * 3, 64, [])[0].faces) == 0
    mesh, _ = counted(speck, [-1] * 3, [1] * 3, 64, [[0.35, 0.31, 0.31]])
    assert sound(mesh) and euler_characteristic(mesh) == 2


def test_a_solid_that_reaches_the_box_ends_there():
    mesh, _ = counted(lambda points: np.hypot(points[:, 0], points[:, 1]) - 0.5, [-1, -1, -1], [1, 1, 1], 32, [])
    assert sound(mesh) and np.ptp(mesh.vertices[:, 2]) == pytest.approx(2, rel=0.05)


def test_a_surface_through_grid_points_is_closed():
    def box(points):
        return np.abs(points).max(1) - 0.5

    mesh, _ = counted(box, [-1] * 3, [1] * 3, 16, [])
    assert sound(mesh) and mesh.volume == pytest.approx(1, rel=0.1)  # its edges are cut


@pytest.mark.parametrize("suffix", ["ply", "obj", "stl", "glb"])
def test_meshes_survive_writing(tmp_path, suffix):
    mesh = reconstruct(slice_mesh(torus(10, 3), 9, (0, 0, 1)), "linear").mesh(40)
    mesh.export(tmp_path / f"shape.{suffix}")
    again = load_mesh(tmp_path / f"shape.{suffix}")
    assert sound(again) and again.volume == pytest.approx(mesh.volume, rel=1e-4)
    np.testing.assert_allclose(again.bounds, mesh.bounds, atol=1e-4)


@pytest.mark.parametrize(("scale", "shift", "stored"), [(1, 2e5, b"double"), (1, 20, b"float"), (1e3, 2e4, b"float")])
def test_a_solid_far_from_the_origin_stays_closed(tmp_path, scale, shift, stored):
    mesh = reconstruct(slice_mesh(torus(scale, shift), 7, (0, 0, 1)), "linear").mesh(48)
    write_ply(tmp_path / "far.ply", mesh)
    assert b"property " + stored + b" x" in (tmp_path / "far.ply").read_bytes()[:200]
    again = load_mesh(tmp_path / "far.ply")
    assert sound(again) and len(again.faces) == len(mesh.faces) and again.volume == pytest.approx(mesh.volume, rel=1e-4)


def test_contours_that_a_mesh_misses_are_told_and_larger_than_a_cell_ask_for_smaller_ones(monkeypatch):
    slices = Slices([level(z, square(1, z), square(0.08, z, centre=(3, 0))) for z in (0.0, 1.0, 2.0)])
    shape = reconstruct(slices, "linear")
    with pytest.warns(UserWarning, match="the mesh of 1 misses 3 of its 6 contours; raise the resolution, 16"):
        coarse = shape.mesh(16)
    assert coarse.body_count == 1 and coarse.metadata["missed"] == pytest.approx([0.0064] * 3)
    monkeypatch.setattr("sciml.shapes.shape.AGREEMENT", 0.5)
    monkeypatch.setattr("sciml.shapes.shape.missed_contours", lambda mesh, *_: [0.08**2])
    for first, taken in ((16, 16), (64, 96)):  # cells of 0.27 and 0.07
        monkeypatch.setattr("sciml.shapes.shape.RESOLUTIONS", (first, 96))
        with pytest.warns(UserWarning, match="misses 1"):
            assert shape.mesh().metadata["resolution"] == taken


@pytest.mark.parametrize("module", ["trimesh", "skimage.measure"])
def test_a_missing_package_names_the_extra(module, monkeypatch):
    shape = reconstruct(nested(1), "linear")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf"needs {module.partition('.')[0]}; .*\[shapes\]"):
        shape.mesh(16)


@pytest.mark.filterwarnings("ignore:the mesh of . misses")  # single voxels
def test_neighbouring_organs_do_not_overlap(tmp_path):
    nibabel, igl = pytest.importorskip("nibabel"), pytest.importorskip("igl")
    image = pytest.importorskip("pyvista.examples").load_frog_tissues()
    organs = np.asarray(image.active_scalars).reshape(image.dimensions, order="F")
    organs = np.where(np.isin(organs, (4, 5)), organs, 0)  # the two lie against each other
    organs = organs[tuple(slice(max(a.min() - 4, 0), a.max() + 5) for a in np.nonzero(organs))].astype(np.int16)
    drawn = np.zeros_like(organs)
    drawn[:, :, ::5] = organs[:, :, ::5]
    nibabel.save(nibabel.Nifti1Image(drawn, np.diag([*image.spacing, 1.0])), tmp_path / "organs.nii.gz")
    slices = read_slices(tmp_path / "organs.nii.gz")
    shape = reconstruct(slices, "rbf", points=3000)
    places = np.argwhere(np.ones_like(organs, dtype=bool)) * np.array(image.spacing)
    places = places[torch.randperm(len(places), generator=torch.Generator().manual_seed(0))[:20_000].numpy()]
    truth = organs[tuple(np.rint(places / np.array(image.spacing)).astype(int).T)]
    meshes = {label: shape.mesh(64, label) for label in slices.labels}
    within = {label: shape.occupancy(places, label) for label in slices.labels}
    solid = {
        label: np.abs(igl.fast_winding_number(np.array(mesh.vertices), np.array(mesh.faces), places)) > 0.5
        for label, mesh in meshes.items()
    }
    assert slices.labels == (4, 5) and sum(within.values()).max() == sum(v.astype(int) for v in solid.values()).max() == 1
    for label, found in within.items():
        assert (found & (truth == label)).sum() / (found | (truth == label)).sum() > 0.75
