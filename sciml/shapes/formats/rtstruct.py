"""DICOM RT Structure Sets: contours of regions of interest, in millimetres of the patient's coordinates.

Source: DICOM PS3.3, C.8.8.6 ROI Contour Module.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sciml.errors import InputError, nearest
from sciml.shapes.frame import fitted_plane
from sciml.shapes.optional import require
from sciml.shapes.slices import Contour, Plane, Slices

SAME = 1e-2  # mm between contours that are on one plane


def read_rtstruct(path: str | Path, regions: Sequence[str] | None = None) -> Slices:
    """Read closed planar contours; labels are the ROI numbers. A contour within another one is a hole.

    Args:
        regions: names of the ROIs to read; all by default. A plane that has a contour of any of them counts as known
            for all of them, so read alone what was drawn on some planes only.

    Raises:
        InputError: no RT Structure Set, an unknown region, an open contour, or a wrong number of coordinates.
    """
    pydicom = require("pydicom", "an RT-STRUCT file")
    try:
        data = pydicom.dcmread(path)
        kind = data.get("Modality", "unknown")
        if "ROIContourSequence" not in data:
            raise InputError(f"{path} holds no ROI contours (its modality is {kind}); give an RT Structure Set")
        names = {int(item.ROINumber): str(item.get("ROIName", item.ROINumber)) for item in data.StructureSetROISequence}
        repairs: list[str] = []
        wanted = _wanted(names, regions)
        found: list[Contour] = []
        for item in data.ROIContourSequence:
            number = int(item.ReferencedROINumber)
            if number in wanted:
                found += _contours(path, item, number, names.get(number, str(number)), repairs)
    except InputError:
        raise
    except Exception as error:  # a damaged file fails anywhere in pydicom
        raise InputError(f"{path} cannot be read as DICOM: {' '.join(str(error).split())}") from error
    if not found:
        raise InputError(f"{path} holds no closed contours of {', '.join(names[n] for n in wanted) or 'any region'}")
    planes = _planes(found)
    repairs += _gaps(planes, names)
    return Slices(planes, {number: names.get(number, str(number)) for number in wanted}, "mm", repairs)


def _wanted(names: dict[int, str], regions: Sequence[str] | None) -> list[int]:
    if regions is None:
        return list(names)
    for region in regions:
        if region not in names.values():
            raise InputError(f"there is no region {region!r}; {nearest(region, names.values())}")
    return [number for number, name in names.items() if name in regions]


def _contours(path: str | Path, item: Any, number: int, name: str, repairs: list[str]) -> list[Contour]:
    contours = []
    for index, entry in enumerate(item.get("ContourSequence", []), 1):
        kind, values = entry.ContourGeometricType, np.array(entry.ContourData, dtype=np.float64)
        where = f"contour {index} of {name}"
        if kind == "POINT":
            repairs.append(f"{where} is a point and was left out")
            continue
        if not kind.startswith("CLOSED"):
            raise InputError(f"{path}: {where} is {kind}; only closed planar contours enclose a solid")
        stated = int(entry.get("NumberOfContourPoints", len(values) // 3))
        if len(values) != 3 * stated:
            raise InputError(f"{path}: {where} has {len(values)} coordinates for {stated} points")
        if not np.isfinite(values).all():
            raise InputError(f"{path}: {where} has a coordinate that is not finite")
        contours.append(Contour(values.reshape(-1, 3), number))
    return contours


def _planes(contours: list[Contour]) -> list[Plane]:
    """Contours gathered by plane; the largest ones decide which way the planes face."""
    size = max(contours, key=lambda contour: float(np.ptp(contour.vertices, axis=0).max()))
    shared, _ = fitted_plane(size.vertices)
    shared = shared if shared[np.abs(shared).argmax()] > 0 else -shared
    groups: list[tuple[np.ndarray, float, list[Contour]]] = []
    for contour in sorted(contours, key=lambda contour: float(contour.vertices.mean(0) @ shared)):
        heights = contour.vertices @ shared
        normal, offset = shared, float(heights.mean())
        if np.ptp(heights) > SAME:
            normal, offset = fitted_plane(contour.vertices)
        if groups and np.allclose(groups[-1][0], normal, atol=1e-9) and abs(groups[-1][1] - offset) < SAME:
            groups[-1][2].append(contour)
        else:
            groups.append((normal, offset, [contour]))
    return [Plane(normal, offset, tuple(members)) for normal, offset, members in groups]


def _gaps(planes: list[Plane], names: dict[int, str]) -> list[str]:
    notes = []
    for label in sorted({label for plane in planes for label in plane.labels}):
        has = [label in plane.labels for plane in planes]
        inner = has[has.index(True) : len(has) - has[::-1].index(True)]
        if not all(inner):
            notes.append(
                f"{names.get(label, str(label))} has no contour on {inner.count(False)} planes between its first and "
                "last, taken as empty there; read it alone if it was not drawn on them"
            )
    return notes
