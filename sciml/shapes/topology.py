"""Solids on a grid with a given number of pieces, handles and cavities.

The grid's cells are cut into six tetrahedra each (Freudenthal's triangulation), between whose corners a field is linear:
then nothing is ambiguous, and inside and outside follow the same rules.

Source: a point is simple, changing sides without a change of topology, where its neighbours on either side are connected
(G. Bertrand, Simple points, topological numbers and geodesic neighborhoods in cubic grids, Pattern Recognition Letters 15
(1994), here on tetrahedra). Fronts that pass simple points alone stop where a handle would close: X. Han et al., CRUISE:
cortical reconstruction using implicit surface evolution, NeuroImage 23 (2004).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, permutations, product
from typing import Any

import numpy as np

from sciml.errors import InputError

STEPS = np.array([d for d in product((0, 1), repeat=3) if any(d)])  # from a corner along the edges of its tetrahedra
AROUND = np.concatenate([STEPS, -STEPS])  # to the 14 neighbours of a point
FRONTS = 64  # levels of the field, one after the other, at which fronts advance
TRIED = 500  # places at most where a handle is added
SMALLEST = 8  # points from there within which its ends are not connected anyway

_TRIANGLES = {
    1: [[(0, 1), (0, 2), (0, 3)]],
    2: [[(0, 2), (0, 3), (1, 3)], [(0, 2), (1, 3), (1, 2)]],
    3: [[(0, 3), (1, 3), (2, 3)]],
}
"""By the number of corners inside, which come first, the edges of a tetrahedron that triangles join, facing outward."""

Betti = tuple[int, int, int]
"""Pieces, handles and cavities."""
Step = tuple[int, int, int]
"""From a point to another."""
Points = tuple[np.ndarray, ...]
"""Indices of grid points, one array an axis."""


def betti_numbers(inside: np.ndarray) -> Betti:
    """Pieces, handles and cavities of the solid of the grid points that are ``inside``, bool (nx, ny, nz)."""
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
    pieces, handles, cavities = betti
    found, wanted = betti_numbers(values < 0), (pieces, handles, cavities)

    def away(betti: Betti) -> int:
        return sum(abs(a - b) for a, b in zip(betti, wanted, strict=True))

    while found != wanted:
        before = found
        for changes in (_simpler, _richer):
            if found != wanted:
                values, found = _approach(values, found, away, changes(values, keep))
        if found == before:
            raise InputError(f"betti={wanted}: the solid has {found}, and no small change leads there; leave betti out")
    return values


def simplest(values: np.ndarray, keep: np.ndarray, away: Callable[[Points], np.ndarray]) -> np.ndarray:
    """A field on a grid with as few handles, cavities and pieces as changes of sign at undecided points lead to.

    A point is undecided that is nearer to the surface than to where the field is known, give or take half a cell. Otherwise
    as ``with_betti_numbers``.

    Args:
        away: how far points, by index, are from where the field is known, in cells.
    """
    found, before, unit = betti_numbers(values < 0), None, _slope(values)
    nearness = np.abs(values) / unit - 0.5

    def undecided(points: Points) -> bool:
        return bool((nearness[points] <= away(points)).all())

    while found != before:
        before = found
        ways = _richer(values, keep) if found[0] + found[2] > 1 else ()  # they can join pieces, and open cavities
        changes = (points for points in chain(_simpler(values, keep), ways) if undecided(points))
        values, found = _approach(values, found, lambda betti: sum(betti) - 1, changes)
    return values


def _approach(
    values: np.ndarray, found: Betti, away: Callable[[Betti], int], changes: Iterable[Points]
) -> tuple[np.ndarray, Betti]:
    """With those changes of sign, in the order of what they take, after which the Betti numbers are less far ``away``."""
    inside = values < 0
    for change in sorted(changes, key=lambda points: float(np.abs(values[points]).sum())):
        box = tuple(slice(int(axis.min()) - 1, int(axis.max()) + 2) for axis in change)
        characteristic = _euler_characteristic(inside[box])
        inside[change] ^= True
        changed = betti_numbers(inside) if _euler_characteristic(inside[box]) != characteristic else found
        if away(changed) < away(found):
            found = changed
        else:
            inside[change] ^= True
        if not away(found):
            break
    size = _slope(values) / 2
    return np.where(inside == (values < 0), values, np.where(inside, -size, size)), found


def tetrahedral_surface(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The surface on which a field (nx, ny, nz) is zero, linear on tetrahedra: vertices (V, 3) in cells, faces (F, 3).

    Faces look to where the field is larger. The surface has the topology that ``betti_numbers`` counts.
    """
    flat, numbers = values.ravel(), np.array([values.shape[1] * values.shape[2], values.shape[2], 1])
    cells, edges = _crossed_cells(values), list[np.ndarray]()
    for tetrahedron in _tetrahedra():
        corners = cells[:, None] + tetrahedron @ numbers
        inside = flat[corners] < 0
        order = np.argsort(~inside, axis=1, kind="stable")  # those inside first
        corners = np.take_along_axis(corners, order, axis=1)
        mirrored = np.linalg.det(np.diff(tetrahedron[order], axis=1)) < 0
        number = inside.sum(1)
        for count, triangles in _TRIANGLES.items():
            for triangle in triangles:
                for chosen, ends in ((~mirrored, triangle), (mirrored, triangle[::-1])):
                    edges.append(corners[(number == count) & chosen][:, np.array(ends)])
    # an edge that is crossed by the numbers of its ends, the one inside first
    crossed, found = np.unique(np.concatenate(edges) @ np.array([flat.size, 1]), return_inverse=True)
    inner, outer = np.divmod(crossed, flat.size)
    share = flat[inner] / (flat[inner].astype(np.float64) - flat[outer])
    start, end = (np.stack(np.unravel_index(side, values.shape), axis=1).astype(np.float64) for side in (inner, outer))
    return start + share[:, None] * (end - start), found.reshape(-1, 3)


