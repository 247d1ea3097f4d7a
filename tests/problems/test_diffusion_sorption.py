"""Diffusion and sorption: declaration, random instances, reference."""

from __future__ import annotations

import math

import pytest
import torch

from problems import DiffusionSorption
from sciml.errors import InputError
from sciml.jets import Field, finite_difference
from sciml.problem import check_problem
from sciml.reference import chebyshev_nodes, interpolate, reaction_diffusion

T = torch.linspace(0, 500, 11, dtype=torch.float64)


def test_the_reference_satisfies_the_equation_and_the_conditions() -> None:
    problem = DiffusionSorption(initial=0.15)
    check_problem(problem)
    dataset = problem.reference()
    u = torch.tensor(dataset["u"].values)
    x, t = (torch.tensor(dataset[name].values) for name in problem.coordinates)
    jet = finite_difference(u, (1 / 256, 5.0), problem.coordinates)

    def late(index: tuple[int, ...]) -> torch.Tensor:
        return jet.partial(index)[:, 20:].flatten()

    points = torch.stack(torch.meshgrid(x, t[20:], indexing="ij"), dim=-1).reshape(-1, 2)
    (residual,) = problem.residuals({"u": Field(("x", "t"), late)}, points).values()
    scale = problem.diffusion * late((2, 0)).abs().max()
    assert residual.abs().max() < 2e-3 * scale
    torch.testing.assert_close(u[0, 1:], torch.ones(100, dtype=torch.float64))
    torch.testing.assert_close(u[-1, 20:], -problem.diffusion * jet.x.value[-1, 20:], rtol=1e-4, atol=0)
    assert (u[1:, 0] == 0.15).all()


def test_the_reference_has_converged() -> None:
    problem = DiffusionSorption(initial=0.02)
    nodes, x = chebyshev_nodes(160, 0, 1), torch.linspace(0, 1, 33, dtype=torch.float64)
    u = reaction_diffusion(
        nodes, problem.diffusion, torch.zeros_like, torch.full_like(nodes, 0.02), T.tolist(),
        left=(1, 0, 1), right=(1, problem.diffusion, 0), capacity=problem.retardation, tolerance=1e-9,
    )  # fmt: skip
    assert (problem.concentration(x, T)[:, 1:] - interpolate(nodes, u, x).T[:, 1:]).abs().max() < 1e-7


def test_without_sorption_it_diffuses() -> None:
    problem = DiffusionSorption(coefficient=1e-12, initial=0.0)
    x = torch.linspace(0, 0.5, 9, dtype=torch.float64)
    found = problem.concentration(x, torch.tensor([0.0, 10.0], dtype=torch.float64))[:, 1]
    torch.testing.assert_close(found, torch.erfc(x / (2 * math.sqrt(problem.diffusion * 10))), rtol=0, atol=1e-7)


def test_the_retardation_is_that_of_pdebench_and_smooth_everywhere() -> None:
    problem = DiffusionSorption()
    u = torch.tensor([0.3, 0.01, -0.5], dtype=torch.float64, requires_grad=True)
    retardation = problem.retardation(u)
    expected = 1 + (0.71 / 0.29) * 2880 * 3.5e-4 * 0.874 * 0.3**-0.126
    assert retardation[0].item() == pytest.approx(expected, rel=1e-14)
    assert torch.isfinite(retardation).all() and (retardation > 1).all()
    beside = torch.tensor([0.01 - 1e-9, 0.01 + 1e-9], dtype=torch.float64, requires_grad=True)
    slopes = torch.autograd.grad(problem.retardation(beside).sum(), beside)[0]
    assert slopes[0].item() == pytest.approx(slopes[1].item(), rel=1e-5)


def test_instances_are_random_and_reproducible() -> None:
    generator = torch.Generator().manual_seed(1)
    drawn = torch.tensor([DiffusionSorption().sample(generator).initial for _ in range(200)])
    assert 0 <= drawn.min() < 0.01 and 0.19 < drawn.max() <= 0.2
    assert DiffusionSorption(duration=400.0).sample(torch.Generator().manual_seed(1)).initial == pytest.approx(float(drawn[0]))


@pytest.mark.parametrize("settings", [{"porosity": 1.0}, {"initial": 2.0}, {"diffusion": 0.0}])
def test_bad_settings_are_refused(settings) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        DiffusionSorption(**settings)
