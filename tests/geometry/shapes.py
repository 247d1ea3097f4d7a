"""Domains with known measures that several tests share."""

from __future__ import annotations

import math

import torch

from sciml.geometry import Ball, Box, Disk, Interval, Polygon, Rectangle, Time

XY, XYZ = ("x", "y"), ("x", "y", "z")
SQUARE = Rectangle(XY, (-0.5, -0.5), (0.5, 0.5))
L_VERTICES = ((0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2))
STAR_VERTICES = tuple(
    ((1.0 if k % 2 else 0.4) * math.cos(math.pi * k / 5), (1.0 if k % 2 else 0.4) * math.sin(math.pi * k / 5))
    for k in range(10)
)
STAR_EDGE = math.hypot(1 - 0.4 * math.cos(math.pi / 5), 0.4 * math.sin(math.pi / 5))


def holed(square=SQUARE):
    for centre in ((0.3, 0.3), (-0.3, 0.3), (0.3, -0.3), (-0.3, -0.3)):
        square = square - Disk(XY, centre, 0.1).named("hole")
    return square


# domain, volume, measure of the boundary
PRIMITIVES = {
    "interval": (Interval("x", -1, 2), 3, 2),
    "rectangle": (Rectangle(XY, (0, 0), (2, 1)), 2, 6),
    "box": (Box(XYZ, (0, 0, 0), (1, 2, 3)), 6, 22),
    "disk": (Disk(XY, (1, -1), 2), 4 * math.pi, 4 * math.pi),
    "ball": (Ball(XYZ, (0, 0, 1), 1), 4 / 3 * math.pi, 4 * math.pi),
    "ball of one dimension": (Ball(("x",), (3,), 0.5), 1, 2),
    "ball of five dimensions": (Ball(tuple("abcde"), (0,) * 5, 1), 8 * math.pi**2 / 15, 8 * math.pi**2 / 3),
    "L": (Polygon(XY, L_VERTICES), 3, 8),
    "clockwise L": (Polygon(XY, L_VERTICES[::-1]), 3, 8),
    "star": (Polygon(XY, STAR_VERTICES), 2 * math.sin(math.pi / 5), 10 * STAR_EDGE),  # area 10 * 0.4 sin(pi/5) / 2
    "intervals": (Interval("x", 0, 2) * Interval("y", 0, 1), 2, 6),
    "cylinder": (Disk(XY, (0, 0), 1) * Interval("z", 0, 2), 2 * math.pi, 6 * math.pi),
}
COMBINATIONS = {
    "square with holes": (holed(), 1 - 0.04 * math.pi, 4 + 0.8 * math.pi),
    "step": (Rectangle(XY, (0, 0), (4, 2)) - Rectangle(XY, (0, 1), (2, 2)), 6, 12),
    "apart": (Disk(XY, (0, 0), 1) | Disk(XY, (3, 0), 1), 2 * math.pi, 4 * math.pi),
    "side by side": (Rectangle(XY, (0, 0), (1, 1)) | Rectangle(XY, (1, 0), (3, 1)), 3, 8),
    "overlap": (Rectangle(XY, (0, 0), (2, 1)) | Rectangle(XY, (0, 0), (1, 2)), 3, 8),
    "half disk": (Disk(XY, (0, 0), 1) & Rectangle(XY, (-2, 0), (2, 2)), math.pi / 2, math.pi + 2),
    "quarter": (Rectangle(XY, (0, 0), (2, 2)) & Rectangle(XY, (0, 0), (1, 1)), 1, 4),
    "shell": (Ball(XYZ, (0, 0, 0), 1) - Ball(XYZ, (0, 0, 0), 0.5), 4 / 3 * math.pi * 0.875, 5 * math.pi),
    "two intervals": (Interval("x", 0, 3) - Interval("x", 1, 2), 2, 4),
    "prism": (Polygon(XY, L_VERTICES) * Interval("z", 0, 1), 3, 14),
    "union of prisms": ((Interval("x", 0, 1) | Interval("x", 0.5, 2)) * Interval("y", 0, 1), 2, 6),
}
IN_TIME = {
    "rod": (Interval("x", -1, 2) * Time("t", 0, 2), 6, 4),
    "time first": (Time("t", 1, 2) * Rectangle(XY, (0, 0), (2, 1)), 2, 6),
    "square with holes in time": (holed() * Time("t", 0, 2), 2 - 0.08 * math.pi, 8 + 1.6 * math.pi),
}
SPATIAL = PRIMITIVES | COMBINATIONS
DOMAINS = SPATIAL | IN_TIME
METHODS = ("uniform", "sobol", "latin_hypercube")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def around(domain, n, seed=0):
    """Points in the bounding box enlarged by half."""
    low, high = domain.bounds
    unit = torch.rand(n, domain.dimension, dtype=torch.float64, generator=generator(seed))
    return low + (high - low) * (1.5 * unit - 0.25)
