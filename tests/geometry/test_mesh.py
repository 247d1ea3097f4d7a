from __future__ import annotations

import copy
import math
import pickle
import sys

import pytest
import torch

from sciml.errors import InputError
from sciml.geometry import Box, Interval, Mesh, Polygon, Rectangle, Time
from tests.geometry.shapes import L_VERTICES, XY, XYZ, around, generator

trimesh = pytest.importorskip("trimesh")
pytest.importorskip("igl")

BOX = Box(XYZ, (-0.5, -1, -1.5), (0.5, 1, 1.5))


@pytest.fixture(params=["stl", "ply", "off", "glb"])
def box(request, tmp_path):
    path = tmp_path / f"box.{request.param}"
    trimesh.creation.box((1, 2, 3)).export(path)
    return Mesh(XYZ, path)


def test_a_surface_is_a_domain(box):
    assert box.volume == pytest.approx(6) and box.boundary_measure() == pytest.approx(22)
    assert [bound.tolist() for bound in box.bounds] == [bound.tolist() for bound in BOX.bounds]
    points = around(BOX, 200)
    torch.testing.assert_close(box.signed_distance(points), BOX.signed_distance(points), rtol=0, atol=1e-9)
    torch.testing.assert_close(box.boundary_distance(points), BOX.boundary_distance(points), rtol=0, atol=1e-9)
    inside = box.sample(500, generator(), "sobol")
    assert BOX.contains(inside).all() and (inside.amax(0) - inside.amin(0) > 0.95 * torch.tensor([1, 2, 3])).all()
    points, normals = box.sample_boundary(3000, generator(), on="surface", method="sobol")
    assert BOX.signed_distance(points).abs().max() < 1e-9
    assert (BOX.signed_distance(points + 1e-6 * normals) > 0.99e-6).all()
    flux = 22 * (points * normals).mean(0)
    torch.testing.assert_close(flux, torch.full_like(flux, 6), rtol=0.03, atol=0)
    expected = BOX.sample_boundary(3000, generator(), method="sobol").points.square().mean(0)
    torch.testing.assert_close(points.square().mean(0), expected, rtol=0.03, atol=0)


def test_the_distance_to_a_surface_has_a_gradient(box):
    points = torch.cat([around(BOX, 100), torch.tensor([[0.5, 0.1, 0.2]])]).requires_grad_()
    exact = points.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(box.signed_distance(points).sum(), points)
    (expected,) = torch.autograd.grad(BOX.signed_distance(exact).sum(), exact)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-6)
    assert box.signed_distance(points.detach().float()).dtype == torch.float32
    assert box.signed_distance(points[:0]).shape == (0,)


def test_a_surface_combines(box):
    domain = (box - Box(XYZ, (-1, -2, 0), (1, 2, 2)).named("cut")) * Time("t", 0, 1)
    assert domain.volume == pytest.approx(3, rel=2e-3)
    assert domain.boundary_measure("cut") == pytest.approx(2, rel=2e-3)
    assert (domain.sample(100, generator())[:, 2] < 0).all()


def test_a_surface_written_inside_out_is_turned(tmp_path):
    shape = trimesh.creation.icosphere(subdivisions=3)
    shape.invert()
    shape.export(tmp_path / "ball.stl")
    ball = Mesh(XYZ, tmp_path / "ball.stl")
    assert ball.volume == pytest.approx(4 / 3 * math.pi, rel=0.02)
    points, normals = ball.sample_boundary(100, generator())
    assert ((points * normals).sum(1) > 0.9).all() and ball.contains(torch.zeros(1, 3)).all()


def plane(path, vertices, faces):
    trimesh.Trimesh([(x, y, 2.0) for x, y in vertices], faces, process=False).export(path)
    return path


