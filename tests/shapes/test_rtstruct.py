from __future__ import annotations

import numpy as np
import pytest

from sciml.errors import InputError
from sciml.shapes import Contour, Plane, read_rtstruct, read_slices, reconstruct, slice_mesh
from sciml.shapes.frame import Frame
from tests.shapes.solids import TORUS_VOLUME, level, nested, square, torus

pydicom = pytest.importorskip("pydicom")
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.uid import ExplicitVRLittleEndian, generate_uid  # noqa: E402


def structure_set(path, regions, kind="CLOSED_PLANAR", **changes):
    """Write an RT Structure Set; ``regions`` are planes by name of the ROI."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.Modality = "RTSTRUCT"
    data.StructureSetROISequence, data.ROIContourSequence = [], []
    for number, (name, planes) in enumerate(regions.items(), 1):
        region, contours = Dataset(), Dataset()
        region.ROINumber, region.ROIName = number, name
        contours.ReferencedROINumber = number
        contours.ContourSequence = [entry(contour.vertices, kind, **changes) for plane in planes for contour in plane.contours]
        data.StructureSetROISequence.append(region)
        data.ROIContourSequence.append(contours)
    data.save_as(path, enforce_file_format=True)
    return path


def entry(vertices, kind="CLOSED_PLANAR", points=None):
    item = Dataset()
    item.ContourGeometricType = kind
    item.NumberOfContourPoints = len(vertices) if points is None else points
    item.ContourData = [f"{value:.6f}" for value in vertices.ravel()]
    return item


def test_the_volume_of_a_solid_survives(tmp_path):
    planes = slice_mesh(torus(50.0, 20.0), spaced(2.5)).planes
    slices = read_slices(structure_set(tmp_path / "torus.dcm", {"ring": planes}))
    assert slices.units == "mm" and slices.names == {1: "ring"} and slices.repairs == () and len(slices) == 16
    shape = reconstruct(slices)
    mesh = shape.mesh(96)
    assert mesh.volume == pytest.approx(TORUS_VOLUME * 50**3, rel=0.02)
    assert mesh.is_watertight and mesh.euler_number == 0
    assert shape.occupancy(np.array([[70.0, 20, 20], [20, 20, 20]])).tolist() == [True, False]


def spaced(spacing):
    return [level(20 + spacing * (k + 0.4)) for k in range(-8, 8)]


def test_regions_and_holes(tmp_path):
    hollow = nested(40, 20, levels=(0.0, 3.0, 6.0)).planes
    other = [level(z, square(10, z, centre=(60, 0))) for z in (0.0, 6.0)]
    path = structure_set(tmp_path / "without_ending", {"shell": hollow, "node": other, "unused": []})
    slices = read_slices(path)
    assert slices.names == {1: "shell", 2: "node"} and len(slices) == 3
    assert "no contour has the label unused" in slices.repairs
    assert any(note.startswith("node has no contour on 1 planes between") for note in slices.repairs)
    assert slices.occupancy(np.array([[15.0, 0, 3], [0, 0, 3]]), 1, "shell").tolist() == [True, False]
    alone = read_rtstruct(path, ["node"])
    assert len(alone) == 2 and alone.names == {2: "node"} and alone.repairs == ()
    with pytest.raises(InputError, match="there is no region 'nod'; did you mean 'node'"):
        read_rtstruct(path, ["nod"])


def test_oblique_planes(tmp_path):
    cuts = slice_mesh(torus(50.0), 5, (1, 2, 2))
    slices = read_slices(structure_set(tmp_path / "a.dcm", {"ring": cuts.planes}))
    assert slices.parallel and len(slices) == 5
    for old, new in zip(cuts.planes, slices.planes, strict=True):
        assert abs(old.normal @ new.normal) == pytest.approx(1)
        assert new.offset * (old.normal @ new.normal) == pytest.approx(old.offset, abs=1e-4)


@pytest.mark.parametrize(("decimals", "spacing"), [(2, 6.0), (2, 0.2), (1, 1.0)])
def test_oblique_planes_of_rounded_coordinates(tmp_path, decimals, spacing):
    """An outline, its hole and an island far away stay on one plane, and planes close together stay apart."""
    normal = np.array([1.0, 2, 2]) / 3
    angle = np.linspace(0, 2 * np.pi, 81)[:-1]
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    frame = Frame.across(normal, np.zeros(3))
    planes = []
    for height in spacing * np.arange(5):
        loops = [frame.lift(radius * circle + [x, 0]) + height * normal for radius, x in ((20, 0), (10, 0), (3, 90))]
        planes.append(Plane(normal, height, tuple(Contour(loop.round(decimals)) for loop in loops)))
    slices = read_slices(structure_set(tmp_path / "a.dcm", {"ring": planes}))
    assert [len(plane.contours) for plane in slices.planes] == [3] * 5 and slices.parallel
    np.testing.assert_allclose(slices.heights, [plane.offset for plane in planes], atol=0.2 * 10.0**-decimals)
    (note,) = slices.repairs
    assert note.startswith("ring: vertices lay up to 0.0") and note.endswith("mm off their planes and were moved onto them")
    assert slices.occupancy(frame.lift(np.array([[0.0, 0], [15, 0], [90, 0]])), 0).tolist() == [False, True, True]


@pytest.mark.parametrize("bad", [0, 1, 3])
def test_a_vertex_off_its_plane_makes_no_plane_of_its_own(tmp_path, bad):
    planes = nested(40, 10, levels=(0.0, 1.0, 2.0, 3.0)).planes
    planes[bad].contours[0].vertices[1, 2] += 0.3
    slices = read_slices(structure_set(tmp_path / "a.dcm", {"shell": planes}))
    assert [plane.offset for plane in slices.planes] == pytest.approx([0, 1, 2, 3], abs=1e-9) and slices.parallel
    assert slices.repairs == ("shell: vertices lay up to 0.3 mm off their planes and were moved onto them",)
    assert all(np.ptp(plane.vertices[:, 2]) < 1e-9 for plane in slices.planes)


def test_planes_of_any_orientation(tmp_path):
    cuts = [cut for axis in np.eye(3) for cut in slice_mesh(torus(50.0), 4, axis).planes]
    slices = read_slices(structure_set(tmp_path / "a.dcm", {"ring": cuts}))
    assert sorted(len(plane.contours) for plane in slices.planes) == sorted(len(cut.contours) for cut in cuts)
    assert slices.repairs == ()


def test_regions_that_are_not_listed(tmp_path):
    planes = nested(4).planes
    data = pydicom.dcmread(structure_set(tmp_path / "a.dcm", {"a": planes, "b": planes}))
    del data.StructureSetROISequence[1]
    data.save_as(tmp_path / "b.dcm")
    slices = read_slices(tmp_path / "b.dcm")
    assert slices.names == {1: "a", 2: "2"} and "ROI 2 has no name and goes by its number" in slices.repairs
    assert read_rtstruct(tmp_path / "b.dcm", ["2"]).names == {2: "2"}
    del data.StructureSetROISequence
    data.save_as(tmp_path / "c.dcm")
    assert read_slices(tmp_path / "c.dcm").names == {1: "1", 2: "2"}


def test_a_contour_without_points_is_left_out(tmp_path):
    data = pydicom.dcmread(structure_set(tmp_path / "a.dcm", {"a": nested(4, 2).planes}))
    data.ROIContourSequence[0].ContourSequence[1].ContourData = []
    data.save_as(tmp_path / "b.dcm")
    with pytest.raises(InputError, match="contour 2 of a has 0 coordinates for 4 points"):
        read_slices(tmp_path / "b.dcm")
    del data.ROIContourSequence[0].ContourSequence[1].NumberOfContourPoints
    data.save_as(tmp_path / "b.dcm")
    slices = read_slices(tmp_path / "b.dcm")
    assert slices.repairs == ("contour 2 of a has no points and was left out",)
    assert [len(plane.contours) for plane in slices.planes] == [1, 2]


def test_damaged_files(tmp_path):
    planes = nested(4, levels=(0.0, 1.0)).planes

    def refused(message, path):
        with pytest.raises(InputError, match=message):
            read_slices(path)

    refused("contour 1 of a is OPEN_PLANAR", structure_set(tmp_path / "a.dcm", {"a": planes}, "OPEN_PLANAR"))
    refused("no closed contours of a", structure_set(tmp_path / "b.dcm", {"a": planes}, "POINT"))
    refused("12 coordinates for 5 points", structure_set(tmp_path / "c.dcm", {"a": planes}, points=5))
    refused("no closed contours", structure_set(tmp_path / "d.dcm", {}))
    whole = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[: len(whole) // 2])
    refused("cut.dcm", tmp_path / "cut.dcm")
    (tmp_path / "text.dcm").write_text("not DICOM at all")
    refused("cannot be read as DICOM", tmp_path / "text.dcm")
