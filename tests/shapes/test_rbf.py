"""Cubic interpolation on patches, and its slopes."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch

from sciml.errors import InputError
from sciml.shapes import Contour, Slices, reconstruct, slice_mesh
from sciml.shapes.methods import rbf
from sciml.shapes.methods.patches import LEAF, Patches
from tests.shapes.solids import generator, level, square, trimesh


def wave(points):
    return (3 * points[:, 0]).sin() + points[:, 1] * points[:, 2]


def scattered(n, seed=0):
    return 2 * torch.rand(n, 3, generator=generator(seed), dtype=torch.float64) - 1


def test_it_has_the_values_and_is_smooth_between():
    field = Patches(scattered(2000), wave(scattered(2000)))
    assert len(field.parts) > 4 and max(len(part.centres) for part in field.parts) < 2000
    assert (field(scattered(2000)) - wave(scattered(2000))).abs().max() < 1e-4
    assert (field(0.9 * scattered(500, 1)) - wave(0.9 * scattered(500, 1))).abs().max() < 0.02
    # across the borders of patches too
    line = torch.linspace(-0.9, 0.9, 4001, dtype=torch.float64)[:, None] * torch.tensor([1.0, 0.7, -0.4], dtype=torch.float64)
    assert field(line).diff().abs().max() < 4 * wave(line).diff().abs().max()


def test_every_point_is_in_a_patch():
    field = Patches(scattered(2000), wave(scattered(2000)))
    assert field(50 * scattered(20)).isfinite().all()


@pytest.mark.parametrize("levels", [(0.0,), (-0.5, 0.5)])
def test_centres_may_lie_in_planes(levels):
    plane = scattered(3 * LEAF)
    centres = torch.cat([torch.cat([plane[:, :2], torch.full_like(plane[:, :1], z)], dim=1) for z in levels])
    field = Patches(centres, 1 + centres @ centres.new_tensor([1.0, 2.0, 3.0]))
    assert (field(centres) - (1 + centres @ centres.new_tensor([1.0, 2.0, 3.0]))).abs().max() < 1e-4
    far = centres + torch.tensor([0.0, 0.0, 0.25], dtype=torch.float64)
    assert field(far).abs().max() < 8


def slopes(field, points, step=1e-4):
    """Lengths of gradients."""
    moves = step * torch.eye(3, dtype=torch.float64)
    return torch.stack([(field(points + move) - field(points - move))[:, 0] / (2 * step) for move in moves]).norm(dim=0)


def test_slopes_are_those_of_a_distance_in_space():
    """A plane near the top of a ball meets its surface at an angle of 37 degrees."""
    ball = trimesh.creation.icosphere(4)
    slices = slice_mesh(ball, [level(z) for z in (-0.8, -0.4, 0.0, 0.4, 0.8)])
    points = torch.from_numpy(slices.planes[-1].contours[0].vertices[::7])
    before, after = (slopes(rbf(slices, 1500, refits), points) for refits in (0, 3))
    assert before.mean() > 1.2
    assert (after - 1).abs().max() < 0.15


def test_points_on_the_wrong_side_are_added():
    """A plane between two far ones knows of a notch that is narrower than what is smooth."""
    planes = [level(z, square(2, z)) for z in (0.0, 1.0, 2.0)]
    planes[1] = level(1.0, square(0.1, 1.0, centre=(0.9, 0.9)))
    middle = torch.tensor([[-0.5, -0.5, 1.0]], dtype=torch.float64)
    assert rbf(Slices(planes), 1000, 1)(middle) > 0


def test_a_cone_is_met_obliquely():
    """Its volume is off by less when slopes are taken from space."""
    cone = trimesh.creation.cone(1, 1, sections=64)
    slices = slice_mesh(cone, [level(z) for z in np.linspace(0.05, 0.95, 7)])
    places = torch.from_numpy(np.random.default_rng(0).uniform([-1, -1, 0.05], [1, 1, 0.95], (4000, 3)))
    truth = places[:, :2].norm(dim=1) < 1 - places[:, 2]
    wrong = [((rbf(slices, 1500, refits)(places)[:, 0] < 0) != truth).double().mean().item() for refits in (0, 2)]
    assert wrong[1] <= wrong[0] < 0.02 and math.isfinite(wrong[1])


@pytest.mark.parametrize("heights", [np.linspace(-0.8, 0.8, 5), np.linspace(-0.9, 0.9, 10)], ids=len)
def test_a_dome_goes_on_beyond_the_last_plane(heights):
    """A ball ends half-way between its last plane and the empty one after it."""
    field = rbf(slice_mesh(trimesh.creation.icosphere(4), [level(z) for z in heights]), 3000)
    height = torch.linspace(0.8, 1.2, 401, dtype=torch.float64)
    axis = torch.stack([torch.zeros_like(height), torch.zeros_like(height), height], dim=1)
    assert float(height[field(axis)[:, 0] > 0][0]) == pytest.approx(1, abs=0.03)


def test_an_empty_plane_holds_where_a_dome_would_cross_it():
    planes = [level(z, square(2, z)) for z in np.linspace(0, 1, 6)]
    empty = level(1.05)
    middle = torch.tensor([[0.0, 0.0, 1.05]], dtype=torch.float64)
    assert rbf(Slices([*planes, empty]), 2000)(middle) > 0


@pytest.mark.parametrize("radius", [lambda z: 0.5, lambda z: 1 - 0.7 * z], ids=["cylinder", "frustum"])
def test_a_flat_end_leaves_nothing_outside(radius):
    """What was cut off flat, like a wrist, neither goes on beyond the next plane nor to the sides."""
    heights = np.linspace(0, 1, 20)
    slices = Slices([level(z, ring(z, radius(z))) for z in heights])
    shape = reconstruct(slices, partial(rbf, points=1000))
    places = np.random.default_rng(0).uniform(*shape.bounds, (20000, 3))
    x, y, z = places.T
    outside = (z < -1 / 19) | (z > 20 / 19) | (np.hypot(x, y) > radius(z.clip(0, 1)) + 0.1)
    assert not shape.occupancy(places[outside]).any()


def ring(z, radius, waves=0.0):
    """A circle, or a flower of twelve petals."""
    angle = np.linspace(0, 2 * np.pi, 721)[:-1]
    radius = radius + waves * np.cos(12 * angle)
    return Contour(np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full_like(angle, z)], axis=1))


def test_contours_get_more_points_where_they_bend():
    slices = Slices([level(z, ring(z, 1, 0.3)) for z in (0.0, 0.5, 1.0)])
    points = torch.from_numpy(np.concatenate([plane.vertices for plane in slices.planes]))
    before, after = (rbf(slices, 600, refits)(points).abs().quantile(0.9) for refits in (0, 2))
    assert after < 0.5 * before


@pytest.mark.parametrize("options", [{"points": 0}, {"points": -5}, {"points": math.nan}, {"refits": -1}], ids=str)
def test_impossible_options(options):
    slices = Slices([level(z, square(1, z)) for z in (0.0, 1.0)])
    ((name, value),) = options.items()
    with pytest.raises(InputError, match=f"{name} must be at least [01], got {value}"):
        reconstruct(slices, "rbf", **options)
