from __future__ import annotations

import gzip
import re
import struct

import numpy as np
import pytest

from sciml.errors import InputError
from sciml.shapes import Slices, read_slices, reconstruct, slice_mesh, write_csl
from tests.shapes.solids import generator, level, nested, square, torus

CSL = """CSLC
2 1

1 8 2 0 0 2 -1
0 0 0.5
4 0 0.5
4 4 0.5
0 4 0.5
1 1 0.5
3 1 0.5
3 3 0.5
1 3 0.5

4 1 0 1 2 3
4h0 2 7 6 5 4

2 0 0 0 0 1 -3
"""
CONTOUR = """2
0 0 1 0.5
6 7
0 0 0.5
1 0 0.5
2 0 0.5
2 1 0.5
1 1 0.5
0 1 0.5
0 1 3 0
1 2 5 0
2 3 5 0
3 4 5 0
4 5 3 0
5 0 3 0
1 4 3 5
0 0 1 1.5
0 0
"""


@pytest.fixture
def written(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_csl(written):
    slices = read_slices(written("box.csl", CSL))
    assert [plane.offset for plane in slices.planes] == [0.5, 3] and slices.units is None
    assert slices.repairs == ("holes take the label of what they are in, not their own 2",)
    assert slices.labels == (1,) and slices.planes[1].contours == ()
    places = np.array([[0.5, 2, 0.5], [2, 2, 0.5], [5, 2, 0.5]])
    assert slices.occupancy(places, 0).tolist() == [True, False, False]


@pytest.mark.parametrize(
    "slices",
    [
        slice_mesh(torus(), 6, generator=generator()),
        slice_mesh(torus(1e5, 2e5), 4, (0, 0, 1)),
        nested(5, 4, 3, 2, label=-4),
        Slices([level(0, square(2), square(2, 0, 5, (3, 0))), level(1)]),
    ],
    ids=["any orientation", "huge coordinates", "islands", "labels"],
)
def test_csl_survives_writing(tmp_path, slices):
    write_csl(slices, tmp_path / "a.csl")
    again = read_slices(tmp_path / "a.csl")
    assert again.labels == slices.labels and again.repairs == ()
    for old, new in zip(slices.planes, again.planes, strict=True):
        np.testing.assert_array_equal(old.normal, new.normal)
        assert old.offset == new.offset
        for label in slices.labels:
            first, second = (sorted(map(np.ndarray.tolist, plane.ends(label, old.frame))) for plane in (old, new))
            assert first == second


def test_a_written_hole_names_what_it_is_in(tmp_path):
    write_csl(nested(2, 4, 3), tmp_path / "a.csl")
    components = [line.split()[0] for line in (tmp_path / "a.csl").read_text().splitlines() if line.startswith("4")]
    assert components == ["4", "4h0", "4"] * 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("CSLC", "CSLX", "does not start with CSLC"),
        ("2 1\n", "3 1\n", "ends before plane 3"),
        ("2 1\n", "1 1\n", "line 17: nothing should follow here"),
        ("2 1\n", "0 1\n", "line 4: nothing should follow here"),
        ("2 1\n", "two 1\n", "line 2: the numbers of planes and labels must be whole numbers .*'two'"),
        ("2 1\n", "2\n", "line 2: .* must be 2 words, got 1"),
        ("1 8 2 0", "1 9 2 0", "line 14: vertex of plane 1 8 must be 3 words, got 6"),
        ("1 8 2 0", "1 7 2 0", "line 12: component 0 of plane 1 must be whole numbers"),
        ("1 8 2 0", "1 8 1 0", "line 15: plane 2 must be 7 words, got 6"),
        ("1 8 2 0", "2 8 2 0", "plane 1 has the number 2"),
        ("4 0 0.5", "4 x 0.5", "must be numbers .*'x'"),
        ("4 0 0.5", "1e200 0 0.5", r"plane 1: a coordinate of size 1e\+200 makes areas that are not finite"),
        ("4 0 0.5", "4 nan 0.5", "vertex 1 is .4.0, nan, 0.5., not finite"),
        ("4 1 0 1 2 3", "4 1 0 1 2", "must be a label and 4 vertices, got 4 numbers"),
        ("4 1 0 1 2 3", "4", "must be a label and 4 vertices, got 0 numbers"),
        ("4h0", "4h1", "a hole in component 1, which is not before it"),
        ("4h0", "four", "must start with its size, such as 12 or 12h0, got 'four'"),
        ("7 6 5 4", "8 6 5 4", "names vertex 8 of 8, counted from 0"),
        ("0 0 2 -1", "0 0 0 -1", "normal"),
    ],
)
def test_a_damaged_csl(written, old, new, message):
    assert CSL.count(old) >= 1
    with pytest.raises(InputError, match=message):
        read_slices(written("bad.csl", CSL.replace(old, new, 1)))


