"""Solids on a grid with a given number of pieces, handles and cavities.

The grid's cells are cut into six tetrahedra each (Freudenthal's triangulation), between whose corners a field is linear:
then nothing is ambiguous, and inside and outside follow the same rules.

Source: a point is simple, changing sides without a change of topology, where its neighbours on either side are connected
(G. Bertrand, Simple points, topological numbers and geodesic neighborhoods in cubic grids, Pattern Recognition Letters 15
(1994), here on tetrahedra). Fronts that pass simple points alone stop where a handle would close: X. Han et al., CRUISE:
cortical reconstruction using implicit surface evolution, NeuroImage 23 (2004).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product

import numpy as np

from sciml.errors import InputError

STEPS = np.array([d for d in product((0, 1), repeat=3) if any(d)])  # from a corner along the edges of its tetrahedra
AROUND = np.concatenate([STEPS, -STEPS])  # to the 14 neighbours of a point
FRONTS = 64  # levels of the field, one after the other, at which fronts advance
TRIED = 500  # places at most where a handle is added

Betti = tuple[int, int, int]
"""Pieces, handles and cavities."""
Points = tuple[np.ndarray, ...]
"""Indices of grid points, one array an axis."""


def betti_numbers(inside: np.ndarray) -> Betti:
    """Pieces, handles and cavities of the solid of grid points (nx, ny, nz) that are ``inside``."""
    inside = np.pad(inside, 1)
    pieces, cavities = _label(inside)[1], _label(~inside)[1] - 1
    return pieces, pieces + cavities - _euler_characteristic(inside), cavities


def with_betti_numbers(values: np.ndarray, betti: Sequence[int], keep: np.ndarray) -> np.ndarray:
    """A field on a grid (nx, ny, nz), negative inside, changed where it takes least to enclose a solid with ``betti``.

    Handles are cut or their holes closed, pieces joined or dropped, and so on, in the order of the sum of the values that
    change sign. All values on the box's faces must be positive.

    Args:
        betti: numbers of pieces, handles and cavities.
        keep: points (nx, ny, nz) whose pieces may not be dropped.

    Raises:
        InputError: the field has no such solid.
    """
    found, wanted = betti_numbers(values < 0), tuple(betti)
    while found != wanted:
        before = found
        for changes in (_simpler, _richer):
            if found != wanted:
                values, found = _approach(values, found, wanted, changes(values, keep))
        if found == before:
            raise InputError(f"betti={wanted}: the solid has {found}, and no small change leads there; leave betti out")
    return values


def _approach(values: np.ndarray, found: Betti, wanted: Betti, changes: Iterator[Points]) -> tuple[np.ndarray, Betti]:
    """With those changes of sign, in the order of what they take, that bring the Betti numbers closer."""
    inside = values < 0
    for change in sorted(changes, key=lambda points: float(np.abs(values[points]).sum())):
        box = tuple(slice(int(axis.min()) - 1, int(axis.max()) + 2) for axis in change)
        characteristic = _euler_characteristic(inside[box])
        inside[change] ^= True
        changed = betti_numbers(inside) if _euler_characteristic(inside[box]) != characteristic else found
        if _apart(changed, wanted) < _apart(found, wanted):
            found = changed
        else:
            inside[change] ^= True
        if found == wanted:
            break
    size = _typical(values)
    return np.where(inside == (values < 0), values, np.where(inside, -size, size)), found


def tetrahedral_surface(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The surface on which a field (nx, ny, nz) is zero, linear on tetrahedra: vertices (V, 3) in cells, faces (F, 3).

    Faces look to where the field is larger. The surface has the topology that ``betti_numbers`` counts.
    """
    shape = np.array(values.shape)
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    flat = values.ravel()
    edges, sides = [], []
    cells = _crossed_cells(values)
    for tetrahedron in _tetrahedra():
        corners = cells[:, None] + tetrahedron @ strides
        inside = flat[corners] < 0
        some = inside.any(1) & ~inside.all(1)
        corners, inside = corners[some], inside[some]
        number = inside.sum(1)
        for count in (1, 2, 3):
            chosen = number == count
            # those inside first, in the order of the corners
            order = np.argsort(~inside[chosen], axis=1, kind="stable")
            c = np.take_along_axis(corners[chosen], order, axis=1)
            crossed = [np.stack([c[:, i], c[:, j]], 1) for i in range(count) for j in range(count, 4)]
            faces = [(0, 1, 2)] if count != 2 else [(0, 1, 3), (0, 3, 2)]
            for face in faces:
                edges.append(np.stack([crossed[i] for i in face], axis=1))
                sides.append(c[:, [0, 3]])
    ends, side = np.concatenate(edges), np.concatenate(sides)
    pairs, faces_of = np.unique(ends.reshape(-1, 2), axis=0, return_inverse=True)
    start, end = (np.stack(np.unravel_index(pairs[:, i], values.shape), axis=1).astype(float) for i in (0, 1))
    low, high = flat[pairs[:, 0]].astype(float), flat[pairs[:, 1]].astype(float)
    vertices = start + (low / (low - high))[:, None] * (end - start)
    faces = faces_of.reshape(-1, 3)
    inner, outer = (np.stack(np.unravel_index(side[:, i], values.shape), axis=1) for i in (0, 1))
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    inward = np.einsum("ij,ij->i", np.cross(b - a, c - a), (outer - inner).astype(float)) < 0
    faces[inward] = faces[inward][:, ::-1]
    return vertices, faces


