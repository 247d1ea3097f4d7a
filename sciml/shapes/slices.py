"""Planar cross-sections of solids: planes in space with filled polygons on them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import torch

from sciml.errors import InputError, nearest
from sciml.geometry.facets import Segments
from sciml.shapes.frame import Frame
from sciml.shapes.loops import area, ends_of, fill
from sciml.shapes.repair import clean

LARGEST = 1e100  # coordinates whose areas and volumes are still finite numbers
GRID = 96  # points along each side of a plane when overlaps of labels are looked for


@dataclass(frozen=True)
class Contour:
    """A closed polygon, without its first vertex repeated at the end.

    Attributes:
        vertices: float64 (n, 3).
        label: what the contour bounds.
    """

    vertices: np.ndarray
    label: int = 1


@dataclass(frozen=True)
class Plane:
    """The points x with ``normal @ x == offset`` and the contours on it, filled by the even-odd rule label by label.

    Attributes:
        normal: unit vector (3,).
        contours: none on a plane that is known to miss the solid.
    """

    normal: np.ndarray
    offset: float
    contours: tuple[Contour, ...] = ()

    @cached_property
    def frame(self) -> Frame:
        """Coordinates within the plane, from the middle of its contours."""
        foot = self.vertices.mean(0) if self.contours else np.zeros(3)
        return Frame.across(self.normal, foot + (self.offset - foot @ self.normal) * self.normal)

    @property
    def labels(self) -> tuple[int, ...]:
        return tuple(sorted({contour.label for contour in self.contours}))

    @property
    def vertices(self) -> np.ndarray:
        """All vertices (n, 3)."""
        return np.concatenate([np.empty((0, 3)), *(contour.vertices for contour in self.contours)])

    def loops(self, label: int, frame: Frame | None = None) -> list[np.ndarray]:
        """The contours of ``label``, each (n, 2), in ``frame`` or the plane's own."""
        frame = frame or self.frame
        return [frame.flatten(contour.vertices) for contour in self.contours if contour.label == label]

    def ends(self, label: int, frame: Frame | None = None) -> np.ndarray:
        """The segments (M, 2, 2) of the contours of ``label``."""
        return np.concatenate([np.empty((0, 2, 2)), *map(ends_of, self.loops(label, frame))])


