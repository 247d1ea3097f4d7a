"""How close a reconstructed solid comes to a reference or to cross-sections.

A mesh is anything with ``vertices`` (V, 3) and closed ``faces`` (F, 3), such as a ``trimesh.Trimesh``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sciml.geometry.facets import Segments
from sciml.shapes.cut import section
from sciml.shapes.loops import area, ends_of, fill, resample
from sciml.shapes.optional import require
from sciml.shapes.slices import Plane, Slices, grid

SAMPLES = 2**16
PLANE_GRID = 256  # points along each side of a plane
CONTOUR_POINTS = 32  # along a contour


def iou(mesh: Any, reference: Any, samples: int = SAMPLES) -> float:
    """Volume of the intersection over that of the union, from Sobol points in the box around both."""
    igl = require("igl", "a metric")
    surfaces = [_arrays(mesh), _arrays(reference)]
    corners = np.concatenate([vertices for vertices, _ in surfaces])
    low, high = corners.min(0), corners.max(0)
    unit = torch.quasirandom.SobolEngine(3, scramble=True, seed=0).draw(samples, dtype=torch.float64).numpy()
    points = low + unit * (high - low)
    first, second = (np.abs(igl.fast_winding_number(*surface, points)) > 0.5 for surface in surfaces)
    return float((first & second).sum() / max(1, (first | second).sum()))


def surface_distances(mesh: Any, reference: Any, samples: int = 2**14) -> dict[str, float]:
    """Distances between two surfaces, from points on one to the nearest point of the other.

    Returns:
        ``chamfer``, the mean of the two mean distances, and ``hausdorff``, the larger of the two largest, both over the
        diagonal of the reference's box; ``normal_consistency``, the mean of |cos| between the two normals.
    """
    igl = require("igl", "a metric")
    surfaces = [_arrays(mesh), _arrays(reference)]
    diagonal = float(np.linalg.norm(np.ptp(surfaces[1][0], axis=0)))
    means, largest, cosines = [], [], []
    for source, target in (surfaces, surfaces[::-1]):
        points, normals = _sample(*source, samples)
        squares, faces, _ = igl.point_mesh_squared_distance(points, *target)
        distance = np.sqrt(squares)
        means.append(distance.mean())
        largest.append(distance.max())
        cosines.append(np.abs((normals * _normals(*target)[faces]).sum(1)).mean())
    return {
        "chamfer": float(np.mean(means)) / diagonal,
        "hausdorff": float(max(largest)) / diagonal,
        "normal_consistency": float(np.mean(cosines)),
    }


def euler_characteristic(mesh: Any) -> int:
    """Vertices minus edges plus faces: 2 for every sphere, 0 for a torus, -2 for one with two holes."""
    faces = np.asarray(mesh.faces)
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    return len(np.unique(faces)) - len(np.unique(edges, axis=0)) + len(faces)


def slice_iou(mesh: Any, slices: Slices, label: int | str | None = None) -> float:
    """Area of the intersection over that of the union of ``mesh``, cut at the planes, and ``slices``; of all planes.

    0 where no point of a plane sees either, since the label has contours.
    """
    shared, ours, theirs = _areas(mesh, slices, slices.label(label))
    union = ours + theirs - shared
    return shared / union if union else 0.0


def dice(mesh: Any, slices: Slices, label: int | str | None = None) -> float:
    """Twice the area shared with cross-sections, which ``mesh`` was not made from, over the sum of both areas."""
    shared, ours, theirs = _areas(mesh, slices, slices.label(label))
    return 2 * shared / (ours + theirs) if ours + theirs else 1.0


def missed_contours(mesh: Any, slices: Slices, label: int | str | None = None) -> list[float]:
    """Areas of contours that have nothing of ``mesh`` within them, and of holes that have nothing but it, on all planes."""
    label, cuts = slices.label(label), _sections(mesh, slices)
    return [found for plane, cut in zip(slices.planes, cuts, strict=True) for found in _missed(plane, cut, label, slices)]


def _missed(plane: Plane, cut: Plane, label: int, slices: Slices) -> list[float]:
    loops, surface, found = plane.loops(label), cut.ends(1, plane.frame), []
    for number, loop in enumerate(loops):
        points = resample(loop, np.inf, CONTOUR_POINTS)
        for winner in slices.winners(label):
            points = points[~_within(plane.ends(winner), points)]
        covered = _within(surface, points)
        if covered.any() != covered.all() or not len(points) or _within(ends_of(loop), surface[:, 0]).any():
            continue  # the mesh's surface passes through the contour, or another label has all of it
        others = [np.empty((0, 2, 2)), *map(ends_of, loops[:number] + loops[number + 1 :])]
        hole = _within(np.concatenate(others), points).mean() > 0.5
        if covered.any() == hole:
            found.append(abs(area(loop)))
    return found


def _within(ends: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Whether points (N, 2) lie within segments (M, 2, 2)."""
    if not len(ends):
        return np.zeros(len(points), dtype=bool)
    return Segments(torch.from_numpy(ends)).contains(torch.from_numpy(points)).numpy()


def _sections(mesh: Any, slices: Slices) -> list[Plane]:
    """The planes with the contours of ``mesh``."""
    surface = _arrays(mesh)
    return [Plane(plane.normal, plane.offset, section(*surface, plane) if len(mesh.faces) else ()) for plane in slices.planes]


def _areas(mesh: Any, slices: Slices, label: int) -> tuple[float, float, float]:
    """Of the intersection, of the mesh's cross-sections and of the given ones."""
    total = np.zeros(3)
    for number, (plane, cut) in enumerate(zip(slices.planes, _sections(mesh, slices), strict=True)):
        x, y = grid(plane, PLANE_GRID, cut.loops(1, plane.frame))
        ours, theirs = fill(cut.ends(1, plane.frame), x, y), slices.raster(number, label, x, y)
        total += np.array([(ours & theirs).sum(), ours.sum(), theirs.sum()]) * (x[1] - x[0]) * (y[1] - y[0])
    shared, first, second = total.tolist()
    return shared, first, second


def _arrays(mesh: Any) -> tuple[np.ndarray, np.ndarray]:
    vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)
    return np.ascontiguousarray(vertices), np.ascontiguousarray(faces)


def _normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    normal = _doubled(vertices, faces)
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)


def _doubled(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Normals as long as twice the areas."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return np.cross(b - a, c - a)


def _sample(vertices: np.ndarray, faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Evenly spread points on a surface and the normals there."""
    unit = torch.quasirandom.SobolEngine(3, scramble=True, seed=0).draw(count, dtype=torch.float64).numpy()
    doubled = np.linalg.norm(_doubled(vertices, faces), axis=1)
    share = doubled.cumsum() / doubled.sum()
    rows = np.minimum(np.searchsorted(share, unit[:, 0], side="right"), len(faces) - 1)
    root, turn = np.sqrt(unit[:, 1:2]), unit[:, 2:]
    a, b, c = (vertices[faces[rows, i]] for i in range(3))
    return a + root * (b - a + turn * (c - b)), _normals(vertices, faces)[rows]