# What can be changed ------------------------------------------------------------------------------------------------
def _simpler(values: np.ndarray, keep: np.ndarray) -> Iterator[Points]:
    """Sets of points without which, or with which, a solid has fewer handles, pieces or cavities."""
    inside = values < 0
    for sign, side, first in ((1, inside, np.zeros_like(inside)), (-1, ~inside, _faces(values.shape))):
        parts, count = _label(side)
        seeds = first.copy()
        for part in range(1, count + 1):
            here = np.nonzero(parts == part)
            if not first[here].any():
                deepest = (sign * values[here]).argmin()
                seeds[tuple(axis[deepest] for axis in here)] = True
        left = side & ~_advance(sign * values, seeds, side)
        yield from _parts(left)
        largest = int(np.bincount(parts[side], minlength=1).argmax())
        held = keep if sign > 0 else first
        for part in range(1, count + 1):
            whole = parts == part
            if part != largest and not (whole & held).any():
                yield np.nonzero(whole)


def _richer(values: np.ndarray, keep: np.ndarray) -> Iterator[Points]:
    """Thin ways through the outside that join what is inside, and through the inside that join what is outside.

    Those through a saddle, down from it on all sides, whose ends are not joined within a few points anyway.
    """
    strides = _strides(values.shape)
    for sign in (1, -1):
        signed = (sign * values).astype(np.float64)
        if sign > 0:
            signed[_faces(values.shape)] = np.inf  # no way goes along them
        field, lower_of = signed.ravel(), _lower(signed).ravel()
        saddles = np.nonzero((_pieces()[lower_of] > 1) & (field > 0))[0]
        for saddle in saddles[np.argsort(field[saddles])][:TRIED]:
            ways = []
            below = int(lower_of[saddle])
            while below:  # from every side of the saddle down to the solid
                part = int(_reached(below))
                below &= ~part
                around = saddle + strides[[bit for bit in range(14) if part >> bit & 1]]
                way = [int(around[field[around].argmin()])]
                while field[way[-1]] >= 0:
                    around = way[-1] + strides
                    lower = int(around[field[around].argmin()])
                    if field[lower] >= field[way[-1]]:
                        break
                    way.append(lower)
                ways.append(way)
            ends = np.array([way[-1] for way in ways])
            if (field[ends] < 0).all() and _apart_around(signed < 0, int(saddle), ends):
                changed = [int(saddle), *(place for way in ways for place in way[:-1])]
                yield np.unravel_index(np.unique(changed), values.shape)


