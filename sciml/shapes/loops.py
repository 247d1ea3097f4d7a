"""Closed polygons in a plane, filled by the even-odd rule."""

from __future__ import annotations

import numpy as np

BLOCK = 256


def ends_of(loop: np.ndarray) -> np.ndarray:
    """The segments (n, 2, d) of a closed loop (n, d)."""
    return np.stack([loop, np.roll(loop, -1, axis=0)], axis=1)


def area(loop: np.ndarray) -> float:
    """Signed area of a loop (n, 2), positive when counter-clockwise."""
    x, y = (loop - loop[0]).T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def fill(ends: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points of a regular grid lie within the segments ``ends`` (M, 2, 2): bool (len(y), len(x))."""
    row, crossing = _crossings(ends, y)
    toggles = np.zeros((len(y), len(x) + 1), dtype=np.int64)
    np.add.at(toggles, (row, np.searchsorted(x, crossing)), 1)
    return toggles[:, :-1].cumsum(axis=1) % 2 == 1


def filled_area(*loops: np.ndarray) -> float:
    """What loops (n, 2) enclose together by the even-odd rule; exact where they do not cross."""
    ends = np.concatenate([ends_of(loop) for loop in loops])
    heights = np.unique(ends[..., 1])
    row, crossing = _crossings(ends, (heights[1:] + heights[:-1]) / 2)
    order = np.lexsort((crossing, row))
    left, right = crossing[order].reshape(-1, 2).T
    return float(((right - left) * np.diff(heights)[row[order][::2]]).sum())


def overlap(loops: list[np.ndarray]) -> bool:
    """Whether two loops (n, 2) that do not cross share a part of their areas, neither lying within the other."""
    areas = [filled_area(loop) for loop in loops]
    low, high = (np.array([bound(loop, axis=0) for loop in loops]).reshape(-1, 2) for bound in (np.min, np.max))
    for i, j in np.argwhere(np.triu(((low[:, None] < high) & (low < high[:, None])).all(-1), 1)):
        shared, rounding = (areas[i] + areas[j] - filled_area(loops[i], loops[j])) / 2, 1e-9 * (areas[i] + areas[j])
        if rounding < shared < min(areas[i], areas[j]) - rounding:
            return True
    return False


def _crossings(ends: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows, at heights ``y``, that segments (M, 2, 2) cross, and where along x."""
    low, high = np.sort(ends[..., 1], axis=1).T
    first, last = np.searchsorted(y, low, side="left"), np.searchsorted(y, high, side="left")
    count = last - first
    edge = np.repeat(np.arange(len(ends)), count)
    row = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count) + first[edge]
    (x0, y0), (x1, y1) = ends[edge, 0].T, ends[edge, 1].T
    return row, x0 + (y[row] - y0) * (x1 - x0) / (y1 - y0)


def crosses(ends: np.ndarray) -> bool:
    """Whether two of the segments ``ends`` (M, 2, 2) cross each other at a point that is an end of neither."""
    ends = ends[np.argsort(ends[..., 0].min(1))]
    left, right = ends[..., 0].min(1), ends[..., 0].max(1)
    tolerance = 1e-12 * float(np.ptp(ends.reshape(-1, 2), axis=0).max(initial=0)) ** 2

    def apart(segments: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Whether the ends of ``points`` lie on different sides of the lines through ``segments``."""
        start, along = segments[..., :1, :], segments[..., 1:, :] - segments[..., :1, :]
        away = points - start
        side = along[..., 0] * away[..., 1] - along[..., 1] * away[..., 0]
        return (side.max(-1) > tolerance) & (side.min(-1) < -tolerance)

    for start in range(0, len(ends), BLOCK):
        block = ends[start : start + BLOCK, None]
        stop = np.searchsorted(left, right[start : start + BLOCK].max(), side="right")
        others = ends[None, start:stop]
        if (apart(block, others) & apart(others, block)).any():
            return True
    return False


def resample(loop: np.ndarray, spacing: float, least: int = 8) -> np.ndarray:
    """Points about ``spacing`` apart along a closed loop (n, d), at least ``least``."""
    closed = np.concatenate([loop, loop[:1]])
    along = np.concatenate([[0.0], np.linalg.norm(np.diff(closed, axis=0), axis=1).cumsum()])
    count = max(least, round(along[-1] / spacing))
    place = (np.arange(count) + 0.5) * along[-1] / count
    return np.stack([np.interp(place, along, column) for column in closed.T], axis=1)


def trace(edges: np.ndarray) -> list[np.ndarray] | None:
    """Split undirected ``edges`` (M, 2) of vertex numbers into closed loops; None when some end is open."""
    around: dict[int, list[int]] = {}
    for number, pair in enumerate(edges.tolist()):
        for vertex in pair:
            around.setdefault(vertex, []).append(number)
    if any(len(numbers) % 2 for numbers in around.values()):
        return None
    used = np.zeros(len(edges), dtype=bool)
    loops = []
    for number, (first, second) in enumerate(edges.tolist()):
        if used[number]:
            continue
        used[number] = True
        loop = [first]
        while second != first:
            loop.append(second)
            follow = next(edge for edge in around[second] if not used[edge])
            used[follow] = True
            a, b = edges[follow].tolist()
            second = b if a == second else a
        loops.append(np.array(loop))
    return loops
