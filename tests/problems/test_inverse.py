"""Inverse problems: consistent without noise, reproducible, and determined by their data."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from problems import InverseDiffusion, InversePoisson
from sciml.problem import Observations, Parameter, Problem, check_problem


def _observations(problem: Problem) -> Observations:
    return next(condition for condition in problem.conditions() if isinstance(condition, Observations))


def _fitted(problem: InverseDiffusion) -> float:
    """The diffusivity of least squares over the exact solutions exp(-d pi^2 t) sin(pi x), by Gauss-Newton."""
    data = _observations(problem)
    (x, t), measured = data.points.unbind(1), data.values["u"]
    d = torch.tensor(0.2, dtype=torch.float64)
    for _ in range(20):
        u = torch.exp(-d * math.pi**2 * t) * torch.sin(math.pi * x)
        slope = -(math.pi**2) * t * u
        d = d - (slope * (u - measured)).sum() / (slope**2).sum()
    return d.item()


@pytest.mark.parametrize(
    "problem", [InverseDiffusion(diffusivity=0.1, noise=0.0), InversePoisson(noise=0.0)], ids=lambda p: type(p).__name__
)
def test_the_truth_satisfies_everything_without_noise(problem: Problem) -> None:
    check_problem(problem, tolerance=1e-12)


def test_the_diffusivity_is_unknown() -> None:
    assert InverseDiffusion().parameters() == {"diffusivity": Parameter(1.0, positive=True)}


def test_the_data_determine_the_diffusivity() -> None:
    errors = torch.tensor([_fitted(InverseDiffusion(seed=seed)) / 0.1 - 1 for seed in range(40)])
    assert errors[0].abs() < 0.01
    assert 0.001 < errors.square().mean().sqrt() < 0.003
    assert _fitted(InverseDiffusion(true=0.05, noise=0.0)) == pytest.approx(0.05)


@pytest.mark.parametrize("kind", [InverseDiffusion, InversePoisson])
def test_the_measurements_depend_on_the_seed_alone(kind: type[Problem]) -> None:
    def measured(seed: int) -> Tensor:
        return _observations(kind(seed=seed)).values["u"]  # type: ignore[call-arg]

    before = torch.get_rng_state()
    assert torch.equal(measured(0), measured(0))
    assert not torch.equal(measured(0), measured(1))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("problem, noise", [(InverseDiffusion(), 0.01), (InversePoisson(), 0.1)])
def test_the_noise_is_as_declared(problem: InverseDiffusion | InversePoisson, noise: float) -> None:
    data = _observations(problem)
    errors = data.values["u"] - problem.exact(*data.points.unbind(1))["u"]
    assert errors.std().item() == pytest.approx(noise, rel=0.1)
    assert abs(errors.mean()) < 4 * noise / math.sqrt(len(errors))