def test_every_truncation_is_noticed(written):
    for name, content in (("cut.csl", CSL), ("cut.contour", CONTOUR)):
        for end in [found.end() for found in re.finditer(r"\S+", content)][:-1]:
            with pytest.raises(InputError, match="cut"):
                read_slices(written(name, content[:end]))


def test_csl_states_what_it_leaves_out(written):
    repairs = read_slices(written("a.csl", CSL.replace("2 1\n", "2 20\n").replace("4h0 2 7 6 5 4", "3h0 1 7 6 5"))).repairs
    assert repairs == ("plane 1: 1 vertices belong to no component and were left out", "20 labels are declared and 1 occur")


def test_contour(written):
    slices = read_slices(written("two.contour", CONTOUR))
    assert slices.labels == (3, 5) and len(slices) == 2 and slices.planes[0].offset == 0.5 and slices.repairs == ()
    places = np.array([[0.5, 0.5, 0.5], [1.5, 0.5, 0.5], [2.5, 0.5, 0.5]])
    assert slices.occupancy(places, 0, 3).tolist() == [True, False, False]
    assert slices.occupancy(places, 0, 5).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("counts", "after", "more", "note"),
    [
        ("7 7", "1 1 0.5\n0 1 0.5\n", "9 9 0.5\n", "plane 1: 1 vertices belong to no edge and were left out"),
        ("6 8", "1 4 3 5\n", "1 4 7 7\n", "plane 1: 1 edges have the same material (7) on both sides and were left out"),
        ("6 9", "1 4 3 5\n", "2 1 0 5\n0 1 3 0\n", "plane 1: 2 edges were listed before and were left out"),
    ],
)
def test_contour_states_what_it_leaves_out(written, counts, after, more, note):
    slices = read_slices(written("a.contour", CONTOUR.replace("6 7", counts).replace(after, after + more)))
    assert slices.repairs == (note,) and slices.labels == (3, 5)
    places = np.array([[0.5, 0.5, 0.5], [1.5, 0.5, 0.5]])
    assert [slices.occupancy(places, 0, label).tolist() for label in (3, 5)] == [[True, False], [False, True]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("3 4 5 0", "3 4 0 0", "the contour of material 5 on plane 1 is open"),
        ("3 4 5 0", "3 6 5 0", "edge to a vertex outside 0 to 5"),
        ("6 7", "6 8", "line 17: edge of plane 1 must be whole numbers"),
    ],
)
def test_a_damaged_contour(written, old, new, message):
    with pytest.raises(InputError, match=message):
        read_slices(written("bad.contour", CONTOUR.replace(old, new, 1)))


