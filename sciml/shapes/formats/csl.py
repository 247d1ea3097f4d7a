"""The ``.csl`` format of planar cross-sections.

CSLC
planes labels
number vertices components A B C D        for every plane: A x + B y + C z + D = 0
x y z                                     for every vertex
size[hP] label i_1 ... i_size             for every component; hP: a hole in component P of this plane
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch

from sciml.errors import InputError
from sciml.geometry.facets import Segments
from sciml.shapes.formats.tokens import Tokens
from sciml.shapes.loops import area, ends_of
from sciml.shapes.slices import Contour, Plane, Slices

COMPONENT = re.compile(r"(\d+)(?:h(\d+))?")


def read_csl(path: str | Path) -> Slices:
    """Read a ``.csl`` file; a hole takes the label of the component that it is in.

    Raises:
        InputError: the file is truncated, or a count or number in it is wrong.
    """
    tokens = Tokens(Path(path))
    if tokens.word("the header") != "CSLC":
        raise InputError(f"{path} is no .csl file: it does not start with CSLC")
    count, declared = tokens.integer("the number of planes", 1), tokens.integer("the number of labels")
    repairs: list[str] = []
    planes = [_plane(tokens, number, repairs) for number in range(1, count + 1)]
    tokens.end()
    used = {label for plane in planes for label in plane.labels}
    if declared != len(used):
        repairs.append(f"{declared} labels are declared and {len(used)} occur")
    return Slices(planes, repairs=repairs)


def _plane(tokens: Tokens, number: int, repairs: list[str]) -> Plane:
    where = f"plane {number}"
    stated = tokens.integer(f"the number of {where}")
    if stated != number:
        raise InputError(f"{tokens.path}: {where} has the number {stated}; a count before it is wrong")
    vertices, components = tokens.integer(f"the vertices of {where}"), tokens.integer(f"the components of {where}")
    *normal, constant = tokens.floats(4, f"the coefficients of {where}")
    points = tokens.floats(3 * vertices, f"the vertices of {where}").reshape(-1, 3)
    contours: list[Contour] = []
    used = np.zeros(vertices, dtype=bool)
    for index in range(components):
        what = f"component {index} of {where}"
        size, parent = _size(tokens, what)
        label = tokens.integer(f"the label of {what}", least=-(2**31))
        rows = tokens.integers(size, what)
        if len(rows) and not (rows.min() >= 0 and rows.max() < vertices):
            raise InputError(f"{tokens.path}: {what} names vertex {rows.max()} of {vertices}, counted from 0")
        if parent is not None:
            if not parent < index:
                raise InputError(f"{tokens.path}: {what} is a hole in component {parent}, which is not before it")
            if label != contours[parent].label:
                repairs.append(f"holes take the label of what they are in, not their own {label}")
                label = contours[parent].label
        used[rows] = True
        contours.append(Contour(points[rows], label))
    if not used.all():
        repairs.append(f"{where}: {int((~used).sum())} vertices belong to no component and were left out")
    return Plane(np.array(normal), -constant, tuple(contours))


def _size(tokens: Tokens, what: str) -> tuple[int, int | None]:
    word = tokens.word(what)
    found = COMPONENT.fullmatch(word)
    if not found:
        raise InputError(f"{tokens.path}: {what} must start with its size, such as 12 or 12h0, got {word!r}")
    size, parent = found.groups()
    return int(size), None if parent is None else int(parent)


def write_csl(slices: Slices, path: str | Path) -> None:
    """Write a ``.csl`` file, in which numbers survive to the last digit; names and units have no place in it."""
    lines = ["CSLC", f"{len(slices)} {len(slices.labels)}"]
    for number, plane in enumerate(slices.planes, 1):
        a, b, c = plane.normal.tolist()
        contours, parents = _nested(plane)
        sizes = [len(contour.vertices) for contour in contours]
        lines += ["", f"{number} {sum(sizes)} {len(contours)} {a!r} {b!r} {c!r} {-plane.offset!r}"]
        lines += [" ".join(map(repr, vertex)) for contour in contours for vertex in contour.vertices.tolist()]
        first = 0
        for contour, parent, size in zip(contours, parents, sizes, strict=True):
            hole = "" if parent is None else f"h{parent}"
            lines.append(f"{size}{hole} {contour.label} {' '.join(map(str, range(first, first + size)))}")
            first += size
    Path(path).write_text("\n".join(lines) + "\n", encoding="ascii")


def _nested(plane: Plane) -> tuple[list[Contour], list[int | None]]:
    """Contours by falling area, and for every hole the smallest contour around it."""
    flat = {id(contour): plane.frame.flatten(contour.vertices) for contour in plane.contours}
    contours = sorted(plane.contours, key=lambda contour: -abs(area(flat[id(contour)])))
    parents: list[int | None] = []
    for number, contour in enumerate(contours):
        start = torch.from_numpy(flat[id(contour)][:1])
        around = [
            other
            for other in range(number)
            if contours[other].label == contour.label
            and Segments(torch.from_numpy(ends_of(flat[id(contours[other])]))).contains(start).item()
        ]
        parents.append(around[-1] if len(around) % 2 else None)
    return contours, parents
