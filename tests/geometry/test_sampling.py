from __future__ import annotations

import math

import pytest
import torch

from sciml.geometry import Ball, Disk, Polygon, Rectangle, Time
from tests.geometry.shapes import DOMAINS, IN_TIME, METHODS, PRIMITIVES, SPATIAL, SQUARE, XY, generator, holed


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", DOMAINS)
def test_interior_points_lie_inside_and_fill_the_domain(name, method):
    domain, _, _ = DOMAINS[name]
    points = domain.sample(1500, generator(), method)
    assert points.shape == (1500, domain.dimension) and points.dtype == torch.float64
    assert domain.contains(points).all()
    low, high = domain.bounds
    reach = 0.6 if domain.dimension > 3 else 0.85
    assert (points.amax(0) - points.amin(0) > reach * (high - low)).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", DOMAINS)
def test_boundary_points_lie_on_the_boundary_with_outward_unit_normals(name, method):
    domain, _, _ = DOMAINS[name]
    points, normals = domain.sample_boundary(1500, generator(), method=method)
    assert points.shape == normals.shape == (1500, domain.dimension)
    assert domain.signed_distance(points).abs().max() < 1e-9
    torch.testing.assert_close(normals.norm(dim=1), torch.ones(1500, dtype=torch.float64), rtol=0, atol=1e-12)
    step = 1e-6
    assert (domain.signed_distance(points + step * normals) > 0.9 * step).all()
    assert (domain.signed_distance(points - step * normals) < -0.9 * step).double().mean() > 0.99  # but at corners


@pytest.mark.parametrize("name", DOMAINS)
def test_measures(name):
    domain, volume, measure = DOMAINS[name]
    exact = name in PRIMITIVES or name in ("rod", "time first", "prism")
    assert domain.volume == pytest.approx(volume, rel=1e-12 if exact else 1e-3)
    exact = exact and name != "prism"  # its ends are cut from rectangles
    assert domain.boundary_measure() == pytest.approx(measure, rel=1e-12 if exact else 2e-3)


@pytest.mark.parametrize("name", SPATIAL)
def test_boundary_points_are_uniform_by_measure(name):
    """The divergence theorem for the fields x_i e_i: a volume is the flux of each."""
    domain, volume, measure = SPATIAL[name]
    points, normals = domain.sample_boundary(20_000, generator(), method="sobol")
    flux = measure * (points * normals).mean(0)
    torch.testing.assert_close(flux, torch.full_like(flux, volume), rtol=0.02, atol=0)


@pytest.mark.parametrize("name", SPATIAL)
def test_interior_points_are_uniform(name):
    """The divergence theorem for (x_i - c_i)^2 e_i: interior means agree with boundary integrals."""
    domain, volume, measure = SPATIAL[name]
    inside = domain.sample(20_000, generator(), method="sobol")
    points, normals = domain.sample_boundary(20_000, generator(1), method="sobol")
    low, _ = domain.bounds
    left, right = 2 * volume * (inside - low).mean(0), measure * ((points - low) ** 2 * normals).mean(0)
    torch.testing.assert_close(left, right, rtol=0.03, atol=0)


@pytest.mark.parametrize("name", IN_TIME)
def test_boundary_in_time_is_the_spatial_boundary_at_all_times(name):
    domain, _, _ = IN_TIME[name]
    axis = domain.names.index("t")
    points, normals = domain.sample_boundary(4000, generator())
    assert (normals[:, axis] == 0).all()
    space = [i for i in range(domain.dimension) if i != axis]
    assert domain.space.signed_distance(points[:, space]).abs().max() < 1e-9
    low, high = (bound[axis].item() for bound in domain.bounds)
    t = (points[:, axis] - low) / (high - low)
    assert t.mean().item() == pytest.approx(0.5, abs=0.02) and t.std().item() == pytest.approx(12**-0.5, abs=0.02)


@pytest.mark.parametrize("name", IN_TIME)
def test_initial_points_fill_space_at_the_initial_time(name):
    domain, _, _ = IN_TIME[name]
    points = domain.sample_initial(200, generator(), "sobol", dtype=torch.float32)
    assert points.shape == (200, domain.dimension) and points.dtype == torch.float32
    axis = domain.names.index("t")
    assert (points[:, axis] == domain.time.low).all()
    space = [i for i in range(domain.dimension) if i != axis]
    assert torch.equal(points[:, space], domain.space.sample(200, generator(), "sobol", dtype=torch.float32))


def test_initial_points_of_time_alone():
    assert Time("t", 2, 3).sample_initial(3, generator()).tolist() == [[2.0]] * 3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["square with holes", "L", "rod", "ball"])
