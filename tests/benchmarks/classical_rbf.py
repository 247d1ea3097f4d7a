"""The classical interpolation of cross-sections: one dense system of cubic radial basis functions, by SciPy.

Source: J. C. Carr et al., Reconstruction and representation of 3D objects with radial basis functions, SIGGRAPH 2001, without
its fast evaluation, so that some thousands of centres are what a desktop affords.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

CENTRES = 3000  # of a label
OFFSET = 0.01  # from a contour to the points beside it, in units of half the diagonal of the label's box
PUSHED = 0.25  # by so much the convex hull grows, in units of its own size
OUTSIDE = 0.15  # value there
RIDGE = 1e-6


def classical_rbf(slices: Any) -> Callable[[Any], Any]:
    """A field (N, 3) -> (N, labels), negative inside: zero on the contours, the offset beside them within the plane."""
    import torch

    columns = [_column(slices, label) for label in slices.labels]

    def field(points: Any) -> Any:
        places = points.detach().cpu().double().numpy()
        return torch.stack([torch.from_numpy(column(places)).to(points) for column in columns], dim=1)

    return field


def _column(slices: Any, label: int) -> Callable[[np.ndarray], np.ndarray]:
    from scipy.interpolate import RBFInterpolator
    from scipy.spatial import ConvexHull

    from sciml.shapes.methods.rbf import spacing

    low, high = slices.label_bounds(label)
    centre, scale = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    step = spacing(slices, label, CENTRES)
    known = [_on_plane(plane, label, step, OFFSET * scale) for plane in slices.planes]
    on, beside, distances = (np.concatenate(part) for part in zip(*known, strict=True))
    hull = on[ConvexHull(on).vertices]
    hull = hull + PUSHED * (hull - hull.mean(0))
    values = [np.zeros(len(on)), distances / scale, np.full(len(hull), OUTSIDE)]
    places = (np.concatenate([on, beside, hull]) - centre) / scale
    fit = RBFInterpolator(places, np.concatenate(values), kernel="cubic", degree=1, smoothing=RIDGE)
    return lambda points: scale * fit((points - centre) / scale)


def _on_plane(plane: Any, label: int, step: float, offset: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (n, 3) on the contours, two (2 n, 3) beside each, and the signed distances (2 n,) of these."""
    import torch

    from sciml.geometry.facets import Segments
    from sciml.shapes.loops import resample

    empty = np.empty((0, 3))
    loops = [resample(c.vertices, step) for c in plane.contours if c.label == label]
    if not loops:
        return empty, empty, np.empty(0)
    across = [np.cross(np.roll(loop, -1, axis=0) - np.roll(loop, 1, axis=0), plane.normal) for loop in loops]
    on, normals = np.concatenate(loops), np.concatenate(across)
    length = np.linalg.norm(normals, axis=1)
    on, normals = on[length > 0], normals[length > 0] / length[length > 0, None]
    beside = np.concatenate([on + offset * normals, on - offset * normals])
    inside = Segments(torch.from_numpy(plane.ends(label))).contains(torch.from_numpy(plane.frame.flatten(beside)))
    return on, beside, np.where(inside.numpy(), -offset, offset)
