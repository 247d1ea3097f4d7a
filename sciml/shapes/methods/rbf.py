"""Interpolation by cubic polyharmonic functions, for planes of any orientation.

Source: J. C. Carr et al., Reconstruction and representation of 3D objects with radial basis functions, SIGGRAPH 2001.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from sciml.geometry.facets import Segments
from sciml.shapes.loops import resample
from sciml.shapes.slices import Plane, Slices

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

OFFSET = 0.005  # from a contour to the points beside it, in units of half the diagonal of the label's box
MARGIN = 0.25  # of the box of points that are known to be outside, in units of the box's own size
RIDGE = 1e-6
SHARE = 0.1  # of the points that lie on the planes away from the contours
SIDE = 4  # points at least along each side of a plane: few say how deep a small solid is
BLOCK = 2**12  # points evaluated together


def rbf(slices: Slices, points: int = 3000) -> Callable[[Tensor], Tensor]:
    """A field (N, 3) -> (N, labels), negative inside: one dense system a label.

    The values are signed distances to the nearest contour: zero on it, exact beside it, and a lower bound elsewhere.
    Parallel planes are continued by an empty one at either end.

    Args:
        points: about how many centres a label gets; time grows with their square and cube.
    """
    columns = [_Column(slices, label, points) for label in slices.labels]
    return lambda places: torch.stack([column(places) for column in columns], dim=1)


def spacing(slices: Slices, label: int, points: int = 3000) -> float:
    """Distance between the centres on a contour of ``label``."""
    loops = [c.vertices for plane in slices.planes for c in plane.contours if c.label == label]
    length = sum(float(np.linalg.norm(loop - np.roll(loop, 1, axis=0), axis=1).sum()) for loop in loops)
    return length / (points * (1 - SHARE) / 3)


class _Column:
    """The field of one label, in coordinates in which its box has a diagonal of two."""

    def __init__(self, slices: Slices, label: int, points: int) -> None:
        from scipy.spatial import cKDTree  # changes the warning filters when it is imported

        low, high = slices.label_bounds(label)
        self.centre, self.scale = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
        self.half = np.maximum((high - low) / 2, 0.1 * self.scale) / self.scale
        step = spacing(slices, label, points) / self.scale
        planes = [*slices.planes, *slices.ends]
        outlines = [[resample(self._inward(c.vertices), step) for c in plane.contours if c.label == label] for plane in planes]
        tree = cKDTree(np.concatenate([loop for loops in outlines for loop in loops]))
        side = max(SIDE, round((SHARE * points / len(planes)) ** 0.5))
        places, values = [], []
        for plane, loops in zip(planes, outlines, strict=True):
            p, v = self._on_plane(plane, label, loops, tree, side)
            places.append(p)
            values.append(v)
        shell = np.array([c for c in product((-1, 0, 1), repeat=3) if any(c)]) * self.half * (1 + 2 * MARGIN)
        centres = np.concatenate([*places, shell])
        self.centres = torch.from_numpy(centres)
        self.weights = _solve(self.centres, torch.from_numpy(np.concatenate([*values, tree.query(shell)[0]])))

    def _inward(self, points: np.ndarray) -> np.ndarray:
        return (points - self.centre) / self.scale

    def _on_plane(
        self, plane: Plane, label: int, loops: list[np.ndarray], tree: cKDTree, side: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points on a plane and their values: on the contours, beside them, and on a lattice."""
        beside = [point for loop in loops for point in self._beside(loop, plane)]
        lattice = self._lattice(plane, side)
        distance = tree.query(lattice)[0]
        lattice, distance = lattice[distance > 2 * OFFSET], distance[distance > 2 * OFFSET]
        places = np.concatenate([np.empty((0, 3)), *beside, lattice])
        limit = np.concatenate([np.full(len(places) - len(lattice), np.inf), distance])
        ends = plane.ends(label)
        if len(ends):
            flat = torch.from_numpy(plane.frame.flatten(places * self.scale + self.centre))
            segments = Segments(torch.from_numpy(ends))
            exact = np.minimum(segments.distance(flat).numpy() / self.scale, limit)
            values = np.where(segments.contains(flat).numpy(), -exact, exact)
        else:
            values = limit
        on = np.concatenate([np.empty((0, 3)), *loops])
        return np.concatenate([on, places]), np.concatenate([np.zeros(len(on)), values])

    def _beside(self, loop: np.ndarray, plane: Plane) -> list[np.ndarray]:
        along = np.roll(loop, -1, axis=0) - np.roll(loop, 1, axis=0)
        across = np.cross(along, plane.normal)
        length = np.linalg.norm(across, axis=1)
        across, loop = (values[length > 0] for values in (across / np.maximum(length, 1e-300)[:, None], loop))
        return [loop + OFFSET * across, loop - OFFSET * across]

    def _lattice(self, plane: Plane, side: int) -> np.ndarray:
        """A lattice on the plane within the label's box."""
        reach = self.half * (1 + MARGIN)
        foot = (plane.offset - plane.normal @ self.centre) / self.scale * plane.normal
        axes = plane.frame.axes
        extent = np.abs(axes) @ reach
        u, v = (np.linspace(-e, e, side) for e in extent)
        grid = np.stack(np.meshgrid(u, v, indexing="ij"), axis=-1).reshape(-1, 2)
        lattice = foot + grid @ axes
        return lattice[(np.abs(lattice) <= reach * (1 + 1e-9)).all(1)]

    def __call__(self, points: Tensor) -> Tensor:
        centre = torch.from_numpy(self.centre).to(points)
        centres, weights = self.centres.to(points.device), self.weights.to(points.device)
        places = ((points - centre) / self.scale).to(centres.dtype)
        values = [_kernel(part, centres) @ weights[:-4] + weights[-4] + part @ weights[-3:] for part in places.split(BLOCK)]
        return torch.cat([points.new_empty(0, dtype=centres.dtype), *values]).to(points) * self.scale


def _kernel(points: Tensor, centres: Tensor) -> Tensor:
    """Cubed distances (N, M)."""
    squares = points.square().sum(1)[:, None] + centres.square().sum(1) - 2 * points @ centres.T
    squares.clamp_(min=0)
    return squares.sqrt().mul_(squares)


def _solve(centres: Tensor, values: Tensor) -> Tensor:
    """Weights of the kernels, a constant and the coordinates."""
    n = len(centres)
    matrix = centres.new_zeros(n + 4, n + 4)
    matrix[:n, :n] = _kernel(centres, centres)
    matrix[:n, :n].diagonal().add_(RIDGE)
    matrix[:n, n] = matrix[n, :n] = 1
    matrix[:n, n + 1 :] = centres
    matrix[n + 1 :, :n] = centres.T
    return torch.linalg.solve(matrix, torch.cat([values, values.new_zeros(4)]))
