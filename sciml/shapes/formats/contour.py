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

from sciml.errors import InputError
from sciml.shapes.formats.tokens import Tokens
from sciml.shapes.loops import trace
from sciml.shapes.slices import Contour, Plane, Slices


def read_contour(path: str | Path) -> Slices:
    """Read a ``.contour`` file.

    Raises:
        InputError: the file is truncated, a count or number in it is wrong, or a contour is open.
    """
    tokens = Tokens(Path(path))
    count = tokens.integer("the number of planes", 1)
    planes = [_plane(tokens, f"plane {number}") for number in range(1, count + 1)]
    tokens.end()
    return Slices(planes)


def _plane(tokens: Tokens, where: str) -> Plane:
    *normal, offset = tokens.floats(4, f"the coefficients of {where}")
    vertices, edges = tokens.integer(f"the vertices of {where}"), tokens.integer(f"the edges of {where}")
    points = tokens.floats(3 * vertices, f"the vertices of {where}").reshape(-1, 3)
    table = tokens.integers(4 * edges, f"the edges of {where}").reshape(-1, 4)
    if edges and not (table[:, :2].min() >= 0 and table[:, :2].max() < vertices):
        raise InputError(f"{tokens.path}: {where} has an edge to a vertex outside 0 to {vertices - 1}")
    contours: list[Contour] = []
    for label in sorted(set(table[:, 2:].ravel().tolist()) - {0}):
        loops = trace(table[(table[:, 2] == label) != (table[:, 3] == label), :2])
        if loops is None:
            raise InputError(f"{tokens.path}: the contour of material {label} on {where} is open; close it")
        contours += [Contour(points[loop], label) for loop in loops]
    return Plane(np.array(normal), float(offset), tuple(contours))
