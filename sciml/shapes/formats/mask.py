"""Label images of which some slices are drawn: NIfTI and NRRD."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sciml.errors import InputError
from sciml.shapes.formats.nrrd import read_nrrd
from sciml.shapes.optional import require
from sciml.shapes.slices import Contour, Plane, Slices


def read_mask(path: str | Path, axis: int | None = None) -> Slices:
    """Outline the labels on the slices that hold any; label 0 is outside. Coordinates are the file's world coordinates.

    A slice without any label counts as not drawn, not as empty.

    Args:
        axis: of the array, across the slices; by default the only one along which labels are at most two slices thick, or
            the one along which most slices are not drawn, or, when none is missing, the one with the largest spacing.

    Raises:
        InputError: no label image, or slices drawn across several axes.
    """
    path = Path(path)
    image, affine, units = read_nrrd(path) if path.suffix.lower() in (".nrrd", ".nhdr") else _nifti(path)
    if image.ndim != 3 or not image.size:
        raise InputError(f"{path}: a mask must have three axes of at least one voxel, got sizes {image.shape}")
    if affine.shape != (3, 4) or not np.isfinite(affine).all() or _singular(affine[:, :3]):
        raise InputError(f"{path}: its axes do not span space: {affine.tolist()}")
    labels = _labels(image, path)
    if not labels:
        raise InputError(f"{path}: no voxel has a label")
    image = np.rint(image).astype(np.int64)
    axis, repairs = _axis(image, affine, axis, path)
    normal = np.cross(affine[:, (axis + 1) % 3], affine[:, (axis + 2) % 3])
    normal /= np.linalg.norm(normal)
    image = np.moveaxis(image, axis, 0)
    rows = np.flatnonzero(image.any((1, 2)))
    empty = len(image) - len(rows)
    if empty:
        repairs.append(f"{empty} of {len(image)} slices along axis {axis} hold no label and count as not drawn")
    planes = []
    for row in rows:
        contours = [
            Contour(np.insert(loop, axis, row, axis=1) @ affine[:, :3].T + affine[:, 3], label)
            for label in np.unique(image[row])[np.unique(image[row]) != 0].tolist()
            for loop in _outlines(image[row] == label)
        ]
        planes.append(Plane(normal, float(normal @ (affine[:, axis] * row + affine[:, 3])), tuple(contours)))
    return Slices(planes, units=units, repairs=repairs)


def _nifti(path: Path) -> tuple[np.ndarray, np.ndarray, str | None]:
    nibabel = require("nibabel", "a NIfTI file")
    try:
        image = nibabel.load(path)
        values = np.asarray(image.dataobj)
        units = image.header.get_xyzt_units()[0]
    except Exception as error:  # a damaged file fails anywhere in nibabel
        raise InputError(f"{path} cannot be read as NIfTI: {' '.join(str(error).split())}") from error
    further = tuple(axis for axis in range(3, values.ndim) if values.shape[axis] == 1)
    return values.squeeze(further), image.affine[:3], None if units == "unknown" else units


def _singular(axes: np.ndarray) -> bool:
    return abs(np.linalg.det(axes)) <= 1e-12 * np.abs(axes).max() ** 3


def _labels(image: np.ndarray, path: Path) -> list[int]:
    if image.dtype.kind not in "biuf":
        raise InputError(f"{path}: a mask must hold whole numbers as labels, not {image.dtype}; convert colours to labels")
    values = np.unique(image)
    if not np.isfinite(values).all() or len(values) > 1000 or np.abs(values - np.rint(values)).max() > 1e-3:
        raise InputError(f"{path}: a mask must hold whole numbers as labels; this looks like an image")
    return [int(value) for value in np.rint(values) if round(value) != 0]


def _axis(image: np.ndarray, affine: np.ndarray, axis: int | None, path: Path) -> tuple[int, list[str]]:
    if axis is not None:
        if axis not in (0, 1, 2):
            raise InputError(f"axis must be 0, 1 or 2, got {axis!r}")
        return axis, []
    inside = image != 0
    changes = [np.count_nonzero(np.diff(inside, axis=a, prepend=False, append=False)) for a in range(3)]
    # In two slices side by side voxels change once across; within a solid most have neighbours along every axis.
    thin = [a for a in range(3) if changes[a] > 0.7 * inside.sum()]
    drawn = [np.flatnonzero(inside.any(tuple({0, 1, 2} - {a}))) for a in range(3)]
    density = [len(rows) / (rows[-1] - rows[0] + 1) if len(rows) > 1 else 0.0 for rows in drawn]
    sparse = thin[0] if len(thin) == 1 else int(np.argmin(density))
    if len(thin) == 1 or density[sparse] < 0.9:
        return sparse, []
    if thin:
        raise InputError(f"{path}: slices are drawn across several axes; keep those of one, or give axis")
    spacing = np.linalg.norm(affine[:, :3], axis=0)
    chosen = int(np.argmax(spacing))
    return chosen, [f"no slice is missing along any axis; axis {chosen}, of the largest spacing, was taken"]


def _outlines(inside: np.ndarray) -> list[np.ndarray]:
    """Loops (n, 2) in array coordinates, halfway between the voxels inside and those outside."""
    measure = require("skimage.measure", "outlining a mask")
    loops = measure.find_contours(np.pad(inside.astype(np.float64), 1), 0.5)
    return [loop[:-1] - 1 for loop in loops]