def same(mesh, exact):
    points = around(exact, 300)
    torch.testing.assert_close(mesh.signed_distance(points), exact.signed_distance(points), rtol=0, atol=1e-6)
    assert mesh.volume == pytest.approx(exact.volume)
    drawn, normals = mesh.sample_boundary(500, generator())
    assert (exact.signed_distance(drawn + 1e-3 * normals) > 0).all()
    assert exact.contains(mesh.sample(200, generator()), tolerance=1e-6).all()


def test_a_plane_triangulation_gives_its_outline(tmp_path):
    faces = [(0, 1, 2), (0, 2, 3), (0, 3, 5), (3, 4, 5)]
    same(Mesh(XY, plane(tmp_path / "L.ply", L_VERTICES, faces)), Polygon(XY, L_VERTICES))
    corners = Mesh(XY, plane(tmp_path / "L.stl", L_VERTICES, faces)).corners
    assert [c.point for c in corners if c.angle > math.pi] == [pytest.approx((1, 1))]


def test_outlines_from_a_drawing_may_have_holes(tmp_path):
    outer = trimesh.path.creation.rectangle([[0, 0], [3, 2]])
    inner = trimesh.path.creation.rectangle([[1, 0.5], [2, 1.5]])
    trimesh.path.util.concatenate([outer, inner]).export(str(tmp_path / "frame.dxf"))
    mesh = Mesh(XY, tmp_path / "frame.dxf")
    assert mesh.volume == pytest.approx(5) and mesh.boundary_measure() == pytest.approx(14)
    frame = Rectangle(XY, (0, 0), (3, 2)) - Rectangle(XY, (1, 0.5), (2, 1.5))
    points, normals = mesh.sample_boundary(500, generator())
    assert (frame.signed_distance(points + 1e-6 * normals) > 0).all()
    assert frame.contains(mesh.sample(500, generator())).all()
    assert len(mesh.corners) == 8


def test_meshes_are_values(box):
    assert Mesh(XYZ, box.path) == box and box.named("wall") != box
    assert eval(repr(box)) == box
    for other in (copy.deepcopy(box), pickle.loads(pickle.dumps(box))):
        assert other == box and other.volume == box.volume
    assert (box * Interval("s", 0, 1)).boundary_names == ("surface", "left", "right", "s=0", "s=1")


def test_mistakes(tmp_path):
    (tmp_path / "bad.stl").write_text("nothing")
    opened = trimesh.creation.box()
    opened.update_faces([False] + [True] * 11)
    opened.export(tmp_path / "open.stl")
    trimesh.creation.box().export(tmp_path / "solid.stl")
    trimesh.PointCloud([[0, 0, 0], [1, 1, 1]]).export(tmp_path / "points.ply")
    cases = [
        (XYZ, "nowhere.stl", "is no file"),
        (XYZ, "bad.stl", "cannot be read|no triangles"),
        (XYZ, "open.stl", "is not closed"),
        (XYZ, "points.ply", "no triangles"),
        (XY, "solid.stl", "is not plane"),
        (XY, "points.ply", "neither outlines nor triangles"),
        (("x",), "solid.stl", "two or three coordinates"),
    ]
    for names, file, message in cases:
        with pytest.raises(InputError, match=message):
            Mesh(names, tmp_path / file)


def test_an_open_outline_is_refused(tmp_path):
    path = trimesh.load_path([[[0, 0], [1, 0]], [[1, 0], [1, 1]]])
    path.export(str(tmp_path / "open.dxf"))
    closed = trimesh.path.creation.rectangle([[3, 3], [4, 4]])
    trimesh.path.util.concatenate([closed, path]).export(str(tmp_path / "partly.dxf"))
    for file in ("open.dxf", "partly.dxf"):
        with pytest.raises(InputError, match="not closed"):
            Mesh(XY, tmp_path / file)


@pytest.mark.parametrize("module", ["trimesh", "igl"])
def test_a_missing_package_names_the_extra(module, box, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf"needs {module}; .*\[shapes\]"):
        Mesh(XYZ, box.path)
