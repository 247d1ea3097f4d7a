"""What is mended or refused when cross-sections come in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sciml.errors import InputError
from sciml.shapes.frame import fitted_plane
from sciml.shapes.loops import crosses, filled_area, overlap

if TYPE_CHECKING:
    from sciml.shapes.slices import Contour, Plane

# All relative to the diagonal of the box around all contours.
EXACT = 1e-6  # vertices so far off their plane are rounding, and so are differences of areas
SHIFTED = 1e-3  # vertices that lie on a parallel plane up to so much are moved onto it
REFITTED = 1e-2  # vertices farther than this from every plane are refused


def clean(planes: list[Plane]) -> tuple[tuple[Plane, ...], list[str]]:
    """Checked planes, and a sentence for everything that was changed."""
    if not planes:
        raise InputError("planes must hold at least one plane, got none")
    for number, plane in enumerate(planes, 1):
        _check(plane, f"plane {number}")
    points = np.concatenate([plane.vertices for plane in planes])
    scale = float(np.linalg.norm(np.ptp(points, axis=0))) if len(points) else 1.0
    repairs: list[str] = []
    mended = [_flatten(plane, f"plane {number}", scale, repairs) for number, plane in enumerate(planes, 1)]
    mended = [_tidy(plane, f"plane {number}", scale, repairs) for number, plane in enumerate(mended, 1)]
    merged = _merge(mended, scale, repairs)
    merged = [_distinct(plane, f"plane {number}", scale, repairs) for number, plane in enumerate(merged, 1)]
    for number, plane in enumerate(merged, 1):
        for label in plane.labels:
            if crosses(plane.ends(label)) or overlap(plane.loops(label)):
                repairs.append(f"contours of label {label} on plane {number} cross; filled by the even-odd rule")
    for label in sorted({label for plane in merged for label in plane.labels}):
        if not any(_fills(plane.loops(label)) for plane in merged):
            raise InputError(
                f"contours of label {label} enclose no area on any plane: filled by the even-odd rule they cancel; "
                "give the outline of every part once"
            )
    return tuple(merged), repairs


def _check(plane: Plane, where: str) -> None:
    normal = np.asarray(plane.normal, dtype=np.float64)
    if normal.shape != (3,) or not np.isfinite([*normal, plane.offset]).all() or not normal.any():
        raise InputError(f"{where}: its normal {normal.tolist()} and offset {plane.offset} must be finite, not zero")
    for number, contour in enumerate(plane.contours, 1):
        if contour.vertices.ndim != 2 or contour.vertices.shape[1] != 3:
            raise InputError(f"{where}, contour {number}: vertices must be (n, 3), got {contour.vertices.shape}")
        bad = ~np.isfinite(contour.vertices).all(1)
        if bad.any():
            row = int(bad.argmax())
            raise InputError(f"{where}, contour {number}: vertex {row} is {contour.vertices[row].tolist()}, not finite")


def _flatten(plane: Plane, where: str, scale: float, repairs: list[str]) -> Plane:
    """The plane with a unit normal, moved or turned to where its vertices are."""
    length = float(np.linalg.norm(plane.normal))
    normal, offset = np.asarray(plane.normal, dtype=np.float64) / length, float(plane.offset) / length
    vertices = plane.vertices
    off = _distance(vertices, normal, offset)
    if off > EXACT * scale:
        heights = vertices @ normal
        offset, change = float(heights.min() + heights.max()) / 2, "moved"
        rest = _distance(vertices, normal, offset)
        if rest > SHIFTED * scale:
            (fitted, offset), change = fitted_plane(vertices), "refitted"
            normal = fitted if fitted @ normal >= 0 else -fitted
            offset = offset if fitted @ normal >= 0 else -offset
            rest = _distance(vertices, normal, offset)
        if rest > REFITTED * scale:
            raise InputError(f"{where}: its vertices lie up to {rest:.3g} off every plane; contours must be planar")
        repairs.append(f"{where}: vertices lay up to {off:.3g} off it; the plane was {change} to them")
    contours = tuple(
        replace(c, vertices=c.vertices - (c.vertices @ normal - offset)[:, None] * normal) if off > EXACT * scale else c
        for c in plane.contours
    )
    return replace(plane, normal=normal, offset=offset, contours=contours)


def _distance(vertices: np.ndarray, normal: np.ndarray, offset: float) -> float:
    return float(np.abs(vertices @ normal - offset).max(initial=0))


def _tidy(plane: Plane, where: str, scale: float, repairs: list[str]) -> Plane:
    """Without repeated vertices and without contours that enclose nothing."""
    kept: list[Contour] = []
    repeated = 0
    for number, contour in enumerate(plane.contours, 1):
        new = np.abs(contour.vertices - np.roll(contour.vertices, 1, axis=0)).max(1, initial=0) > 1e-12 * scale
        loop = contour.vertices[new]
        repeated += len(new) - len(loop)
        length = float(np.linalg.norm(np.ptp(loop, axis=0))) if len(loop) else 0.0
        if len(loop) < 3 or filled_area(plane.frame.flatten(loop)) <= 1e-9 * scale * length:
            repairs.append(f"{where}: contour {number} encloses no area and was left out")
        else:
            kept.append(replace(contour, vertices=loop))
    if repeated:
        repairs.append(f"{where}: {repeated} repeated vertices were left out")
    return replace(plane, contours=tuple(kept))


def _merge(planes: list[Plane], scale: float, repairs: list[str]) -> list[Plane]:
    """One plane for those that coincide."""
    merged: list[Plane] = []
    for number, plane in enumerate(planes, 1):
        for place, other in enumerate(merged):
            sign = 1.0 if plane.normal @ other.normal > 0 else -1.0
            turned = float(np.linalg.norm(plane.normal - sign * other.normal))
            if turned < 1e-9 and abs(plane.offset - sign * other.offset) <= 1e-9 * scale:
                merged[place] = replace(other, contours=other.contours + plane.contours)
                repairs.append(f"plane {number} coincides with plane {place + 1} and was merged with it")
                break
        else:
            merged.append(plane)
    return merged


def _distinct(plane: Plane, where: str, scale: float, repairs: list[str]) -> Plane:
    """Every contour once, wherever it starts and whichever way it runs: twice it would be filled as nothing."""
    loops = [plane.frame.flatten(contour.vertices) for contour in plane.contours]
    labels = np.array([contour.label for contour in plane.contours])
    boxes = np.array([(loop.min(0), loop.max(0)) for loop in loops]).reshape(-1, 4)
    kept: list[int] = []
    for number, loop in enumerate(loops):
        near = (np.abs(boxes[kept] - boxes[number]).max(1, initial=0) <= EXACT * scale) & (labels[kept] == labels[number])
        if all(_fills([loop, loops[other]]) for other in np.array(kept, dtype=int)[near]):
            kept.append(number)
    if len(kept) < len(loops):
        repairs.append(f"{where}: {len(loops) - len(kept)} contours that repeat others were left out")
    return replace(plane, contours=tuple(plane.contours[number] for number in kept))


def _fills(loops: list[np.ndarray]) -> bool:
    """Whether loops (n, 2) do not cancel by the even-odd rule."""
    return len(loops) > 0 and filled_area(*loops) > EXACT * sum(map(filled_area, loops))
