"""Open any file that holds cross-sections."""

from __future__ import annotations

from pathlib import Path

from sciml.errors import InputError
from sciml.shapes.formats import read_contour, read_csl, read_mask, read_rtstruct
from sciml.shapes.slices import Slices

READERS = {
    ".csl": read_csl, ".contour": read_contour, ".dcm": read_rtstruct, ".nii": read_mask, ".nii.gz": read_mask,
    ".nrrd": read_mask, ".nhdr": read_mask,
}  # fmt: skip
MESHES = (".stl", ".ply", ".obj", ".off", ".glb", ".gltf")


def read_slices(path: str | Path) -> Slices:
    """Read cross-sections; the end of the file's name tells the format, and DICOM is known by its content too.

    Raises:
        InputError: no such file, an unknown format, or a damaged file.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}")
    for suffix, reader in READERS.items():
        if path.name.lower().endswith(suffix):
            return reader(path)
    with path.open("rb") as file:
        if file.read(132)[128:] == b"DICM":
            return read_rtstruct(path)
    raise InputError(f"{str(path)!r} has no known format; give one of {', '.join([*READERS, *MESHES])}")


def is_mesh(path: str | Path) -> bool:
    """Whether the name of a file is that of a mesh."""
    return Path(path).suffix.lower() in MESHES
