"""Interpolation by cubic polyharmonic functions, for planes of any orientation.

Source: J. C. Carr et al., Reconstruction and representation of 3D objects with radial basis functions, SIGGRAPH 2001; here
with slopes of a distance in space, which are not those in the plane.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.geometry.facets import Segments
from sciml.shapes.loops import resample
from sciml.shapes.methods.patches import Patches
from sciml.shapes.slices import Plane, Slices

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

OFFSET = 0.005  # from a contour to the points beside it, in units of half the diagonal of the label's box
MARGIN = 0.25  # of the box of points that are known to be outside, in units of the box's own size
SIDE = 16  # points of the lattice along each side of a plane
FINER = 4  # times as many points of the contours as have centres are looked at after a fit
ACCURACY = 0.001  # of a field on the contours, in the same units
FURTHER = 3  # refits at most while a point is inside that is known to be outside
LEAST = 0.1  # of the slopes: a plane that touches the solid has none


def rbf(slices: Slices, points: int = 12_000, refits: int = 2) -> Callable[[Tensor], Tensor]:
    """A field (N, 3) -> (N, labels), negative inside.

    It is zero on the contours, and beside them the distance within the plane; the plane may be oblique to the surface,
    where a distance in space rises more slowly. Every refit therefore scales those values by the slopes that make the
    last fit's gradient a unit vector, and adds points of the contours that this fit misses and points of the planes that
    lie on its wrong side. Planes without a contour and points around everything count in the first fit, so that it closes,
    and then only where they are on the wrong side, too: a dome that ends before them is continued better without. Parallel
    planes are followed by an empty one at either end.

    Args:
        points: about how many centres a label gets to begin with.
        refits: after the first fit.

    Raises:
        InputError: no points, or fewer than no refits.
    """
    for name, value, least in (("points", points, 1), ("refits", refits, 0)):
        if not value >= least:
            raise InputError(f"{name} must be at least {least}, got {value!r}")
    columns = [_Column(slices, label, points, refits) for label in slices.labels]
    return lambda places: torch.stack([column(places) for column in columns], dim=1)


def spacing(slices: Slices, label: int, points: int = 12_000) -> float:
    """Distance between the centres on a contour of ``label``."""
    loops = [c.vertices for plane in slices.planes for c in plane.contours if c.label == label]
    length = sum(float(np.linalg.norm(loop - np.roll(loop, 1, axis=0), axis=1).sum()) for loop in loops)
    return 3 * length / points


class _Column:
    """The field of one label, in coordinates in which its box has a diagonal of two."""

    field: Patches

    def __init__(self, slices: Slices, label: int, points: int, refits: int) -> None:
        from scipy.spatial import cKDTree  # changes the warning filters when it is imported

        low, high = slices.label_bounds(label)
        self.centre, self.scale = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
        self.half = np.maximum((high - low) / 2, 0.1 * self.scale) / self.scale
        self.between = self._between(slices, label)
        step = spacing(slices, label, points) / self.scale
        planes = [*slices.planes, *slices.ends]
        loops = [[self._inward(c.vertices) for c in plane.contours if c.label == label] for plane in planes]
        outlines = [[resample(loop, step) for loop in own] for own in loops]
        contours = torch.from_numpy(np.concatenate([resample(loop, step / FINER) for own in loops for loop in own]))
        tree = cKDTree(np.concatenate([loop for own in outlines for loop in own]))
        known = [self._on_plane(plane, label, loops, tree) for plane, loops in zip(planes, outlines, strict=True)]
        on, normals, beside, distances, lattice, depths = (
            torch.from_numpy(np.concatenate(part)) for part in zip(*known, strict=True)
        )
        # an empty plane, and points around the box, count everywhere at first
        wrong = torch.cat([torch.full((len(part[4]),), not len(part[0])) for part in known])
        shell = np.array([c for c in product((-1, 0, 1), repeat=3) if any(c)]) * self.half * (1 + 2 * MARGIN)
        lattice = torch.cat([lattice, torch.from_numpy(shell)])
        depths = torch.cat([depths, torch.from_numpy(tree.query(shell)[0])])
        wrong = torch.cat([wrong, wrong.new_ones(len(shell))])
        outside, slopes = wrong.clone(), torch.ones(len(on), dtype=on.dtype)
        off = torch.zeros(len(contours), dtype=torch.bool)
        for refit in range(refits + 1 + FURTHER * bool(refits)):
            if refit:
                missed = self.field(lattice) * depths < 0
                if refit > refits and not (missed & outside).any():
                    break
                wrong = missed if refit == 1 else wrong | missed
                across = (self.field(on + OFFSET * normals) - self.field(on - OFFSET * normals)) / (2 * OFFSET)
                slopes = (slopes / torch.hypot(slopes, across)).clamp(min=LEAST)
                off |= self.field(contours).abs() > ACCURACY
            places = [on, beside.reshape(-1, 3), lattice[wrong], contours[off]]
            beside_values = (slopes[:, None] * distances).ravel()
            values = [torch.zeros_like(slopes), beside_values, depths[wrong], torch.zeros_like(contours[off, 0])]
            self.field = Patches(torch.cat(places), torch.cat(values))

    def _inward(self, points: np.ndarray) -> np.ndarray:
        return (points - self.centre) / self.scale

    def _on_plane(self, plane: Plane, label: int, loops: list[np.ndarray], tree: cKDTree) -> tuple[np.ndarray, ...]:
        """Points on the contours, normals of the plane there, two points beside each, and a lattice; values of both."""
        found = [(np.empty((0, 3)), np.empty((0, 2, 3))), *(_beside(loop, plane) for loop in loops)]
        on, beside = (np.concatenate(part) for part in zip(*found, strict=True))
        lattice = self._lattice(plane)
        limit = tree.query(lattice)[0]
        lattice, limit = lattice[limit > 2 * OFFSET], limit[limit > 2 * OFFSET]
        places = np.concatenate([beside.reshape(-1, 3), lattice])
        values = np.concatenate([np.full(2 * len(on), np.inf), limit])
        ends = plane.ends(label)
        if len(ends):
            flat = torch.from_numpy(plane.frame.flatten(places * self.scale + self.centre))
            segments = Segments(torch.from_numpy(ends))
            values = np.minimum(segments.distance(flat).numpy() / self.scale, values)
            values = np.where(segments.contains(flat).numpy(), -values, values)
        distances, depths = values[: 2 * len(on)].reshape(-1, 2), values[2 * len(on) :]
        return on, np.broadcast_to(plane.normal, on.shape), beside, distances, lattice, depths

    def _lattice(self, plane: Plane) -> np.ndarray:
        """A lattice on the plane within the label's box."""
        reach = self.half * (1 + MARGIN)
        foot = (plane.offset - plane.normal @ self.centre) / self.scale * plane.normal
        axes = plane.frame.axes
        extent = np.abs(axes) @ reach
        u, v = (np.linspace(-e, e, SIDE) for e in extent)
        grid = np.stack(np.meshgrid(u, v, indexing="ij"), axis=-1).reshape(-1, 2)
        lattice = foot + grid @ axes
        return lattice[(np.abs(lattice) <= reach * (1 + 1e-9)).all(1)]

    def __call__(self, points: Tensor) -> Tensor:
        places = ((points - torch.from_numpy(self.centre).to(points)) / self.scale).to(torch.float64)
        field = self.field(places).to(points) * self.scale
        if self.between is None:
            return field
        normal, low, high = self.between
        height = points @ torch.from_numpy(normal).to(points)
        return torch.maximum(field, torch.maximum(low - height, height - high))

    @staticmethod
    def _between(slices: Slices, label: int) -> tuple[np.ndarray, float, float] | None:
        """The normal of parallel planes and the heights of the empty ones next to a label; None for other planes."""
        if not slices.parallel:
            return None
        heights = np.append(slices.heights, [plane.offset for plane in slices.ends])
        taken = slices.heights[[label in plane.labels for plane in slices.planes]]
        return slices.planes[0].normal, heights[heights < taken.min()].max(), heights[heights > taken.max()].min()


def _beside(loop: np.ndarray, plane: Plane) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) of a loop and, within the plane, the two (n, 2, 3) beside each."""
    across = np.cross(np.roll(loop, -1, axis=0) - np.roll(loop, 1, axis=0), plane.normal)
    length = np.linalg.norm(across, axis=1)
    loop, across = loop[length > 0], OFFSET * across[length > 0] / length[length > 0, None]
    return loop, np.stack([loop + across, loop - across], axis=1)
