"""The problem that a neural field solves: its points, what is known there, and the equation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sciml.errors import InputError
from sciml.jets import autograd
from sciml.shapes import CrossSections, Slices, slice_mesh
from tests.shapes.solids import level, nested, square, torus


def known(problem):
    planes = problem.planes
    return planes.points.numpy(), {name: d.numpy() for name, d in planes.distances.items()}


def test_distances_within_the_planes():
    slices = nested(2.0, 1.0, levels=(0.0, 0.2, 0.4))  # a square ring
    points, distances = known(CrossSections(slices, 3000, levels=(0.1,)))
    x, y, z = np.abs(points).T
    ring = np.maximum(x, y)
    on_plane = (z < 0.5) & (points[:, 2] > -0.1)
    distance = distances["distance"]
    assert ((distance < 0) == ((ring < 1) & (ring > 0.5)))[on_plane & (np.abs(distance) > 1e-9)].all()
    inside = on_plane & (distance < 0)
    inner = np.hypot(np.maximum(x - 0.5, 0), np.maximum(y - 0.5, 0))
    np.testing.assert_allclose(-distance[inside], np.minimum(1 - ring, inner)[inside], atol=1e-9)
    share = (distance == 0).mean()
    assert 0.25 < share < 0.4 and np.isclose(np.minimum(abs(ring - 1), abs(ring - 0.5))[distance == 0], 0, atol=1e-12).all()
    # parallel planes go on with empty ones
    assert np.isinf(distance[~on_plane]).all() and set(points[~on_plane, 2].round(9)) == {-0.2, 0.6}


def test_a_small_contour_has_its_share_of_points():
    slices = Slices([level(z, square(10, z), square(0.05, z, centre=(8, 0))) for z in (0.0, 1.0)])
    points, distances = known(CrossSections(slices, 300))
    small = (distances["distance"] == 0) & (points[:, 0] > 7)
    assert small.sum() == 3 * 2 * 24


def test_levels_narrow():
    problem = CrossSections(slice_mesh(torus(), 5), 1500, levels=(0.2, 0.02))
    planes, generator = problem.planes, torch.Generator().manual_seed(0)
    spread = []
    for number in (0, 1):
        rows = planes.rows(2000, generator, number)
        assert planes.widths[rows].unique().tolist() == pytest.approx([problem.scale * (0.2, 0.02)[number]])
        distance = planes.distances["distance"][rows].abs()
        spread.append(distance[(distance > 0) & distance.isfinite()].quantile(0.3))
    assert spread[1] < spread[0] / 3


def test_beyond_the_band_only_the_side_counts():
    planes = CrossSections(nested(1.0), 300).planes
    value = torch.tensor([0.7, 2.0, 5.0, -5.0, 0.5, -3.0])
    distance = torch.tensor([0.0, torch.inf, 3.0, -3.0, -2.0, 2.0])
    assert planes.compare(value, distance).tolist() == pytest.approx([0.7, 0, 0, 0, 0.6, -3.1])


def test_a_plane_may_be_oblique():
    """In space a surface is no farther off than in the plane."""
    planes = CrossSections(nested(1.0), 300).planes
    value = torch.tensor([0.3, 0.9, 0.01, -0.3, -0.9, 0.2])
    distance = torch.tensor([0.5, 0.5, 0.5, -0.5, -0.5, -0.5])
    assert planes.compare(value, distance).tolist() == pytest.approx([0, 0.4, -0.04, 0, -0.4, 0.25])


def test_the_indicator_is_a_logit():
    planes = CrossSections(nested(1.0), 300, target="indicator").planes
    logits = torch.tensor([2.0, -2.0, -1.0, 0.4], requires_grad=True)
    residuals = planes.compare(logits, torch.tensor([1.0, 1.0, -torch.inf, 0.0]))
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[:3].detach(), torch.tensor([1.0, 1.0, 0.0]), reduction="none"
    )
    np.testing.assert_allclose(residuals[:3].detach().square(), 2 * cross_entropy, rtol=1e-5)
    (slope,) = torch.autograd.grad(residuals.square().sum(), logits)
    assert slope.sign().tolist() == [-1, -1, 1, 1] and slope.isfinite().all()


def test_the_equation_is_that_of_a_distance():
    problem = CrossSections(slice_mesh(torus(), 5), 300)
    problem.validate()
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    jets = dict(zip(problem.unknowns, autograd(lambda p: 3 * p.norm(dim=1, keepdim=True), points, "xyz"), strict=True))
    residual = problem.residuals(jets, points)["eikonal_distance"]
    assert residual.tolist() == pytest.approx([8.0] * 50)


def test_mistakes():
    with pytest.raises(InputError, match="no target 'indicater'; did you mean 'indicator'"):
        CrossSections(nested(1.0), target="indicater")
