"""A picture of cross-sections and of the surface through them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sciml.shapes.slices import Slices
from sciml.viz.figure import RESOLUTION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FACES = 20_000  # drawn at most


def plot_shape(slices: Slices, meshes: Mapping[str, Any]) -> Figure:
    """The contours on the left, the meshes by name on the right, seen from the same place."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection  # type: ignore[import-untyped]

    figure = Figure(figsize=(9, 4.4), dpi=RESOLUTION, layout="constrained")
    left, right = (figure.add_subplot(1, 2, k, projection="3d") for k in (1, 2))
    corners = np.concatenate([*slices.bounds, *(mesh.bounds.ravel() for mesh in meshes.values())]).reshape(-1, 3)
    low, high = corners.min(0), corners.max(0)
    for k, label in enumerate(slices.labels):
        loops = [c.vertices for plane in slices.planes for c in plane.contours if c.label == label]
        closed = [np.concatenate([loop, loop[:1]]) for loop in loops]
        left.add_collection3d(Line3DCollection(closed, colors=[colormaps["tab10"](k % 10)], linewidths=0.8))
    for k, mesh in enumerate(meshes.values()):
        corners = mesh.triangles
        if len(corners) > FACES:  # matplotlib draws too slowly otherwise
            corners = _coarser(mesh, float((high - low).max()) / 60)
        right.add_collection3d(Poly3DCollection(corners, facecolors=[colormaps["tab10"](k % 10)], shade=True, linewidths=0))
    for panel, title in ((left, f"{len(slices)} planes"), (right, ", ".join(meshes) if len(meshes) > 1 else "surface")):
        panel.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]), title=title)
        panel.set_box_aspect(np.maximum(high - low, 1e-3 * (high - low).max()))
        panel.tick_params(labelsize="x-small")
    return figure


def _coarser(mesh: Any, size: float) -> np.ndarray:
    """Triangles (F, 3, 3) after the vertices in every cell of width ``size`` are gathered in their mean."""
    cells = np.floor((mesh.vertices - mesh.vertices.min(0)) / size).astype(int)
    _, group, count = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    group = group.reshape(-1)
    centres = np.stack([np.bincount(group, column) for column in mesh.vertices.T], axis=1) / count[:, None]
    faces = group[mesh.faces]
    distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    return centres[faces[distinct]]