def test_unknown_files(written, tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        read_slices(tmp_path / "nothing.csl")
    with pytest.raises(InputError, match=r"no known format; give one of .csl, .contour"):
        read_slices(written("a.xyz", "1 2 3"))
    with pytest.raises(InputError, match="not a text file"):
        read_slices(written("a.csl", b"CSLC\xff\xfe\x00"))


def blocks(shape=(12, 10, 20)):
    """Labels 1 and 4, with a hole in 1, on every fourth slice of the last axis."""
    image = np.zeros(shape, dtype=np.uint8)
    image[2:8, 2:8, 2:19:4] = 1
    image[4:6, 4:6, 2:19:4] = 0
    image[9:11, 2:8, 2:19:4] = 4
    return image


AFFINE = np.array([[0.0, -2, 0, 100], [0.5, 0, 0, -50], [0, 0, 3, 7], [0, 0, 0, 1]])


def check_blocks(slices, axis=2, labels=(1, 4)):
    """In the world: x = 100 - 2 j, y = 0.5 i - 50, z = 3 k + 7."""
    assert slices.labels == labels
    assert slices.repairs == (f"15 of 20 slices along axis {axis} hold no label and count as not drawn",)
    assert sorted(plane.offset * plane.normal[2] for plane in slices.planes) == pytest.approx([13, 25, 37, 49, 61])
    places = np.array([[94, -48.5, 13], [90, -47.6, 13], [94, -45, 13], [94, -46, 13]])
    index = int(np.argmin([abs(plane.offset * plane.normal[2] - 13) for plane in slices.planes]))
    assert slices.occupancy(places, index, labels[0]).tolist() == [True, False, False, False]
    assert slices.occupancy(places, index, labels[1]).tolist() == [False, False, True, False]


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
def test_nifti(tmp_path, suffix, axis):
    nibabel = pytest.importorskip("nibabel")
    turned = np.moveaxis(blocks(), 2, axis)
    affine = AFFINE[:, [*np.insert([0, 1], axis, 2), 3]]
    image = nibabel.Nifti1Image(turned, affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, tmp_path / f"mask.{suffix}")
    slices = read_slices(tmp_path / f"mask.{suffix}")
    check_blocks(slices, axis)
    assert slices.units == "mm"


def nrrd(image, encoding="raw", endian="little", **fields):
    header = {
        "type": {"u1": "uint8", "i2": "short"}.get(image.dtype.str[1:]),
        "dimension": 3,
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, image.shape)),
        "space directions": "(0,0.5,0) (-2,0,0) (0,0,3)",
        "endian": endian,
        "encoding": encoding,
        "space origin": "(100,-50,7)",
        "space units": '"mm" "mm" "mm"',
    } | fields
    data = image.tobytes(order="F")
    lines = ["NRRD0004", "# made by a test", *(f"{name}: {value}" for name, value in header.items() if value is not None)]
    return "\n".join([*lines, "", ""]).encode() + (gzip.compress(data) if encoding == "gzip" else data)


@pytest.mark.parametrize(
    ("encoding", "kind", "endian"), [("raw", "u1", "little"), ("gzip", "<i2", "little"), ("raw", ">i2", "big")]
)
def test_nrrd(written, encoding, kind, endian):
    slices = read_slices(written("mask.nrrd", nrrd(blocks().astype(kind), encoding, endian)))
    check_blocks(slices)
    assert slices.units == "mm"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"encoding": "bzip2"}, r"^\S*mask.nrrd: encoding 'bzip2' is not read"),
        ({"data file": "mask.raw"}, "mask.raw cannot be read: No such file"),
        ({"data file": "mask%02d.raw 1 20 1"}, "several files .mask%02d.raw 1 20 1.; save it with the data attached"),
        ({"type": "block"}, "type 'block' is not read"),
        ({"type": None}, "it has no 'type'"),
        ({"line skip": 9}, "holds .* bytes of data|damaged"),
        ({"sizes": "-12 -10 20"}, "sizes must be at least 1, got -12 -10 20"),
        ({"sizes": "12 10 0"}, "sizes must be at least 1, got 12 10 0"),
        ({"space origin": "none"}, "'none' holds no vector"),
        ({"space origin": "(0,0)"}, r"space origin must be one vector of 3 numbers, got '\(0,0\)'"),
        ({"space directions": "(1,0) (0,1) (1,1)", "space origin": "(0,0)"}, "axes do not span space"),
        ({"sizes": "12 10 21"}, "holds 2400 bytes of data, not the 2520 declared"),
        ({"space directions": "(0,0.5,0) (0,1,0) (0,0,3)"}, "axes do not span space"),
    ],
)
def test_a_damaged_nrrd(written, fields, message):
    with pytest.raises(InputError, match=message):
        read_slices(written("mask.nrrd", nrrd(blocks(), **fields)))


@pytest.mark.parametrize(("encoding", "name"), [("raw", "a.nhdr"), ("gzip", "A.NHDR")])
def test_nrrd_with_its_data_beside_it(written, encoding, name):
    head, data = nrrd(blocks(), encoding, **{"data file": "a.raw", "line skip": 1, "byte skip": -1}).split(b"\n\n", 1)
    written("a.raw", b"a line\n" + (data if encoding == "gzip" else b"other bytes" + data))
    check_blocks(read_slices(written(name, head)))
    for elsewhere in (b"/a.raw", b"../a.raw"):
        with pytest.raises(InputError, match="names a data file elsewhere"):
            read_slices(written(name, head.replace(b"data file: a.raw", b"data file: " + elsewhere)))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("i1", "signed char, int8, int8_t"),
        ("u1", "uchar, unsigned char, uint8_t"),
        (">i2", "short int, signed short, signed short int, int16, int16_t"),
        (">u2", "ushort, unsigned short, unsigned short int, uint16, uint16_t"),
        (">i4", "int, signed int, int32, int32_t"),
        (">u4", "uint, unsigned int, uint32, uint32_t"),
        (">i8", "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t"),
        (">u8", "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t"),
    ],
)
def test_every_name_of_a_type(written, kind, names):
    for name in names.split(", "):
        check_blocks(read_slices(written("mask.nrrd", nrrd(blocks().astype(kind), endian="big", type=name))))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("rows", [[7], [0], [7, 8], [0, 1]], ids=str)
