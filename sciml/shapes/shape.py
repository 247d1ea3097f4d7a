"""A solid between cross-sections."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.shapes.cross_sections import MARGIN
from sciml.shapes.metrics import missed_contours, slice_iou
from sciml.shapes.optional import require
from sciml.shapes.slices import Slices
from sciml.shapes.surface import Topology, extract

if TYPE_CHECKING:
    import trimesh
    import xarray as xr

Points = TypeVar("Points", np.ndarray, Tensor)

RESOLUTIONS = (128, 256)  # of a mesh, until
AGREEMENT = 0.995  # it has this IoU with the cross-sections, and misses no contour that is larger than a cell


@dataclass(frozen=True, repr=False)
class Shape:
    """Solids, one a label, that fill the space between cross-sections without overlaps.

    Attributes:
        slices: what it was reconstructed from; coordinates and units are theirs.
        method: name of the way in which it was.
        fields: (N, 3) -> (N, labels), negative inside, in the order of ``slices.labels``.
        training: the ``sciml.Result`` of a method that trains.
    """

    slices: Slices
    method: str
    fields: Callable[[Tensor], Tensor]
    training: Any = None

    def __repr__(self) -> str:
        return f"Shape({self.slices!r}, method={self.method!r})"

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest coordinates (3,) of the box in which the solids lie."""
        low, high = self.slices.bounds
        margin = MARGIN * float(np.linalg.norm(high - low))
        return low - margin, high + margin

    @torch.no_grad()
    def field(self, points: Points, label: int | str | None = None) -> Points:
        """Values (N,) at ``points`` (N, 3) that are negative inside ``label``, or inside any."""
        if isinstance(points, np.ndarray):
            return self.field(torch.from_numpy(np.ascontiguousarray(points, dtype=np.float64)), label).numpy()
        if points.ndim != 2 or points.shape[1] != 3:
            raise InputError(f"points must be (N, 3), got {tuple(points.shape)}")
        labels = self.slices.labels
        values = self.fields(points)
        columns = list(values.unbind(1))
        for k, name in enumerate(labels):
            for winner in self.slices.winners(name):
                columns[k] = torch.maximum(columns[k], -values[:, labels.index(winner)])
        if label is None:
            value = torch.stack(columns).amin(0)
        else:
            # Of several labels that claim a point the one deepest inside has it.
            value = columns.pop(labels.index(self.slices.label(label)))
            if columns:
                value = torch.maximum(value, (value - torch.stack(columns).amin(0)) / 2)
        low, high = (torch.from_numpy(bound).to(points) for bound in self.bounds)
        return torch.maximum(value, torch.maximum(low - points, points - high).amax(1))

    def occupancy(self, points: Points, label: int | str | None = None) -> Points:
        """Whether ``points`` (N, 3) lie inside ``label``, or inside any: bool (N,)."""
        return self.field(points, label) < 0

    def to_xarray(self, n: int = 64) -> xr.Dataset:
        """Occupancy (0 or 1) of every label on a grid over ``bounds`` with ``n`` points along each side."""
        import xarray as xr

        axes = [np.linspace(low, high, n) for low, high in zip(*self.bounds, strict=True)]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        inside = {
            name: np.concatenate([self.occupancy(part, label) for part in np.array_split(points, n)])
            for label, name in self.slices.names.items()
        }
        names = ("x", "y", "z")
        fields = {name: (names, values.reshape(n, n, n).astype(np.int8)) for name, values in inside.items()}
        return xr.Dataset(fields, dict(zip(names, axes, strict=True)), {"units": self.slices.units or ""})

    def mesh(
        self, resolution: int | None = None, label: int | str | None = None, betti: Topology = None
    ) -> trimesh.Trimesh:
        """The closed surface of ``label``, which faces outward.

        Its ``export("shape.obj")`` also writes PLY, STL and GLB, but those in single precision, which spoils a small solid
        with large coordinates; ``sciml.shapes.write_ply`` does not. ``metadata["resolution"]`` is the one that was taken,
        ``metadata["missed"]`` the areas of contours that have nothing of the mesh within them, of which a warning tells. The
        field is evaluated only near the surface.

        Args:
            resolution: cells along the longest side of the box in which the solids lie. By default 128, or 256 where the
                surface, cut again at the planes, would else miss a contour larger than a cell or share less than 0.995 of its
                area with what was given.
            label: may be left out when there is only one.
            betti: numbers of pieces, handles and cavities that the solid is known to have; (1, 0, 0) stands for a ball,
                (1, 1, 0) for a torus, (1, 0, 1) for a hollow ball. The field is then changed where this takes least. No
                piece with a contour is dropped. "simplest" stands for as few as changes at points lead to that are
                nearer to the surface than to a plane, whose side the planes do not tell: bridges between them are cut,
                small holes closed, and pieces joined that nearly touch.

        Raises:
            InputError: no such label, a resolution below 8, no solid at all, or none with such Betti numbers.
        """
        number = self.slices.label(label)
        check_surface(resolution, betti)
        mesh = self._agreeing(number, betti) if resolution is None else self._surface(resolution, number, betti)
        if not len(mesh.faces):
            resolution = mesh.metadata["resolution"]
            raise InputError(f"{self.slices.names[number]} encloses nothing at resolution {resolution}; raise it")
        if missed := len(mesh.metadata["missed"]):
            total = sum(contour.label == number for plane in self.slices.planes for contour in plane.contours)
            warnings.warn(
                f"the mesh of {self.slices.names[number]} misses {missed} of its {total} contours; raise the resolution, "
                f"{mesh.metadata['resolution']}, to keep what is smaller than a cell",
                stacklevel=2,
            )
        return mesh

    def _surface(self, resolution: int, number: int, betti: Topology) -> trimesh.Trimesh:
        trimesh = require("trimesh", "a mesh")
        seeds = np.concatenate([c.vertices for plane in self.slices.planes for c in plane.contours if c.label == number])

        def field(points: np.ndarray) -> np.ndarray:
            return self.field(points, number)

        def away(points: np.ndarray) -> np.ndarray:
            """How far points (N, 3) are from any plane; -inf within other solids."""
            taken = [self.occupancy(points, other) for other in self.slices.labels if other != number]
            return np.where(np.any(taken, axis=0), -np.inf, self.slices.distances(points))

        vertices, faces, _ = extract(field, *self.bounds, resolution, seeds, betti, away)
        mesh = trimesh.Trimesh(vertices, faces, process=False, metadata={"resolution": resolution})
        mesh.metadata["missed"] = missed_contours(mesh, self.slices, number)
        return mesh

    def _agreeing(self, label: int, betti: Topology) -> trimesh.Trimesh:
        """The mesh at the first resolution at which it agrees with the cross-sections, or at the last."""
        for resolution in RESOLUTIONS:
            mesh = self._surface(resolution, label, betti)
            cell = float((self.bounds[1] - self.bounds[0]).max()) / resolution
            if max(mesh.metadata["missed"], default=0.0) < cell**2 and slice_iou(mesh, self.slices, label) >= AGREEMENT:
                break
        return mesh


def check_surface(resolution: int | None, betti: Topology) -> None:
    """Raises the InputError of ``Shape.mesh`` for arguments that suit no shape."""
    if resolution is not None and (isinstance(resolution, bool) or not isinstance(resolution, int) or resolution < 8):
        raise InputError(f"resolution must be a whole number of at least 8 cells, got {resolution!r}")
    if isinstance(betti, str) or betti is None:
        fits = betti in ("simplest", None)
    else:
        fits = len(betti) == 3 and betti[0] >= 1 and min(betti) >= 0
    if not fits:
        raise InputError(
            f"betti must be numbers of pieces, handles and cavities, such as (1, 0, 0), or 'simplest', got {betti!r}"
        )
