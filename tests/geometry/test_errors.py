from __future__ import annotations

import math

import pytest
import torch

from sciml.errors import InputError
from sciml.geometry import Ball, Box, Disk, Interval, Polygon, Product, Rectangle, Time
from tests.geometry.shapes import SQUARE, XY, generator

BOW_TIE = [(0, 0), (1, 1), (1, 0), (0, 1)]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Interval("x", 1, 0), r"Interval\('x', 1, 0\): give the lower limit first"),
        (lambda: Interval("x", 1, 1), "then a higher one"),
        (lambda: Time("t", 1, 0), r"Time\('t', 1, 0\)"),
        (lambda: Interval("x", 0, math.inf), "Interval: high=inf must be finite"),
        (lambda: Interval("x", "0", 1), "Interval: low='0' must be a number"),
        (lambda: Interval("2x", 0, 1), "'2x' .* is no coordinate name"),
        (lambda: Interval(("x",), 0, 1), "is no coordinate name"),
        (lambda: Rectangle("xy", (0, 0), (1, 1)), "names='xy' must be a tuple"),
        (lambda: Rectangle(("x", "y", "z"), (0, 0, 0), (1, 1, 1)), "must be 2 coordinate names"),
        (lambda: Rectangle(XY, (0, 2), (1, 1)), "low=2.0 of 'y' must be less than high=1.0"),
        (lambda: Box((), (), ()), "at least one coordinate name"),
        (lambda: Box(XY, (0,), (1, 1)), r"Box: low=\[0\] must have 2 numbers, one for each of x, y"),
        (lambda: Box(XY, 0, (1, 1)), "Box: low=0 must have 2 numbers"),
        (lambda: Box(XY, (0, math.nan), (1, 1)), r"low\[1\]=nan must be finite"),
        (lambda: Box(("x", "x"), (0, 0), (1, 1)), "repeats 'x'"),
        (lambda: Disk(XY, (0, 0), 0), "Disk: radius=0 must be positive"),
        (lambda: Disk(XY, (0, 0), -1), "Disk: radius=-1 must be positive"),
        (lambda: Disk(XY, (0, 0), math.inf), "radius=inf must be finite"),
        (lambda: Disk(("x",), (0,), 1), "must be 2 coordinate names"),
        (lambda: Ball(("x", "y", "z"), (0, 0), 1), "Ball: centre=.* must have 3 numbers"),
        (lambda: Polygon(XY, [(0, 0), (1, 0)]), "at least 3 different points"),
        (lambda: Polygon(XY, [(0, 0), (1, 0), (0, 0)]), "at least 3 different points"),
        (lambda: Polygon(XY, [(0, 0), (1, 0, 0), (0, 1)]), r"vertices\[1\]=.* must have 2 numbers"),
        (lambda: Polygon(XY, [(0, 0), (1, 0), (0, math.nan)]), r"vertices\[2\]\[1\]=nan must be finite"),
        (lambda: Polygon(XY, [(0, 0), (1, 0), (1, 0), (0, 1)]), r"vertices\[2\].* repeats the vertex before"),
        (lambda: Polygon(XY, BOW_TIE), r"edge0 and edge2 meet at \(0.5, 0.5\)"),
        (lambda: Polygon(XY, [(0, 0), (2, 0), (2, 2), (1, 0), (0, 2)]), "edge0 and edge2 meet"),  # touches
        (lambda: Polygon(XY, [(0, 0), (4, 0), (4, 1), (3, 0), (1, 0), (0, 1)]), "meet at"),  # overlaps
        (lambda: Polygon(XY, [(0, 0), (2, 0), (1, 0)]), "runs back along"),
        (
            lambda: Polygon(XY, [(0, 0), (2, 0), (1, 0), (1, 1)]),
            r"edge1 runs back along edge0; leave vertices\[1\] out",
        ),
        (
            lambda: Interval("x", 0, 1) * Interval("x", 0, 1),
            "a product: .* repeats 'x'; every coordinate needs its own name",
        ),
        (lambda: SQUARE * Interval("y", 0, 1), "repeats 'y'"),
        (lambda: Product([]), "at least one coordinate name"),
        (lambda: Time("t", 0, 1) * Time("s", 0, 1), "more than one Time"),
        (lambda: SQUARE - Interval("x", 0, 1), r"coordinates \('x', 'y'\) and \('x',\)"),
        (lambda: SQUARE | Disk(("y", "x"), (0, 0), 1), "in the same order"),
        (lambda: SQUARE * Time("t", 0, 1) - SQUARE * Time("t", 0, 1), r"as in \(A - B\) \* Time"),
        (lambda: SQUARE.named(""), "non-empty"),
        (lambda: SQUARE.named("left"), "choose another name"),
        (lambda: (SQUARE - SQUARE).sample(5, generator()), "the domain .* is empty: none of"),
        (lambda: (SQUARE - SQUARE).sample_boundary(5, generator()), "the boundary of .* is empty"),
        (lambda: (SQUARE & Disk(XY, (3, 3), 1)).sample(5, generator()), "is empty"),
        (lambda: (SQUARE - Disk(XY, (0, 0), 1)).sample_boundary(5, generator()), "is empty"),
        (
            lambda: (SQUARE - Disk(XY, (-0.5, 0), 0.6)).sample_boundary(5, generator(), "left"),
            "piece 'left' .* is empty",
        ),
        (lambda: SQUARE.sample(0, generator()), "n=0 must be at least 1"),
        (lambda: SQUARE.sample(-3, generator()), "n=-3 must be at least 1"),
        (lambda: SQUARE.sample(2.5, generator()), "n=2.5 must be a whole number"),
        (lambda: SQUARE.sample_boundary(0, generator()), "n=0"),
        (lambda: (SQUARE * Time("t", 0, 1)).sample_initial(0, generator()), "n=0"),
        (lambda: SQUARE.sample(5, 0), "generator=0 must be a torch.Generator"),
        (lambda: SQUARE.sample(5, generator(), "sobel"), "'sobel' .*did you mean 'sobol'"),
        (lambda: SQUARE.sample(5, generator(), dtype=torch.int64), "floating-point type"),
        (lambda: SQUARE.sample_boundary(5, generator(), on="tops"), "'tops' is no boundary piece .*did you mean 'top'"),
        (lambda: SQUARE.sample_boundary(5, generator(), on=["top", "hole"]), "'hole' is no boundary piece"),
        (lambda: SQUARE.sample_boundary(5, generator(), on=[]), "on is empty"),
        (lambda: SQUARE.boundary_measure("tops"), "did you mean 'top'"),
        (lambda: SQUARE.boundary_distance(torch.zeros(1, 2), "tops"), "did you mean 'top'"),
        (lambda: Time("t", 0, 1).sample_boundary(5, generator()), "no spatial boundary"),
        (lambda: Time("t", 0, 1).boundary_distance(torch.zeros(1, 1)), "no spatial boundary"),
        (lambda: SQUARE.sample_initial(5, generator()), "no initial time"),
        (lambda: SQUARE.signed_distance(torch.zeros(2, 3)), r"shape \(2, 3\), expected \(N, 2\) with columns x, y"),
        (lambda: SQUARE.contains(torch.zeros(2)), r"expected \(N, 2\)"),
        (lambda: SQUARE.boundary_distance(torch.zeros(2, 3)), r"expected \(N, 2\)"),
        (lambda: SQUARE.signed_distance([[0.0, 0.0]]), "floating-point tensor, got list"),
        (lambda: SQUARE.signed_distance(torch.zeros(2, 2, dtype=torch.int64)), "got torch.int64"),
    ],
)
def test_a_mistake_names_the_argument_and_the_fix(build, message):
    with pytest.raises(InputError, match=message):
        build()


def test_a_domain_combines_with_domains_only():
    for combine in (lambda: SQUARE * 2, lambda: SQUARE | 2, lambda: SQUARE - 2, lambda: SQUARE & 2):
        with pytest.raises(TypeError, match="unsupported operand"):
            combine()


def test_an_empty_domain_has_no_volume():
    assert (SQUARE - SQUARE).volume == 0
