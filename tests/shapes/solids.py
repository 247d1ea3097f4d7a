"""Solids with known measures, their cross-sections, and files written by hand in each layout."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sciml.shapes import Contour, Plane, Slices
from sciml.shapes.surface import extract

trimesh = pytest.importorskip("trimesh")

TORUS_VOLUME = 2 * math.pi**2 * 0.16
BALL_VOLUME = 4 / 3 * math.pi


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def torus(scale=1.0, shift=0.0):
    mesh = trimesh.creation.torus(1, 0.4, major_sections=64, minor_sections=32)
    mesh.vertices = mesh.vertices * scale + shift
    return mesh


def torus_field(points, centre=0.0):
    x, y, z = points.T
    return np.hypot(np.hypot(x - centre, y) - 1, z) - 0.4


def shell():
    """A ball of radius 1 with a hollow of radius 0.5."""
    outer, inner = trimesh.creation.icosphere(3, 1.0), trimesh.creation.icosphere(3, 0.5)
    inner.invert()
    return trimesh.util.concatenate([outer, inner])


def two_holes():
    """Two tori that share a part: Euler characteristic -2."""

    def field(points):
        return np.minimum(torus_field(points, -1.0), torus_field(points, 1.0))

    low, high = np.array([-2.6, -1.6, -0.6]), np.array([2.6, 1.6, 0.6])
    vertices, faces, _ = extract(field, low, high, 64, np.empty((0, 3)))
    return trimesh.Trimesh(vertices, faces, process=False)


def square(side=1.0, z=0.0, label=1, centre=(0.0, 0.0), reverse=False):
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)][:: -1 if reverse else 1]) * side / 2 + centre
    return Contour(np.column_stack([corners, np.full(4, z)]), label)


def level(z, *contours):
    return Plane(np.array([0.0, 0.0, 1.0]), z, contours)


def nested(*sides, label=1, levels=(0.0, 1.0)):
    """Squares one inside another on parallel planes."""
    return Slices([level(z, *(square(side, z, label) for side in sides)) for z in levels])
