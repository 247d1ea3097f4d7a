"""Every family's data against its declaration: equations, conditions, invariants, closed forms."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

import problems
from sciml.data import generate
from sciml.jets import Field, fourier
from sciml.problem import Initial, RandomProblem
from sciml.problem.condition import evaluate
from sciml.reference import cole_hopf
from sciml.reference.linear_part import evaluate_equations

FAMILIES = [family for family in (getattr(problems, name) for name in problems.__all__) if issubclass(family, RandomProblem)]
PERIODIC = [family for family in FAMILIES if not hasattr(family, "simulate")]


def solve(problem, samples=1, resolution=16, **options):
    """Header, fields (samples, times, channels, *grid) and inputs."""
    header, batches = generate(problem, samples, resolution, **options)
    batches = list(batches)
    inputs = torch.cat([batch.inputs for batch in batches]) if header.input_channels else None
    return header, torch.cat([batch.fields for batch in batches]), inputs


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_instances_are_declared_problems_that_their_seed_brings_back(family):
    one, other = (family().sample(torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert one.seed != other.seed and family(seed=one.seed) == one
    one.validate()
    assert set(one.channels) <= set(one.unknowns)

    def data(problem):
        points = problem.domain.sample(50, torch.Generator().manual_seed(0))[:, list(problem.space_axes)]
        for condition in problem.conditions():
            if isinstance(condition, Initial):
                values = [evaluate(value, problem.space, points, "") for value in condition.values.values()]
                return torch.cat([value for value in values if isinstance(value, torch.Tensor)])
        return problem.source(*points.T) if hasattr(problem, "source") else problem.coefficient()(*points.T)

    assert torch.equal(data(one), data(family(seed=one.seed)))
    assert not torch.equal(data(one), data(other))


# Settings whose fields a coarse grid resolves, the time between snapshots, and the grid.
SMOOTH = {
    "KolmogorovFlow": (problems.KolmogorovFlow(nu=0.05, warm_up=0.5, duration=0.04), 64),
    "PiecewiseVortices": (problems.PiecewiseVortices(squares=3, edge=0.06, strength=10, nu=0.01, duration=0.02), 48),
    "RandomAllenCahn": (problems.RandomAllenCahn(diffusivity=0.02, waves=2, duration=0.02), 32),
    "RandomBurgers": (problems.RandomBurgers(nu=0.05, waves=6, duration=0.04), 128),
    "RandomKuramotoSivashinsky": (problems.RandomKuramotoSivashinsky(length=32, warm_up=5, duration=0.2), 64),
    "RandomWave": (problems.RandomWave(waves=2, duration=0.04), 32),
    "ShearLayers": (problems.ShearLayers(thickness=0.15, waves=2, nu=0.01, duration=0.04), 48),
    "SineVorticity": (problems.SineVorticity(waves=3, nu=0.01, duration=0.04), 48),
}


def test_every_periodic_family_is_held_against_its_equations():
    assert {family.__name__ for family in PERIODIC} == set(SMOOTH)


@pytest.mark.parametrize("name", SMOOTH)
def test_the_fields_satisfy_the_declared_equations(name):
    """In the middle of five snapshots: Fourier derivatives in space, central differences of order four in time."""
    problem, resolution = SMOOTH[name]
    header, fields, _ = solve(problem, resolution=resolution, times=5, channels=problem.unknowns, seed=3)
    low, high = problem.domain.bounds
    lengths = (high - low)[list(problem.space_axes)].tolist()
    step = header.times[1] - header.times[0]
    rate = (8 * (fields[:, 3] - fields[:, 1]) - (fields[:, 4] - fields[:, 0])) / (12 * step)
    axis = problem.coordinates.index("t")

    def jets(values):
        return [fourier(values[:, i], lengths, problem.space) for i in range(len(problem.unknowns))]

    now, change = jets(fields[:, 2]), jets(rate)

    def entry(key):
        unknown, index = key
        source = (change if index[axis] else now)[problem.unknowns.index(unknown)]
        return source.partial(tuple(order for i, order in enumerate(index) if i != axis))

    axes = [torch.as_tensor(values) for values in header.grid.values()]
    places = [place.unsqueeze(0) for place in torch.meshgrid(*axes, indexing="ij")]
    places.insert(axis, torch.full_like(places[0], header.times[2]))
    residuals = evaluate_equations(problem, entry, places)
    size = max(rate.abs().max().item(), *(jet.d(problem.space[0]).value.abs().max().item() for jet in now))
    assert all(residual.abs().max().item() < 2e-3 * size for residual in residuals)


def test_burgers_is_the_formula_of_cole_and_hopf():
    problem = problems.RandomBurgers(nu=0.05, waves=4)
    header, fields, _ = solve(problem, samples=2, resolution=64, times=3, seed=5, refine=2)
    x, k = torch.as_tensor(header.grid["x"]), 2 * math.pi * torch.arange(1, 33, dtype=torch.float64)
    generator = torch.Generator().manual_seed(5)
    for trajectory in fields:
        initial = problem.sample(generator).conditions()[0].values["u"]
        coefficients = torch.fft.rfft(initial(x))[1:] / 32

        def series(y, coefficients):
            phase = torch.outer(y.reshape(-1), k)
            return (torch.polar(torch.ones_like(phase), phase) @ coefficients).real.reshape(y.shape)

        bound = initial(x).abs().max().item()
        for t, field in zip(header.times[1:], trajectory[1:, 0], strict=True):
            true = cole_hopf(
                x, torch.full_like(x, float(t)), 0.05, lambda y, c=coefficients: series(y, c),
                lambda y, c=coefficients: series(y, c / (1j * k)), variation=bound, steepness=30 * bound,
            )  # fmt: skip
            assert (field - true).norm() < 1e-5 * true.norm()


def test_a_flow_has_no_mean_and_loses_energy_as_its_enstrophy_says():
    problem = problems.SineVorticity(waves=4, nu=0.01, duration=0.2)
    _, fields, _ = solve(problem, samples=2, resolution=32, times=21, channels=("u", "v", "w"))
    u, v, w = fields.unbind(2)
    assert w.mean((-2, -1)).abs().max() < 1e-12 and u.mean((-2, -1)).abs().max() < 1e-13
    energy, enstrophy = ((u**2 + v**2) / 2).mean((-2, -1)), (w**2).mean((-2, -1))
    weights = torch.tensor([1.0] + [4.0, 2.0] * 9 + [4.0, 1.0], dtype=torch.float64) * 0.01 / 3
    lost = energy[:, 0] - energy[:, -1]
    assert (lost - 0.01 * enstrophy @ weights).abs().max() < 1e-5 * lost.min()
    palinstrophy = sum(
        (fourier(w.reshape(-1, 32, 32), (1, 1), ("x", "y")).d(axis).value ** 2).mean((-2, -1)).reshape(2, 21) for axis in "xy"
    )
    shed = enstrophy[:, 0] - enstrophy[:, -1]
    assert (shed - 2 * 0.01 * palinstrophy @ weights).abs().max() < 1e-4 * shed.min()


def test_the_force_feeds_kolmogorov_flow():
    # d/dt E = mean(u sin(mode y)) - friction 2 E - nu mean w^2.
    problem = problems.KolmogorovFlow(nu=0.05, warm_up=1.0, duration=0.5)
    header, fields, _ = solve(problem, resolution=32, times=21, channels=("u", "v", "w"))
    u, v, w = fields[0].unbind(1)
    y = torch.as_tensor(header.grid["y"])
    energy = ((u**2 + v**2) / 2).mean((1, 2))
    power = (u * torch.sin(4 * y)).mean((1, 2)) - 0.2 * energy - 0.05 * (w**2).mean((1, 2))
    weights = torch.tensor([1.0] + [4.0, 2.0] * 9 + [4.0, 1.0], dtype=torch.float64) * 0.025 / 3
    assert (energy[-1] - energy[0]).item() == pytest.approx((power @ weights).item(), rel=1e-4)


def test_the_spectrum_of_random_eddies():
    """The velocity's mean square is as asked for, and the vorticity's deviation falls as one over the wavenumber."""
    problem = problems.SineVorticity(speed=1.5, waves=6)
    _, fields, _ = solve(problem, samples=48, resolution=16, times=2, channels=("u", "v", "w"))
    u, v, w = fields[:, 0].unbind(1)
    assert (u**2 + v**2).mean().item() == pytest.approx(1.5**2, rel=0.1)
    power = (torch.fft.fft2(w).abs() ** 2).mean(0)
    counts = torch.fft.fftfreq(16, 1 / 16).round()
    size = (counts[:, None] ** 2 + counts**2).sqrt()
    inside = (counts[:, None].abs() <= 6) & (counts.abs() <= 6) & (size > 0)
    assert power[~inside & (size > 0)].max() < 1e-20 * power.max()
    slopes = [(power * size**2)[inside & (size >= low) & (size < low + 2)].mean().item() for low in (1, 3, 5)]
    assert max(slopes) / min(slopes) < 1.3


def test_kinetic_and_elastic_energy_of_a_uniform_medium():
    problem = problems.RandomWave(variation=0.0, waves=2, speed=2.0, duration=0.3)
    _, fields, _ = solve(problem, resolution=16, times=4, channels=("u", "v", "c"))
    u, v, c = fields[0].unbind(1)
    assert (c - 2).abs().max() < 1e-12
    jet = fourier(u, (1, 1), ("x", "y"))
    energy = (v**2 + 4 * (jet.x.value**2 + jet.y.value**2)).mean((1, 2))
    assert (energy / energy[0] - 1).abs().max() < 1e-3 and energy[0] > 1


def test_poisson_and_darcy_meet_their_declarations():
    header, u, f = solve(problems.RandomPoisson(narrowest=0.1, widest=0.2), resolution=65)
    assert u[..., [0, -1], :].abs().max() == 0 and u[..., :, [0, -1]].abs().max() == 0
    n = 64
    laplacian = n**2 * sum(u[0, 0, 0].roll(s, d) for s, d in itertools.product((1, -1), (0, 1))) - 4 * n**2 * u[0, 0, 0]
    assert (laplacian + f[0, 0])[1:-1, 1:-1].abs().max() < 5e-3 * f.abs().max()
    problem = problems.RandomPoisson(narrowest=0.1, widest=0.2).sample(torch.Generator().manual_seed(0))
    x, y = torch.meshgrid(*map(torch.as_tensor, header.grid.values()), indexing="ij")
    assert torch.equal(f[0, 0], problem.source(x, y))
    entries = {"xx": torch.zeros(1), "yy": torch.zeros(1)}
    constant = evaluate_equations(problem, lambda key: entries["xx" if key[1][0] else "yy"], [x, y])[0]
    torch.testing.assert_close(constant, f[0, 0])  # the source that the equation knows

    header, u, a = solve(problems.DarcyFlow(waves=4), samples=2, resolution=33, refine=2)
    assert sorted(a.unique().tolist()) == [3, 12] and header.input_channels == ("a",) and header.channels == ("u",)
    assert (u[:, 0, 0, 1:-1, 1:-1] > 0).all()
    low, high = (solve(problems.DarcyFlow(high=k, low=k), resolution=33)[1][0, 0, 0, 16, 16].item() for k in (3.0, 12.0))
    assert low == pytest.approx(0.0736713 / 3, rel=2e-3) and high == pytest.approx(low / 4)  # the torsion of a square


def test_compressible_flows_start_as_declared_and_converge():
    problem = problems.EulerKelvinHelmholtz(duration=0.1, thickness=0.08, waves=2)
    _, coarse, _ = solve(problem, resolution=16, times=2)
    _, fine, _ = solve(problem, resolution=16, times=2, refine=3)
    assert (coarse[:, 0] - fine[:, 0]).abs().max() < 0.1
    assert (coarse[:, 1] - fine[:, 1]).abs().mean() < 0.02
    assert (fine[:, 1] - fine[:, 0]).abs().mean() > 2 * (coarse[:, 1] - fine[:, 1]).abs().mean()
    _, flow, _ = solve(problems.EulerRiemann(duration=0.05), resolution=16, times=2)
    assert [len(flow[0, 0, i].unique()) for i in range(4)] == [4, 4, 4, 4]
    assert (flow[:, 1, 0].sum() - flow[:, 0, 0].sum()).abs() < 1e-11


def test_jets_of_darcys_mixed_form():
    problem = problems.DarcyFlow(seed=2)
    x, y = torch.rand(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    a = problem.coefficient()(x, y)
    u = Field(("x", "y"), lambda index: torch.full_like(x, 2.0 if index == (1, 0) else 0.0))
    p = Field(("x", "y"), lambda index: 2 * a if not any(index) else torch.full_like(x, -1.0))
    residuals = problem.residuals({"u": u, "p": p, "q": u.y}, torch.stack([x, y], 1))
    assert all(residual.abs().max() == 0 for residual in residuals.values())
