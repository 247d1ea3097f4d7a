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
from sciml.shapes.formats.lines import Lines
from sciml.shapes.loops import area, ends_of
from sciml.shapes.slices import Contour, Plane, Slices

COMPONENT = re.compile(r"(\d+)(?:h(\d+))?")


def read_csl(path: str | Path) -> Slices:
    """Read a ``.csl`` file; a hole takes the label of the component that it is in.

    Raises:
        InputError: the file is truncated, or a count or number in it is wrong.
    """
    lines = Lines(Path(path))
    if lines.words("the header") != ["CSLC"]:
        raise InputError(f"{path} is no .csl file: it does not start with CSLC")
    count, declared = lines.integers("the numbers of planes and labels", 2)
    repairs: list[str] = []
    planes = [_plane(lines, number, repairs) for number in range(1, count + 1)]
    lines.end()
    used = {label for plane in planes for label in plane.labels}
    if declared != len(used):
        repairs.append(f"{declared} labels are declared and {len(used)} occur")
    return Slices(planes, repairs=repairs)


def _plane(lines: Lines, number: int, repairs: list[str]) -> Plane:
    where = f"plane {number}"
    words = lines.words(where, 7)
    stated, vertices, components = lines.numbers(words[:3], f"the counts of {where}", np.int64).tolist()
    *normal, constant = lines.numbers(words[3:], f"the coefficients of {where}", np.float64)
    if stated != number or vertices < 0 or components < 0:
        raise lines.error(f"{where} has the number {stated}, {vertices} vertices and {components} components")
    points = lines.table(f"vertex of {where}", vertices, 3)
    contours: list[Contour] = []
    used = np.zeros(vertices, dtype=bool)
    for index in range(components):
        what = f"component {index} of {where}"
        first, *rest = lines.words(what)
        found = COMPONENT.fullmatch(first)
        if not found:
            raise lines.error(f"{what} must start with its size, such as 12 or 12h0, got {first!r}")
        label, *rows = lines.numbers(rest, what, np.int64).tolist() or [0]
        if len(rows) != int(found[1]) or not rest:
            raise lines.error(f"{what} must be a label and {found[1]} vertices, got {len(rest)} numbers")
        if rows and not (min(rows) >= 0 and max(rows) < vertices):
            raise lines.error(f"{what} names vertex {max(rows)} of {vertices}, counted from 0")
        if found[2] is not None:
            parent = int(found[2])
            if parent >= index:
                raise lines.error(f"{what} is a hole in component {parent}, which is not before it")
            if label != contours[parent].label:
                repairs.append(f"holes take the label of what they are in, not their own {label}")
                label = contours[parent].label
        used[rows] = True
        contours.append(Contour(points[rows], label))
    if not used.all():
        repairs.append(f"{where}: {int((~used).sum())} vertices belong to no component and were left out")
    return Plane(np.array(normal), -constant, tuple(contours))


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
