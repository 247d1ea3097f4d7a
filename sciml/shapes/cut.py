"""Cross-sections cut out of a closed surface."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sciml.errors import InputError
from sciml.geometry import Mesh
from sciml.geometry.mesh import Triangles
from sciml.shapes.loops import trace
from sciml.shapes.optional import require
from sciml.shapes.slices import Contour, Plane, Slices


def load_mesh(path: str | Path) -> Any:
    """A closed surface from a file (STL, PLY, OBJ, OFF, glTF, ...) as a ``trimesh.Trimesh`` that faces outward.

    Raises:
        InputError: the file cannot be read, or its surface is not closed.
    """
    trimesh = require("trimesh", "a mesh")
    surface = Mesh(("x", "y", "z"), path)._facets  # read and checked by the geometry room
    assert isinstance(surface, Triangles)
    return trimesh.Trimesh(surface.vertices, surface.faces, process=False)


def slice_mesh(
    mesh: Any,
    planes: int | Iterable[Plane] = 15,
    normal: Sequence[float] | None = None,
    generator: torch.Generator | None = None,
) -> Slices:
    """Cut ``mesh``, anything with ``vertices`` (V, 3) and ``faces`` (F, 3), by planes.

    Args:
        planes: how many, or the planes themselves, whose contours are replaced.
        normal: of parallel planes at equal distances, the outer ones half a distance within; the longest axis of the
            mesh's box by default.
        generator: draws planes of random orientation through the box instead.

    Raises:
        InputError: fewer than one plane, or a surface that is not closed.
    """
    vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces)
    if isinstance(planes, int):
        if planes < 1:
            raise InputError(f"planes must be at least 1, got {planes}")
        planes = _parallel(vertices, planes, normal) if generator is None else _random(vertices, planes, generator)
    return Slices([Plane(plane.normal, plane.offset, section(vertices, faces, plane)) for plane in planes])


def _parallel(vertices: np.ndarray, count: int, normal: Sequence[float] | None) -> list[Plane]:
    unit = np.eye(3)[np.ptp(vertices, axis=0).argmax()] if normal is None else np.array(normal, dtype=np.float64)
    if unit.shape != (3,) or not np.isfinite(unit).all() or not unit.any():
        raise InputError(f"normal must be three finite numbers, not all zero, got {normal!r}")
    unit = unit / np.linalg.norm(unit)
    heights = vertices @ unit
    places = heights.min() + (np.arange(count) + 0.5) / count * np.ptp(heights)
    return [Plane(unit, float(place)) for place in places]


def _random(vertices: np.ndarray, count: int, generator: torch.Generator) -> list[Plane]:
    """Uniform directions, and offsets uniform over what the vertices span along them."""
    planes = []
    for _ in range(count):
        unit = torch.randn(3, dtype=torch.float64, generator=generator).numpy()
        unit /= np.linalg.norm(unit)
        heights = vertices @ unit
        share = torch.rand((), dtype=torch.float64, generator=generator).item()
        planes.append(Plane(unit, float(heights.min() + share * np.ptp(heights))))
    return planes


def section(vertices: np.ndarray, faces: np.ndarray, plane: Plane) -> tuple[Contour, ...]:
    """The loops in which a plane meets the surface; a vertex on the plane counts as above it."""
    height = vertices @ plane.normal - plane.offset
    above = height >= 0
    mixed = faces[(above[faces].sum(1) % 3) != 0]
    sides = np.stack([mixed, np.roll(mixed, -1, axis=1)], axis=-1)  # (faces, sides, ends)
    cut = np.sort(sides[above[sides[..., 0]] != above[sides[..., 1]]], axis=-1)  # two a face
    edges, numbers = np.unique(cut, axis=0, return_inverse=True)
    loops = trace(numbers.reshape(-1, 2))
    if loops is None:
        raise InputError("mesh is not closed: a plane meets it in an open curve; fill its holes first")
    a, b = edges.T
    share = (height[a] / (height[a] - height[b]))[:, None]
    points = vertices[a] + share * (vertices[b] - vertices[a])
    # several edges are cut at one point where the plane goes through their common vertex
    same = 1e-11 * float(np.ptp(vertices, axis=0).max())
    contours = [points[loop] for loop in loops]
    contours = [loop[np.abs(loop - np.roll(loop, 1, axis=0)).max(1) > same] for loop in contours]
    return tuple(Contour(contour) for contour in contours if len(contour) > 2)