# What can be changed ------------------------------------------------------------------------------------------------
def _simpler(values: np.ndarray, keep: np.ndarray) -> Iterator[Points]:
    """Sets of points without which, or with which, a solid has fewer handles, pieces or cavities."""
    inside = values < 0
    face = np.ones_like(inside)
    face[1:-1, 1:-1, 1:-1] = False
    for sign, side, first in ((1, inside, np.zeros_like(inside)), (-1, ~inside, face)):
        parts, count = _label(side)
        seeds = first.copy()
        for part in range(1, count + 1):
            here = np.nonzero(parts == part)
            if not first[here].any():
                deepest = (sign * values[here]).argmin()
                seeds[tuple(axis[deepest] for axis in here)] = True
        left = side & ~_advance(sign * values, seeds, side)
        yield from _parts(left)
        sizes = [] if count < 2 else np.bincount(parts.ravel())[1:]
        for part in range(1, len(sizes) + 1):
            whole = parts == part
            if part - 1 != int(np.argmax(sizes)) and not (whole & (keep if sign > 0 else first)).any():
                yield np.nonzero(whole)


def _richer(values: np.ndarray, keep: np.ndarray) -> Iterator[Points]:
    """Thin ways through the outside that join what is inside, and through the inside that join what is outside."""
    strides = _strides(values.shape)
    for sign in (1, -1):
        field = (sign * values).ravel()
        low = np.zeros(values.shape, dtype=np.int16)
        middle = low[1:-1, 1:-1, 1:-1]
        centre = sign * values[1:-1, 1:-1, 1:-1]
        for bit, step in enumerate(AROUND):
            beside = tuple(slice(1 + s, n - 1 + s) for s, n in zip(step, values.shape, strict=True))
            middle |= ((sign * values[beside] < centre) << bit).astype(np.int16)
        saddles = np.nonzero((_pieces()[low] > 1).ravel() & (field > 0))[0]
        for saddle in saddles[np.argsort(field[saddles])][:TRIED]:
            way = [int(saddle)]
            below = int(low.ravel()[saddle])
            while below:  # from every side of the saddle down to the solid
                part = int(_reached(below))
                below &= ~part
                around = saddle + strides[[bit for bit in range(14) if part >> bit & 1]]
                place = int(around[field[around].argmin()])
                while field[place] > 0:
                    way.append(place)
                    around = place + strides
                    lower = int(around[field[around].argmin()])
                    if field[lower] >= field[place]:
                        break
                    place = lower
            yield np.unravel_index(np.unique(way), values.shape)


def _advance(values: np.ndarray, seeds: np.ndarray, side: np.ndarray) -> np.ndarray:
    """The points of ``side`` that fronts from ``seeds`` pass, lowest first, with the topology of the seeds."""
    region = seeds.copy()
    strides, parity = _strides(region.shape), _parity(region.shape)
    flat, field = region.ravel(), values.ravel()
    waiting = np.zeros(flat.size, dtype=bool)
    allowed = np.nonzero((side & ~region).ravel())[0]
    order = allowed[np.argsort(field[allowed], kind="stable")]
    simple = _pieces() == 1
    simple &= simple[::-1]  # the others are connected, too: bits swapped count down
    weights = (1 << np.arange(14)).astype(np.int32)
    for level in np.array_split(order, FRONTS):
        waiting[level] = True
        fresh = level
        while len(fresh):
            passed = []
            # points of one parity are never neighbours, so that each may pass regardless of the others
            for kind in range(8):
                tried = fresh[parity[fresh] == kind]
                lower = flat[tried[:, None] + strides] @ weights
                ready = tried[simple[lower]]
                flat[ready], waiting[ready] = True, False
                passed.append(ready)
            near = (np.concatenate(passed)[:, None] + strides).ravel()
            fresh = np.unique(near[waiting[near]])
    return region