def _apart_around(inside: np.ndarray, place: int, ends: np.ndarray) -> bool:
    """Whether points ``ends`` are not connected near a place."""
    middle = np.array(np.unravel_index(place, inside.shape))
    low = np.maximum(middle - SMALLEST, 0)
    parts, _ = _label(inside[tuple(slice(a, b + SMALLEST + 1) for a, b in zip(low, middle, strict=True))])
    places = np.stack(np.unravel_index(ends, inside.shape), axis=1) - low
    near = ((places >= 0) & (places < parts.shape)).all(1)
    found = parts[tuple(places[near].T)]
    return len(np.unique(found)) == len(found)


def _lower(values: np.ndarray) -> np.ndarray:
    """Of every point the neighbours with lower values, a bit each; none of those on the box's faces."""
    found = np.zeros(values.shape, dtype=np.int16)
    inner = (slice(1, -1),) * 3
    for bit, step in enumerate(AROUND):
        beside = tuple(slice(1 + s, n - 1 + s) for s, n in zip(step, values.shape, strict=True))
        found[inner] |= (values[beside] < values[inner]).astype(np.int16) << bit
    return found


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
    shifted = _shifted(inside)
    total, chains = 0, [[(0, 0, 0)]]
    while chains:  # of corners, each reached from the one before along an edge
        total += (-1) ** (len(chains[0]) - 1) * sum(int(_all([shifted[step] for step in chain]).sum()) for chain in chains)
        chains = [[*chain, step] for chain in chains for step in shifted if _follows(step, chain[-1])]
    return total


def _follows(step: Step, other: Step) -> bool:
    return step != other and all(a >= b for a, b in zip(step, other, strict=True))


def _shifted(inside: np.ndarray) -> dict[Step, np.ndarray]:
    """The eight corners of every cell, by their place in it."""

    def part(step: Step) -> np.ndarray:
        return inside[tuple(slice(s, n - 1 + s) for s, n in zip(step, inside.shape, strict=True))]

    return {(i, j, k): part((i, j, k)) for i, j, k in product((0, 1), repeat=3)}


def _faces(shape: Sequence[int]) -> np.ndarray:
    """The points on the faces of the box."""
    face = np.ones(shape, dtype=bool)
    face[1:-1, 1:-1, 1:-1] = False
    return face


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


def _reached(points: Any) -> Any:
    """Of sets of neighbours, a bit each, the piece with the lowest bit."""
    beside = [sum(1 << j for j in range(14) if (AROUND[i] - AROUND[j] == AROUND).all(1).any()) for i in range(14)]
    reached = points & -points
    for _ in range(14):
        for bit, near in enumerate(beside):
            reached = reached | np.where(reached >> bit & 1, near & points, 0)
    return reached


def _tetrahedra() -> list[np.ndarray]:
    """The corners (4, 3) of the six tetrahedra of a cell."""
    unit = np.eye(3, dtype=int)
    return [np.cumsum([[0, 0, 0], *unit[list(order)]], axis=0) for order in permutations(range(3))]


def _crossed_cells(values: np.ndarray) -> np.ndarray:
    """Numbers of the lowest corners of the cells that the surface passes."""
    corners = list(_shifted(values < 0).values())
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


def _slope(values: np.ndarray) -> float:
    """The typical change from one point to the next across the surface."""
    changes = [np.diff(values, axis=axis)[np.diff(values < 0, axis=axis)] for axis in range(3)]
    return float(np.median(np.abs(np.concatenate(changes))))
