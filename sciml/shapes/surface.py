"""The surface on which a field is zero, from evaluations near it only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from sciml.shapes.optional import require
from sciml.shapes.topology import Points, simplest, tetrahedral_surface, with_betti_numbers

Topology = Sequence[int] | Literal["simplest"] | None
"""Pieces, handles and cavities of a solid, the fewest that may be, or those that its field has."""

LEVELS = 3  # grids, each twice as fine as the one before


def extract(
    field: Callable[[np.ndarray], np.ndarray],
    low: np.ndarray,
    high: np.ndarray,
    resolution: int,
    seeds: np.ndarray,
    betti: Topology = None,
    away: Callable[[np.ndarray], np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Marching cubes on a grid of ``resolution`` cubic cells along the longest side of a box.

    A coarse grid is evaluated everywhere. A finer one only in the cells that the surface passes, or that hold a seed,
    and from there on wherever the surface leads: what touches a seed or a coarse cell is complete.

    Args:
        field: negative inside, (N, 3) -> (N,). On the box's faces it is taken to be positive, so that a solid that
            reaches them ends there.
        seeds: points near the surface (n, 3).
        betti: numbers of pieces, handles and cavities of the solid, which the field is changed to have, or "simplest" for as
            few as may be by changes at points that are nearer to the surface than to where the field is known. No piece with
            a seed is dropped. None takes it as it is.
        away: how far points (N, 3) are from where the field is known (N,), for "simplest"; by default infinitely far.

    Returns:
        Vertices (V, 3), faces (F, 3) that face outward, and the number of points evaluated. No vertices when the field
        is negative nowhere.

    Raises:
        InputError: there is no such solid.
    """
    measure = require("skimage.measure", "extracting a surface")
    factor = 2 ** (LEVELS - 1)
    step = float((high - low).max()) / resolution
    coarse = np.maximum(2, np.ceil((high - low) / (step * factor) - 1e-9)).astype(int)
    low = (low + high - coarse * factor * step) / 2
    values, known = np.zeros(coarse + 1), np.zeros(coarse + 1, dtype=bool)
    active = np.ones(coarse, dtype=bool)
    evaluated = 0
    for level in range(LEVELS):
        size = step * 2 ** (LEVELS - 1 - level)
        if level:
            coarser = _crossed(values)
            values, known = _refined(values), _spread(known)
            # the last grid follows the surface alone, those before it search all around it
            active = _crossed(values) if level == LEVELS - 1 else _children(coarser)
        cells = np.floor((seeds - low) / size).astype(int)
        cells = cells[((cells >= 0) & (cells < active.shape)).all(1)]
        active[tuple(cells.T)] = True
        while (missing := _corners(active) & ~known).any():
            index = np.argwhere(missing)
            found = field(low + index * size)
            on_face = ((index == 0) | (index == np.array(missing.shape) - 1)).any(1)
            values[missing] = np.where(on_face, np.abs(found), found)
            known |= missing
            evaluated += len(index)
            active = _crossed(values)
    values = _off_zero(values)
    if values.min() >= 0:
        return np.empty((0, 3)), np.empty((0, 3), dtype=np.int64), evaluated
    if betti is None:
        vertices, faces, _, _ = measure.marching_cubes(values, 0.0, gradient_direction="ascent")
    else:
        held = np.zeros(np.array(values.shape) - 1, dtype=bool)
        held[tuple(cells.T)] = True

        def cells_away(points: Points) -> np.ndarray:
            return np.full(len(points[0]), np.inf) if away is None else away(low + np.stack(points, axis=1) * step) / step

        if isinstance(betti, str):
            changed = simplest(values, _corners(held), cells_away)
        else:
            changed = with_betti_numbers(values, betti, _corners(held))
        vertices, faces = tetrahedral_surface(changed)
    vertices, faces = low + vertices.astype(np.float64) * step, faces.astype(np.int64)
    a, b, c = (vertices[faces[:, i]] - low for i in range(3))
    if np.einsum("ij,ij->", a, np.cross(b, c)) < 0:
        faces = faces[:, ::-1]
    return vertices, faces, evaluated


def _refined(values: np.ndarray) -> np.ndarray:
    """Values on the grid twice as fine, by linear interpolation."""
    for axis in range(3):
        values = np.moveaxis(values, axis, 0)
        fine = np.empty((2 * len(values) - 1, *values.shape[1:]))
        fine[::2], fine[1::2] = values, (values[1:] + values[:-1]) / 2
        values = np.moveaxis(fine, 0, axis)
    return values


def _spread(known: np.ndarray) -> np.ndarray:
    fine = np.zeros([2 * n - 1 for n in known.shape], dtype=bool)
    fine[::2, ::2, ::2] = known
    return fine


def _children(cells: np.ndarray) -> np.ndarray:
    """The cells twice as fine."""
    return cells.repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2)


def _crossed(values: np.ndarray) -> np.ndarray:
    """Cells with corners on both sides of the surface."""
    inside = values < 0
    some, every = inside, inside
    for axis in range(3):
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        some, every = some[low] | some[high], every[low] & every[high]
    return some & ~every


def _corners(cells: np.ndarray) -> np.ndarray:
    """Grid points of the cells."""
    points = np.zeros([n + 1 for n in cells.shape], dtype=bool)
    for i in (0, 1):
        for j in (0, 1):
            for k in (0, 1):
                nx, ny, nz = cells.shape
                points[i : i + nx, j : j + ny, k : k + nz] |= cells
    return points


def _off_zero(values: np.ndarray) -> np.ndarray:
    """Single precision, and no value so small that vertices of the surface would coincide."""
    slopes = np.concatenate([np.abs(np.diff(values, axis=axis)).ravel()[:: 1 + values.size // 10**5] for axis in range(3)])
    least = 1e-3 * float(np.median(slopes)) or 1e-12
    return np.where(np.abs(values) < least, np.where(values < 0, -least, least), values).astype(np.float32)
