"""The ``.contour`` format of planar cross-sections: edges with the materials on their two sides.

planes
A B C E                                   for every plane: A x + B y + C z = E
vertices edges
x y z                                     for every vertex
i j left right                            for every edge, vertices counted from 0; material 0 is outside
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sciml.shapes.formats.lines import Lines
from sciml.shapes.loops import trace
from sciml.shapes.slices import Contour, Plane, Slices


def read_contour(path: str | Path) -> Slices:
    """Read a ``.contour`` file.

    Raises:
        InputError: the file is truncated, a count or number in it is wrong, or a contour is open.
    """
    lines = Lines(Path(path))
    (count,) = lines.integers("the number of planes", 1)
    repairs: list[str] = []
    planes = [_plane(lines, f"plane {number}", repairs) for number in range(1, count + 1)]
    lines.end()
    return Slices(planes, repairs=repairs)


def _plane(lines: Lines, where: str, repairs: list[str]) -> Plane:
    *normal, offset = lines.table(f"coefficients of {where}", 1, 4)[0]
    vertices, edges = lines.integers(f"the counts of {where}", 2)
    points = lines.table(f"vertex of {where}", vertices, 3)
    table = lines.table(f"edge of {where}", edges, 4, np.int64)
    if edges and not (table[:, :2].min() >= 0 and table[:, :2].max() < vertices):
        raise lines.error(f"{where} has an edge to a vertex outside 0 to {vertices - 1}")
    unused = vertices - len(np.unique(table[:, :2]))
    if unused:
        repairs.append(f"{where}: {unused} vertices belong to no edge and were left out")
    within = table[:, 2] == table[:, 3]
    if within.any():
        alike = ", ".join(map(str, np.unique(table[within, 2])))
        repairs.append(f"{where}: {within.sum()} edges have the same material ({alike}) on both sides and were left out")
    table = table[~within]
    # backwards, an edge has its materials the other way round
    forward = np.where(table[:, :1] > table[:, 1:2], table[:, [1, 0, 3, 2]], table)
    once = np.sort(np.unique(forward, axis=0, return_index=True)[1])
    if len(once) < len(table):
        repairs.append(f"{where}: {len(table) - len(once)} edges were listed before and were left out")
    table = table[once]
    contours: list[Contour] = []
    for label in sorted(set(table[:, 2:].ravel().tolist()) - {0}):
        loops = trace(table[(table[:, 2] == label) != (table[:, 3] == label), :2])
        if loops is None:
            raise lines.error(f"the contour of material {label} on {where} is open; close it")
        contours += [Contour(points[loop], label) for loop in loops]
    return Plane(np.array(normal), float(offset), tuple(contours))
