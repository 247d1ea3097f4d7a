"""How close a reconstructed solid comes to a reference or to cross-sections.

A mesh is anything with ``vertices`` (V, 3) and closed ``faces`` (F, 3), such as a ``trimesh.Trimesh``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sciml.shapes.cut import slice_mesh
from sciml.shapes.loops import fill
from sciml.shapes.optional import require
from sciml.shapes.slices import Slices, grid

SAMPLES = 2**16
PLANE_GRID = 256  # points along each side of a plane


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
    """Area of the intersection over that of the union of ``mesh``, cut at the planes, and ``slices``; of all planes."""
    shared, ours, theirs = _areas(mesh, slices, slices.label(label))
    union = ours + theirs - shared
    return shared / union if union else 1.0


def dice(mesh: Any, slices: Slices, label: int | str | None = None) -> float:
    """Twice the area shared with cross-sections, which ``mesh`` was not made from, over the sum of both areas."""
    shared, ours, theirs = _areas(mesh, slices, slices.label(label))
    return 2 * shared / (ours + theirs) if ours + theirs else 1.0


def _areas(mesh: Any, slices: Slices, label: int) -> tuple[float, float, float]:
    """Of the intersection, of the mesh's cross-sections and of the given ones."""
    total = np.zeros(3)
    cuts = [slice_mesh(mesh, [plane]).planes[0] for plane in slices.planes]
    for number, (plane, cut) in enumerate(zip(slices.planes, cuts, strict=True)):
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