def test_draws_depend_on_the_generator_alone(name, method):
    domain, _, _ = DOMAINS[name]
    state = torch.random.get_rng_state()
    source = generator(3)
    draws = [domain.sample(100, source, method), domain.sample_boundary(100, source, method=method).points]
    source = generator(3)
    assert torch.equal(draws[0], domain.sample(100, source, method))
    assert torch.equal(draws[1], domain.sample_boundary(100, source, method=method).points)
    assert not torch.equal(draws[0], domain.sample(100, source, method))
    assert not torch.equal(draws[0], domain.sample(100, generator(4), method))
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_lower_precision_is_the_same_points_rounded():
    domain = holed()
    assert torch.equal(domain.sample(50, generator(), dtype=torch.float32), domain.sample(50, generator()).to(torch.float32))
    points, normals = domain.sample_boundary(50, generator(), dtype=torch.float32)
    assert points.dtype == normals.dtype == torch.float32


@pytest.mark.parametrize("method", ["sobol", "latin_hypercube"])
@pytest.mark.parametrize("what", ["rectangle", "disk", "boundary", "square with holes"])
def test_low_discrepancy_beats_chance(method, what):
    def error(method, seed):
        if what == "boundary":
            x = Disk(XY, (0, 0), 1).sample_boundary(1024, generator(seed), method=method).points
        elif what == "disk":
            x = Disk(XY, (0, 0), 1).sample(1024, generator(seed), method)
        else:
            x = (SQUARE if what == "rectangle" else holed()).sample(1024, generator(seed), method)
        return (x[:, 0] + x[:, 1]).mean().square().item()  # exactly zero

    errors = {m: math.sqrt(sum(error(m, seed) for seed in range(10))) for m in ("uniform", method)}
    assert errors[method] < errors["uniform"] / (3 if what in ("rectangle", "boundary") else 1.5)


def test_latin_hypercube_fills_every_stratum():
    points = Rectangle(XY, (0, 0), (1, 2)).sample(64, generator(), "latin_hypercube")
    for axis, width in enumerate((1, 2)):
        assert sorted((points[:, axis] * 64 / width).int().tolist()) == list(range(64))


def test_a_thin_domain_is_still_sampled():
    sliver = Rectangle(XY, (0, 0), (1, 1)) & Disk(XY, (0.5, 0.5), 1e-5)
    wire = Rectangle(XY, (0, 0), (1, 1)) - Rectangle(XY, (1e-3, -1), (2, 2))
    for domain in (sliver, wire):
        for n in (1, 500):
            points = domain.sample(n, generator())
            assert len(points) == n and domain.contains(points).all()


def test_pieces_are_drawn_in_proportion_to_their_measure():
    points = Rectangle(XY, (0, 0), (3, 1)).sample_boundary(8000, generator(), on=["top", "right"]).points
    assert (points[:, 1] == 1).sum().item() == pytest.approx(6000, abs=200)
    assert ((points[:, 1] == 1) | (points[:, 0] == 3)).all()


def test_normals_of_a_hole_point_into_it():
    points, normals = holed().sample_boundary(64, generator(), on="hole")
    centres = 0.3 * points.sign()
    torch.testing.assert_close(normals, (centres - points) / 0.1)


def test_a_ball_is_uniform_in_radius():
    for domain in (Disk(XY, (1, 2), 2), Ball(("x", "y", "z"), (1, 2, 3), 2)):
        radius = (domain.sample(4000, generator(), "sobol") - torch.tensor(domain.centre)).norm(dim=1)
        share = (radius < 1).double().mean().item()
        assert share == pytest.approx(0.5**domain.dimension, abs=0.01)


def test_the_sphere_is_never_drawn_at_its_poles_of_infinity():
    (patch,) = Ball(("x", "y", "z"), (0, 0, 0), 1)._boundary(None)
    extreme = torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [1 - 2**-53, 0.0, 0.5]], dtype=torch.float64)
    torch.testing.assert_close(patch.place(extreme).normals.norm(dim=1), torch.ones(3, dtype=torch.float64))


def test_a_polygon_with_many_vertices():
    angles = torch.linspace(0, 2 * math.pi, 801, dtype=torch.float64)[:-1]
    ring = torch.stack([angles.cos(), angles.sin()], 1)
    polygon = Polygon(XY, ring.tolist())
    assert polygon.volume == pytest.approx(math.pi, rel=1e-4)
    points = polygon.sample(3000, generator())
    torch.testing.assert_close(polygon.signed_distance(points), points.norm(dim=1) - 1, rtol=0, atol=1e-5)


def test_a_sequence_goes_on_where_rejection_stopped():
    for points in (holed().sample(2000, generator(), "sobol"), holed().sample_boundary(2000, generator(), None, "sobol")[0]):
        assert len(points.unique(dim=0)) == 2000