class Slices:
    """Cross-sections of one or more solids in the coordinates and the units that they were given in.

    Where two labels overlap, the one with the smaller total area keeps the overlap.

    Attributes:
        planes: with at least one; a plane without contours says that nothing is there.
        names: name of every label that occurs, in ascending order of the labels; with its number where two are alike.
        units: such as "mm", or None when they are not known.
        repairs: one sentence for everything that was changed on the way in.

    Raises:
        InputError: no planes, a coordinate that is not finite or too large to measure with, or contours that lie off every
            plane.
    """

    def __init__(
        self,
        planes: Iterable[Plane],
        names: Mapping[int, str] | None = None,
        units: str | None = None,
        repairs: Sequence[str] = (),
    ) -> None:
        planes = list(planes)
        for number, plane in enumerate(planes, 1):
            most = max((float(np.abs(contour.vertices).max(initial=0)) for contour in plane.contours), default=0.0)
            if LARGEST < most < np.inf:
                raise InputError(f"plane {number}: a coordinate of size {most:.3g} makes areas that are not finite; scale it")
        self.planes, found = clean(planes)
        self.units = units
        labels = sorted({label for plane in self.planes for label in plane.labels})
        unused = [name for label, name in (names or {}).items() if label not in labels]
        if unused:
            found.append(f"no contour has the label {' or '.join(unused)}")
        given = {label: (names or {}).get(label, str(label)) for label in labels}
        twice = {name for name in given.values() if list(given.values()).count(name) > 1}
        self.names = {label: f"{name} {label}" if name in twice else name for label, name in given.items()}
        self._winners, overlaps = self._overlaps()
        self.repairs = tuple(dict.fromkeys([*repairs, *found, *self._gaps(), *overlaps]))

    def __len__(self) -> int:
        return len(self.planes)

    def __repr__(self) -> str:
        contours = sum(len(plane.contours) for plane in self.planes)
        return f"Slices({len(self)} planes, {contours} contours, labels {', '.join(self.names.values()) or 'none'})"

    @property
    def labels(self) -> tuple[int, ...]:
        return tuple(self.names)

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest coordinates (3,) of the contours."""
        return _bounds(np.concatenate([plane.vertices for plane in self.planes]))

    def label_bounds(self, label: int) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest coordinates (3,) of the contours of ``label``."""
        return _bounds(np.concatenate([c.vertices for plane in self.planes for c in plane.contours if c.label == label]))

    @cached_property
    def parallel(self) -> bool:
        """Whether all planes have the same normal, up to its sign."""
        first = self.planes[0].normal
        return all(float(np.linalg.norm(np.cross(first, plane.normal))) < 1e-4 for plane in self.planes)

    @property
    def heights(self) -> np.ndarray:
        """Where parallel planes lie along the normal of the first: (planes,)."""
        normal = self.planes[0].normal
        return np.array([normal @ plane.normal * plane.offset for plane in self.planes])

    @cached_property
    def ends(self) -> tuple[Plane, ...]:
        """Empty planes one distance beyond the first and the last of parallel planes; none for others."""
        if len(self) < 2 or not self.parallel:
            return ()
        normal, heights = self.planes[0].normal, np.sort(self.heights).tolist()
        return Plane(normal, 2 * heights[0] - heights[1]), Plane(normal, 2 * heights[-1] - heights[-2])

    def distances(self, points: np.ndarray) -> np.ndarray:
        """From points (N, 3) to the nearest plane (N,)."""
        normals, offsets = (np.stack([getattr(p, name) for p in self.planes]) for name in ("normal", "offset"))
        return np.abs(points @ normals.T - offsets).min(1)

    @property
    def digest(self) -> str:
        """A short text that tells cross-sections apart."""
        found = hashlib.sha256()
        for plane in self.planes:
            found.update(np.append(plane.normal, plane.offset).tobytes())
            for contour in plane.contours:
                found.update(f"{contour.label} {len(contour.vertices)}".encode() + contour.vertices.tobytes())
        return found.hexdigest()[:16]

    def take(self, planes: Iterable[int]) -> Slices:
        """The cross-sections on some of the planes, by number from 0."""
        return Slices([self.planes[number] for number in planes], self.names, self.units, self.repairs)

    def label(self, label: int | str | None) -> int:
        """The number of a label given by number or name; None stands for the only one.

        Raises:
            InputError: there is no such label, or None with several.
        """
        if label is None and len(self.names) == 1:
            return self.labels[0]
        for number, name in self.names.items():
            if label in (number, name):
                return number
        if label is None:
            raise InputError(f"label must be given, one of {', '.join(self.names.values())}")
        raise InputError(f"label {label!r} does not occur; {nearest(str(label), self.names.values())}")

    def winners(self, label: int) -> tuple[int, ...]:
        """The labels that keep what ``label`` shares with them."""
        return self._winners[label]

    def occupancy(self, points: np.ndarray, plane: int, label: int | str | None = None) -> np.ndarray:
        """Whether ``points`` (N, 3), projected on a plane, lie inside ``label``, or inside any: bool (N,)."""
        here = self.planes[plane]
        places = torch.from_numpy(here.frame.flatten(np.asarray(points, dtype=np.float64)))

        def within(number: int) -> np.ndarray:
            ends = here.ends(number)
            return Segments(torch.from_numpy(ends)).contains(places).numpy() if len(ends) else np.zeros(len(places), bool)

        chosen = self.labels if label is None else (self.label(label),)
        inside = np.zeros(len(places), dtype=bool)
        for number in chosen:
            inside |= within(number)
            for winner in self.winners(number) if label is not None else ():
                inside &= ~within(winner)
        return inside

    def raster(self, plane: int, label: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Whether the points of a grid in the plane's frame lie inside ``label``: bool (len(y), len(x))."""
        here = self.planes[plane]
        inside = fill(here.ends(label), x, y)
        for winner in self.winners(label):
            inside &= ~fill(here.ends(winner), x, y)
        return inside

    def _gaps(self) -> list[str]:
        """Labels without a contour on planes between their first and last on which others have one."""
        if not self.parallel:
            return []
        drawn = [self.planes[number].labels for number in np.argsort(self.heights) if self.planes[number].contours]
        notes = []
        for label, name in self.names.items():
            has = [label in labels for labels in drawn]
            missing = has[has.index(True) : len(has) - has[::-1].index(True)].count(False)
            if missing:
                notes.append(
                    f"{name} has no contour on {missing} planes between its first and last, taken as empty there; read it "
                    "alone if it was not drawn on them"
                )
        return notes

    def _overlaps(self) -> tuple[dict[int, tuple[int, ...]], list[str]]:
        sizes = dict.fromkeys(self.labels, 0.0)
        pairs: set[tuple[int, int]] = set()
        for plane in self.planes if len(self.names) > 1 else ():
            x, y = grid(plane, GRID)
            inside = {label: fill(plane.ends(label), x, y) for label in plane.labels}
            for label in plane.labels:
                sizes[label] += sum(abs(area(loop)) for loop in plane.loops(label))
            for a, b in combinations(plane.labels, 2):
                shared, smaller = int((inside[a] & inside[b]).sum()), min(inside[a].sum(), inside[b].sum())
                if shared > max(4, 0.02 * smaller):
                    pairs.add((a, b))
        winners: dict[int, tuple[int, ...]] = dict.fromkeys(self.labels, ())
        repairs = []
        for pair in sorted(pairs):
            small, large = sorted(pair, key=lambda label: sizes[label])
            winners[large] += (small,)
            repairs.append(f"{self.names[small]} overlaps {self.names[large]} and is cut out of it, being the smaller")
        return winners, repairs


def grid(plane: Plane, n: int, others: Sequence[np.ndarray] = ()) -> tuple[np.ndarray, np.ndarray]:
    """The axes of a grid of cell centres, ``n`` a side, over the contours of ``plane`` and other points (m, 2)."""
    places = np.concatenate([plane.frame.flatten(plane.vertices), *others])
    low, high = _bounds(places) if len(places) else (np.zeros(2), np.ones(2))
    middle = (np.arange(n) + 0.5) / n
    (x, y) = (low[i] + (high[i] - low[i]) * middle for i in (0, 1))
    return x, y


def _bounds(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not len(points):
        raise InputError("every plane is empty: there is no solid to speak of")
    return points.min(0), points.max(0)
