"""Regions enclosed by an outline or a surface from a file."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.geometry import checks
from sciml.geometry.domain import length
from sciml.geometry.facets import Enclosed, Facets, Segments
from sciml.geometry.sampling import Patch, Placed, on_surface, stratify


@dataclass(frozen=True, init=False, repr=False)
class Mesh(Enclosed):
    """The region enclosed by the surface or outline in a file; its boundary is called "surface".

    With three names the file holds a closed triangulated surface (STL, PLY, OBJ, OFF, glTF, ...). With two names it
    holds closed outlines (DXF) or a triangulation of the region in a plane z = constant. Needs the extra ``shapes``.

    Raises:
        InputError: the file cannot be read, or its surface is not closed.
    """

    path: str

    def __init__(self, names: Sequence[str], path: str | Path) -> None:
        names = checks.coordinate_names(names, "Mesh")
        if len(names) not in (2, 3):
            raise InputError(f"Mesh: names={names!r} must be two or three coordinates")
        self._set(names=names, path=str(path))
        _ = self._facets

    @cached_property
    def _facets(self) -> Facets:
        loaded = _load(self.path)
        return _outline(loaded, self.path) if self.dimension == 2 else _surface(loaded, self.path)

    @property
    def _sides(self) -> tuple[str, ...]:
        return ("surface",)

    def _select(self, on: frozenset[str] | None) -> Facets | None:
        return self._facets if on is None or "surface" in on else None

    def _edges(self) -> Tensor:
        return self._facets.ends if isinstance(self._facets, Segments) else super()._edges()


@dataclass(frozen=True)
class Triangles:
    """A closed surface with outward normals.

    Attributes:
        vertices: float64 (V, 3).
        faces: int64 (F, 3).
    """

    vertices: np.ndarray
    faces: np.ndarray

    @property
    def corners(self) -> Tensor:
        return torch.from_numpy(self.vertices[self.faces])

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        vertices = torch.from_numpy(self.vertices)
        return vertices.amin(0), vertices.amax(0)

    @property
    def volume(self) -> float:
        """By the divergence theorem."""
        a, b, c = (self.corners - torch.from_numpy(self.vertices[0])).unbind(1)
        return float((a * torch.linalg.cross(b, c)).sum() / 6)

    def signed_distance(self, points: Tensor) -> Tensor:
        igl = _optional("igl")
        place = np.ascontiguousarray(points.detach().cpu().numpy(), dtype=np.float64)
        kind = igl.SignedDistanceType.SIGNED_DISTANCE_TYPE_PSEUDONORMAL
        distance, _, foot, normal = igl.signed_distance(place, self.vertices, self.faces, kind)
        # The gradient is the unit vector from the foot of the point, or the normal where the two coincide.
        away = np.abs(distance)[:, None]
        gradient = np.where(away > 1e-12, (place - foot) / np.where(away > 1e-12, distance[:, None], 1.0), normal)
        foot, gradient = (torch.from_numpy(values).to(points) for values in (foot, gradient))
        return ((points - foot) * gradient).sum(1)

    def distance(self, points: Tensor) -> Tensor:
        return self.signed_distance(points).abs()

    def contains(self, points: Tensor) -> Tensor:
        return self.signed_distance(points) < 0

    def patch(self) -> Patch:
        corners = self.corners
        normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        doubled = length(normals.unbind(1))
        normals = normals / doubled[:, None]

        def place(unit: Tensor) -> Placed:
            rows, within = stratify(unit[:, 0], doubled.to(unit))
            rows = rows.to(corners.device)
            a, b, c = corners[rows].to(unit).unbind(1)
            root = within.sqrt()[:, None]
            return on_surface(a + root * (b - a + unit[:, 1:2] * (c - b)), normals[rows].to(unit))

        return Patch(float(doubled.sum() / 2), 2, place)


def _optional(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"Mesh needs {module}; install it with: pip install 'sciml-solvers[shapes]'") from error


def _load(path: str) -> Any:
    trimesh = _optional("trimesh")
    if not Path(path).is_file():
        raise InputError(f"Mesh: path={path!r} is no file")
    try:
        loaded = trimesh.load(path)
    except Exception as error:  # every reader has its own
        raise InputError(f"Mesh: path={path!r} cannot be read: {' '.join(str(error).split())}") from error
    return loaded.to_mesh() if isinstance(loaded, trimesh.Scene) else loaded


def _surface(loaded: Any, path: str) -> Triangles:
    _optional("igl")  # missed now rather than at the first distance
    if len(getattr(loaded, "faces", ())) == 0:
        raise InputError(f"Mesh: path={path!r} holds no triangles; give a closed surface such as an STL file")
    if not loaded.is_watertight:
        raise InputError(f"Mesh: the surface in path={path!r} is not closed; fill its holes first")
    loaded.fix_normals()
    return Triangles(np.array(loaded.vertices, dtype=np.float64), np.array(loaded.faces, dtype=np.int64))


def _outline(loaded: Any, path: str) -> Segments:
    if hasattr(loaded, "discrete"):
        found = _rings(loaded)
    elif len(getattr(loaded, "faces", ())):
        if np.ptp(loaded.vertices[:, 2]) > 1e-9 * loaded.scale:
            raise InputError(f"Mesh: path={path!r} is not plane; give three names for a surface in space")
        found = _border(loaded)
    else:
        raise InputError(f"Mesh: path={path!r} holds neither outlines nor triangles")
    if found is None:
        raise InputError(f"Mesh: the outline in path={path!r} is not closed")
    ends = torch.from_numpy(np.ascontiguousarray(found[..., :2], dtype=np.float64))
    # Whichever way a segment was written, the region must lie on its left.
    start, end = ends.unbind(1)
    right = torch.stack([end[:, 1] - start[:, 1], start[:, 0] - end[:, 0]], dim=1)
    wrong = Segments(ends).contains((start + end) / 2 + 1e-6 * right)
    return Segments(torch.where(wrong[:, None, None], ends.flip(1), ends))


def _rings(drawing: Any) -> np.ndarray | None:
    """The segments (M, 2, 2) of closed outlines; None when one is open."""
    rings = drawing.discrete
    if len(rings) == 0 or not drawing.is_closed:
        return None
    return np.concatenate([np.stack([ring[:-1], ring[1:]], axis=1) for ring in rings])


def _border(mesh: Any) -> np.ndarray | None:
    """The edges (M, 2, 3) that one triangle alone has; None when there are none."""
    edges = mesh.edges_unique[np.bincount(mesh.edges_unique_inverse) == 1]
    return np.asarray(mesh.vertices)[edges] if len(edges) else None
