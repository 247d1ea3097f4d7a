"""DICOM RT Structure Sets: contours of regions of interest, in millimetres of the patient's coordinates.

Source: DICOM PS3.3, C.8.8.6 ROI Contour Module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sciml.errors import InputError, nearest
from sciml.shapes.frame import fitted_plane
from sciml.shapes.optional import require
from sciml.shapes.slices import Contour, Plane, Slices

SAME = 1e-2  # mm: a contour is on a plane that its vertices lie so near on average,
ROUGH = 3  # or so many times as far off as from the plane fitted to them alone, which is what rounding leaves
EXACT, BENT = 1e-6, 1e-2  # of the largest contour's diagonal: vertices between so far off their plane are moved onto it


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
        listed = {int(item.ROINumber): str(item.get("ROIName") or "") for item in data.get("StructureSetROISequence", [])}
        drawn = [int(item.ReferencedROINumber) for item in data.ROIContourSequence]
        names = {number: listed.get(number) or str(number) for number in [*listed, *drawn]}
        wanted = _wanted(names, regions)
        repairs = [f"ROI {number} has no name and goes by its number" for number in wanted if not listed.get(number)]
        found: list[Contour] = []
        for number, item in zip(drawn, data.ROIContourSequence, strict=True):
            if number in wanted:
                found += _contours(path, item, number, names[number], repairs)
    except InputError:
        raise
    except Exception as error:  # a damaged file fails anywhere in pydicom
        raise InputError(f"{path} cannot be read as DICOM: {' '.join(str(error).split())}") from error
    if not found:
        raise InputError(f"{path} holds no closed contours of {', '.join(names[n] for n in wanted) or 'any region'}")
    return Slices(_planes(found, names, repairs), {number: names[number] for number in wanted}, "mm", repairs)


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
        kind, values = entry.ContourGeometricType, np.array(entry.get("ContourData") or [], dtype=np.float64)
        where = f"contour {index} of {name}"
        if kind == "POINT":
            repairs.append(f"{where} is a point and was left out")
            continue
        if not kind.startswith("CLOSED"):
            raise InputError(f"{path}: {where} is {kind}; only closed planar contours enclose a solid")
        stated = entry.get("NumberOfContourPoints")
        points = len(values) // 3 if stated is None else int(stated)
        if len(values) != 3 * points:
            raise InputError(f"{path}: {where} has {len(values)} coordinates for {points} points")
        if not points:
            repairs.append(f"{where} has no points and was left out")
            continue
        if not np.isfinite(values).all():
            raise InputError(f"{path}: {where} has a coordinate that is not finite")
        contours.append(Contour(values.reshape(-1, 3), number))
    return contours


def _planes(contours: list[Contour], names: dict[int, str], repairs: list[str]) -> list[Plane]:
    """Contours gathered by plane and moved onto it; the larger ones decide which way the planes face."""
    contours = sorted(contours, key=_size, reverse=True)
    fits = [fitted_plane(contour.vertices) for contour in contours]
    larger = np.array([normal for normal, _ in fits[: (len(fits) + 1) // 2]])
    # of their normals the one nearest to all, so that a vertex far off its plane turns no other contour
    shared = larger[np.abs(larger @ np.linalg.svd(larger, full_matrices=False)[2][0]).argmax()]
    shared = shared if shared[np.abs(shared).argmax()] > 0 else -shared
    normals, offsets = np.empty((0, 3)), np.empty(0)
    members: list[list[Contour]] = []
    for contour, fit in zip(contours, fits, strict=True):
        near = max(SAME, ROUGH * float(_away(contour, *fit)))
        away = _away(contour, normals, offsets)
        if (away > near).all():
            middle = float(np.median(contour.vertices @ shared))
            normal, offset = (shared, middle) if _away(contour, shared, middle) <= near else fit
            normals, offsets = np.vstack([normals, normal]), np.append(offsets, offset)
            members.append([contour])
        else:
            members[int(away.argmin())].append(contour)
    planes, moved, scale = [], dict.fromkeys(names, 0.0), _size(contours[0])
    for normal, offset, group in zip(normals, offsets.tolist(), members, strict=True):
        for place, contour in enumerate(group):
            off = contour.vertices @ normal - offset
            most = float(np.abs(off).max())
            if EXACT * scale < most <= BENT * scale:
                moved[contour.label] = max(moved[contour.label], most)
                group[place] = replace(contour, vertices=contour.vertices - off[:, None] * normal)
        planes.append(Plane(normal, offset, tuple(group)))
    repairs += [
        f"{names[label]}: vertices lay up to {most:.3g} mm off their planes and were moved onto them"
        for label, most in moved.items()
        if most
    ]
    return sorted(planes, key=lambda plane: float(plane.vertices.mean(0) @ shared))


def _size(contour: Contour) -> float:
    return float(np.linalg.norm(np.ptp(contour.vertices, axis=0)))


def _away(contour: Contour, normals: np.ndarray, offsets: np.ndarray | float) -> np.ndarray:
    """How far the vertices lie off planes on average."""
    return np.abs(contour.vertices @ normals.T - offsets).mean(0)