def test_few_slices_are_not_read_across(written, axis, rows):
    """Neither what lies between two labels nor the border of the image makes another axis that of the slices."""
    image = np.zeros((16, 16, 16), np.uint8)
    for row in rows:
        image[2:8, 2:14, row], image[11:15, 2:14, row] = 1, 2
    slices = read_slices(written("mask.nrrd", nrrd(np.moveaxis(image, 2, axis), **{"space directions": None})))
    assert len(slices) == len(rows) and np.abs(slices.planes[0].normal).argmax() == axis
    if len(rows) == 1:
        with pytest.raises(InputError, match="at least two planes"):
            reconstruct(slices)


def test_an_image_of_one_slice(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    nibabel.save(nibabel.Nifti1Image(np.ones((8, 8, 1), np.uint8), np.eye(4)), tmp_path / "flat.nii")
    assert len(read_slices(tmp_path / "flat.nii")) == 1


def test_a_label_missing_between_its_ends_is_stated(written, tmp_path):
    image = blocks()
    image[9:11, 2:8, [6, 18]] = 0
    repairs = read_slices(written("mask.nrrd", nrrd(image))).repairs
    assert repairs[1:] == (
        "4 has no contour on 1 planes between its first and last, taken as empty there; read it alone if it was not drawn "
        "on them",
    )
    image[9:11, 2:8, 2] = 0
    assert len(read_slices(written("mask.nrrd", nrrd(image))).repairs) == 1
    # on an empty plane nothing was drawn for another label either
    write_csl(Slices([level(0, square()), level(1), level(2, square(1, 2))]), written("a.csl", ""))
    assert read_slices(tmp_path / "a.csl").repairs == ()


@pytest.mark.parametrize(
    ("place", "kind", "values", "message"),
    [
        (252, "<2h18f", [0, 1, *18 * [0.0]], "axes do not span space"),
        (252, "<2h18f", [0, 1, *18 * [np.nan]], "axes do not span space"),
        (42, "<h", [0], r"at least one voxel, got sizes \(0, 10, 20\)"),
    ],
    ids=["zero axes", "axes that are not numbers", "no voxels"],
)
def test_a_damaged_nifti(written, place, kind, values, message):
    nibabel = pytest.importorskip("nibabel")
    content = bytearray(nibabel.Nifti1Image(blocks(), np.eye(4)).to_bytes())
    struct.pack_into(kind, content, place, *values)
    with pytest.raises(InputError, match=message):
        read_slices(written("mask.nii", bytes(content)))


def test_colours_are_no_labels(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    colours = np.zeros((8, 8, 8), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colours, np.eye(4)), tmp_path / "mask.nii")
    with pytest.raises(InputError, match=r"must hold whole numbers as labels, not .*; convert colours to labels"):
        read_slices(tmp_path / "mask.nii")


def test_masks_that_are_none(written):
    def refused(image, message):
        with pytest.raises(InputError, match=message):
            read_slices(written("mask.nrrd", nrrd(image)))

    refused(np.zeros((4, 4, 4), np.uint8), "no voxel has a label")
    refused(np.random.default_rng(0).integers(0, 3000, (20, 20, 20)).astype("<i2"), "looks like an image")
    crossed = np.zeros((24, 24, 24), np.uint8)
    crossed[4:20, 4:20, 4:20:5] = crossed[4:20:5, 4:20, 4:20] = 1
    refused(crossed, "across several axes")
    with pytest.raises(InputError, match="NRRD"):
        read_slices(written("mask.nrrd", b"NRRD0004\ntype: uint8\n"))
    with pytest.raises(InputError, match="cannot be read as NIfTI"):
        read_slices(written("mask.nii", struct.pack("i", 348) + b"broken"))


def test_a_full_mask_is_read_along_its_coarsest_axis(written):
    image = np.zeros((16, 16, 16), np.uint8)
    image[3:13, 3:13, 3:13] = 2
    slices = read_slices(written("mask.nrrd", nrrd(image)))
    assert len(slices) == 10 and slices.repairs[0].startswith("no slice is missing along any axis; axis 2")
