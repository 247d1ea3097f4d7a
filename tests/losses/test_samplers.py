from __future__ import annotations

import io
import itertools

import pytest
import torch
from torch import nn

from sciml.errors import InputError
from sciml.jets import MultiIndexSet, autograd, taylor
from sciml.losses import FixedPoints, ResidualAdaptive, RetainResampleRelease, Uniform
from sciml.nn import MLP
from sciml.problem import Points

F64 = {"dtype": torch.float64}


class Solver(nn.Module):
    """Residuals of two equations on the unit interval; ``residual`` maps points (N, 1) to (N,)."""

    term_kinds = {"mass": "equation", "heat": "equation", "dirichlet_u": "condition"}  # noqa: RUF012
    term_points = {"mass": "interior", "heat": "interior", "dirichlet_u": "dirichlet_u"}  # noqa: RUF012

    def __init__(self, residual):
        super().__init__()
        self.weight = nn.Parameter(torch.ones((), **F64))
        self.frozen = nn.Parameter(torch.ones((), **F64), requires_grad=False)
        self.residual, self.evaluated = residual, []

    def sample(self, generator, method="uniform", scale=1):
        assert method == "uniform"
        boundary = torch.tensor([[0.0], [1.0]], **F64)
        interior = torch.rand(scale * 50, 1, generator=generator, **F64)
        return {"interior": Points(interior), "dirichlet_u": Points(boundary, normals=2 * boundary - 1)}

    def residuals(self, batch):
        x = batch["interior"].coordinates
        self.evaluated.append(len(x))
        heat = self.weight * self.residual(x)
        self.had_graph = heat.requires_grad
        return {"mass": 0 * heat, "heat": heat, "dirichlet_u": self.weight * batch["dirichlet_u"].coordinates[:, 0]}


def bump(x):
    return torch.exp(-(((x[:, 0] - 0.8) / 0.05) ** 2))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


SAMPLERS = {
    "fixed": FixedPoints,
    "uniform": Uniform,
    "uniform_every_3": lambda: Uniform(every=3),
    "rad": lambda: ResidualAdaptive(every=2),
    "r3": RetainResampleRelease,
}


def run(sampler, steps, generator):
    solver = Solver(bump)
    return [sampler(solver, step, generator)["interior"].coordinates for step in steps]


@pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)
def test_batches_are_full_and_determined_by_the_generator(make):
    before = torch.get_rng_state()
    first, again, other = (run(make(), range(5), generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert all(points.shape == (50, 1) and points.dtype == torch.float64 for points in first)


@pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)
def test_state_round_trip_continues_exactly(make):
    sampler, draws = make(), generator()
    run(sampler, range(5), draws)
    buffer = io.BytesIO()
    torch.save([sampler.state_dict(), draws.get_state()], buffer)
    buffer.seek(0)
    state, draws_state = torch.load(buffer, weights_only=True)
    resumed, resumed_draws = make(), generator(9)
    resumed.load_state_dict(state)
    resumed_draws.set_state(draws_state)
    for expected, points in zip(
        run(sampler, range(5, 9), draws), run(resumed, range(5, 9), resumed_draws), strict=True
    ):
        assert torch.equal(expected, points)
    assert torch.equal(sampler.batch["dirichlet_u"].normals, resumed.batch["dirichlet_u"].normals)


def test_an_unused_sampler_has_a_state_too():
    sampler = Uniform()
    sampler.load_state_dict(Uniform().state_dict())
    assert sampler.batch is None


@pytest.mark.parametrize(("make", "distinct"), [(FixedPoints, 1), (Uniform, 9), (lambda: Uniform(every=4), 3)])
def test_period_of_resampling(make, distinct):
    batches = run(make(), range(9), generator())
    assert 1 + sum(not torch.equal(a, b) for a, b in itertools.pairwise(batches)) == distinct


def test_residual_adaptive_concentrates_where_the_residual_is_large():
    def share(k, c):
        points = run(ResidualAdaptive(k=k, c=c, pool_factor=20), [0], generator())[0]
        return ((points - 0.8).abs() < 0.1).double().mean().item()

    assert share(2.0, 0.0) > 0.95
    assert 0.4 < share(1.0, 1.0) < 0.8  # half of the density is uniform
    assert share(0.0, 1.0) < 0.35


def test_residual_adaptive_does_not_repeat_points():
    (points,) = run(ResidualAdaptive(k=4.0, c=0.0), [0], generator())
    assert len(points.unique()) == 50


@pytest.mark.parametrize("value", [0.0, torch.nan, torch.inf])
def test_residual_adaptive_survives_any_residual(value):
    solver = Solver(lambda x: torch.full_like(x[:, 0], value))
    batch = ResidualAdaptive(c=0.0)(solver, 0, generator())
    assert len(batch["interior"]) == 50


@pytest.mark.parametrize("sampler", [ResidualAdaptive(every=1, pool_factor=3), RetainResampleRelease()])
def test_residuals_are_evaluated_without_the_weights_graph(sampler):
    solver = Solver(bump)
    sampler(solver, 0, generator()), sampler(solver, 1, generator())
    assert solver.evaluated and not solver.had_graph
    assert solver.weight.requires_grad and not solver.frozen.requires_grad
    assert all(not points.coordinates.requires_grad for points in sampler.batch.values())


def test_weights_stay_trainable_when_the_solver_fails():
    def broken(x):
        raise RuntimeError

    solver = Solver(broken)
    with pytest.raises(RuntimeError):
        ResidualAdaptive()(solver, 0, generator())
    assert solver.weight.requires_grad


@pytest.mark.parametrize("mode", ["taylor", "autograd"])
def test_both_kinds_of_derivatives_can_be_sampled(mode):
    network = MLP(1, 1, 8, 1, generator=generator(), **F64)
    solver = Solver(None)
    solver.network = network

    def residual(x):
        if mode == "taylor":
            (u,) = taylor(network, x, ("x",), MultiIndexSet([(2,)], 1))
        else:
            (u,) = autograd(network, x, ("x",))
        return u.partial((2,))

    solver.residual = residual
    batch = ResidualAdaptive()(solver, 0, generator())
    assert len(batch["interior"]) == 50


def test_r3_keeps_the_points_of_large_residual_and_renews_the_others():
    sampler, solver, draws = RetainResampleRelease(), Solver(bump), generator()
    old = sampler(solver, 0, draws)["interior"].coordinates
    new = sampler(solver, 1, draws)["interior"].coordinates
    magnitude = bump(old)
    kept = magnitude > magnitude.mean()
    assert 0 < kept.sum() < 50
    assert torch.equal(torch.isin(old, new).squeeze(1), kept)
    for step in range(2, 40):
        new = sampler(solver, step, draws)["interior"].coordinates
    assert ((new - 0.8).abs() < 0.15).double().mean() > 0.6


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(every=0), "every must be at least 1"),
        (lambda: ResidualAdaptive(pool_factor=1), "pool_factor must be at least 2"),
        (lambda: ResidualAdaptive(k=-1.0), "k and c must not be negative"),
    ],
)
def test_bad_configuration(make, message):
    with pytest.raises(InputError, match=message):
        make()