# Counting -----------------------------------------------------------------------------------------------------------
def _label(inside: np.ndarray) -> tuple[np.ndarray, int]:
    from scipy import ndimage

    structure = np.zeros((3, 3, 3), dtype=bool)
    structure[1, 1, 1] = True
    structure[tuple((AROUND + 1).T)] = True
    return ndimage.label(inside, structure)


def _parts(points: np.ndarray) -> Iterator[Points]:
    """The connected parts of a set of points, as indices."""
    from scipy import ndimage

    parts, _ = _label(points)
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        here = np.nonzero(parts[box] == number)
        yield tuple(axis + part.start for axis, part in zip(here, box, strict=True))


def _euler_characteristic(inside: np.ndarray) -> int:
    """Points minus edges plus triangles minus tetrahedra with all corners inside; the faces of the box are outside."""
    shifted = {(0, 0, 0): inside[:-1, :-1, :-1]}
    for step in map(tuple, STEPS):
        shifted[step] = inside[tuple(slice(s, n - 1 + s) for s, n in zip(step, inside.shape, strict=True))]
    total = 0
    chains = [((0, 0, 0),)]
    while chains:
        total += (-1) ** (len(chains[0]) - 1) * sum(int(_all([shifted[step] for step in chain]).sum()) for chain in chains)
        chains = [
            (*chain, step) for chain in chains for step in shifted if step != chain[-1] and np.all(np.subtract(step, chain[-1]) >= 0)
        ]
    return total


def _all(arrays: list[np.ndarray]) -> np.ndarray:
    found = arrays[0]
    for array in arrays[1:]:
        found = found & array
    return found


@lru_cache(maxsize=1)
def _pieces() -> np.ndarray:
    """For every set of neighbours of a point, a bit each, into how many pieces it falls: (2^14,)."""
    left, found = np.arange(2**14), np.zeros(2**14, dtype=np.int8)
    while left.any():
        found += left > 0
        left = left & ~_reached(left)
    return found


def _reached(points: np.ndarray | int) -> np.ndarray:
    """Of sets of neighbours, a bit each, the piece with the lowest bit."""
    beside = [sum(1 << j for j in range(14) if (AROUND == AROUND[i] - AROUND[j]).all(1).any()) for i in range(14)]
    reached = points & -points
    for _ in range(14):
        for bit, near in enumerate(beside):
            reached = reached | np.where(reached >> bit & 1, near & points, 0)
    return reached


def _tetrahedra() -> list[np.ndarray]:
    """The corners (4, 3) of the six tetrahedra of a cell."""
    from itertools import permutations

    unit = np.eye(3, dtype=int)
    return [np.cumsum([[0, 0, 0], *unit[list(order)]], axis=0) for order in permutations(range(3))]


def _crossed_cells(values: np.ndarray) -> np.ndarray:
    """Numbers of the lowest corners of the cells that the surface passes."""
    inside = values < 0
    corners = [inside[tuple(slice(s, n - 1 + s) for s, n in zip(step, inside.shape, strict=True))] for step in product((0, 1), repeat=3)]
    crossed = np.zeros(values.shape, dtype=bool)
    crossed[:-1, :-1, :-1] = ~_all(corners) & ~_all([~corner for corner in corners])
    return np.nonzero(crossed.ravel())[0]


def _strides(shape: Sequence[int]) -> np.ndarray:
    """From a point's number to those of its neighbours (14,)."""
    return AROUND @ np.array([shape[1] * shape[2], shape[2], 1])


def _parity(shape: Sequence[int]) -> np.ndarray:
    """A number from 0 to 7 that neighbours do not share."""
    x, y, z = (np.arange(n) % 2 for n in shape)
    return (4 * x[:, None, None] + 2 * y[:, None] + z).astype(np.int8).ravel()


def _typical(values: np.ndarray) -> float:
    """Half the typical change from one point to the next."""
    steps = np.concatenate([np.abs(np.diff(values, axis=axis)).ravel() for axis in range(3)])
    return float(np.median(steps)) / 2


def _apart(one: Sequence[int], other: Sequence[int]) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))
