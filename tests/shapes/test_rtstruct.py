from __future__ import annotations

import numpy as np
import pytest

from sciml.errors import InputError
from sciml.shapes import read_rtstruct, read_slices, reconstruct, slice_mesh
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
