"""Computed references: their equations, their data, their invariants, and convergence in space and time."""

from __future__ import annotations

import math

import pytest
import torch
import xarray as xr
from torch import Tensor

from problems import AllenCahn, AllenCahnPeriodic, KdV, KuramotoSivashinsky
from sciml.jets import Field
from sciml.problem import Problem, check_problem
from sciml.reference import FourierGrid, chebyshev_nodes, etdrk4, interpolate, reaction_diffusion

REFERENCES = [AllenCahn(), AllenCahnPeriodic(), KdV(), KuramotoSivashinsky()]
X = torch.linspace(-1, 1, 513, dtype=torch.float64)
T = torch.linspace(0, 1, 201, dtype=torch.float64)


def _field(dataset: xr.Dataset) -> Tensor:
    return torch.from_numpy(dataset["u"].transpose("t", "x").values)


def _relative_l2(computed: Tensor, true: Tensor) -> float:
    return ((computed - true).norm() / true.norm()).item()


@pytest.mark.parametrize("problem", REFERENCES, ids=repr)
def test_declaration_and_layout(problem: Problem) -> None:
    check_problem(problem)
    dataset = problem.reference()
    assert dataset["u"].dims == problem.coordinates
    for name, low, high in zip(problem.coordinates, *problem.domain.bounds, strict=True):
        assert (dataset[name].values[0], dataset[name].values[-1]) == (low, high)
    initial = problem.conditions()[0].values["u"](torch.tensor(dataset["x"].values))
    assert (_field(dataset)[0] - initial).abs().max() < 1e-12


@pytest.mark.parametrize("problem", [AllenCahn(), AllenCahnPeriodic(1e-3), KdV(), KuramotoSivashinsky()], ids=repr)
def test_references_satisfy_the_declared_equations(problem: Problem) -> None:
    # Central differences of order 8 on the grid, away from its ends, in the problem's own equations.
    dataset = problem.reference()
    u = _field(dataset).T
    spacing = [float(dataset[name][1] - dataset[name][0]) for name in problem.coordinates]

    def partial(index: tuple[int, ...]) -> Tensor:
        derivative = u
        for axis, order in enumerate(index):
            for _ in range(order):
                derivative = _central(derivative, axis, spacing[axis])
        crop = [slice(40 - 4 * index[0], derivative.shape[0] - 40 + 4 * index[0])]
        crop += [slice(20 - 4 * index[1], 120 - 4 * index[1])]
        return derivative[crop[0], crop[1]].flatten()

    jet = Field(problem.coordinates, partial)
    (residual,) = problem.equations(jet, None, None).values()
    assert residual.value.abs().max() < 1e-3 * jet.t.value.abs().max()


def _central(field: Tensor, axis: int, spacing: float) -> Tensor:
    n = field.shape[axis] - 8
    stencil = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
    terms = [w * (field.narrow(axis, 4 + k, n) - field.narrow(axis, 4 - k, n)) for k, w in stencil.items()]
    return torch.stack(terms).sum(0) / spacing


@pytest.mark.parametrize("problem", [AllenCahnPeriodic(), KdV(), KuramotoSivashinsky()], ids=repr)
def test_periodic_references_close(problem: Problem) -> None:
    u = _field(problem.reference())
    assert (u[:, 0] - u[:, -1]).abs().max() < 1e-11


@pytest.mark.parametrize("problem", [KdV(), KuramotoSivashinsky()], ids=repr)
def test_the_mean_is_conserved(problem: Problem) -> None:
    mean = _field(problem.reference())[:, :-1].mean(1)
    assert (mean - mean[0]).abs().max() < 1e-13


def test_kdv_conserves_its_second_and_third_invariants() -> None:
    problem = KdV()
    u = _field(problem.reference())[:, :-1]
    grid = FourierGrid((-1.0,), (1.0,), (512,))
    slope = grid.inverse(grid.derivative(1) * grid.forward(u))
    for invariant in ((u**2).mean(1), (u**3 / 3 - problem.dispersion * slope**2).mean(1)):
        assert (invariant - invariant[0]).abs().max() < 1e-8


def test_allen_cahn_is_even_and_holds_its_ends() -> None:
    u = _field(AllenCahn().reference())
    assert (u - u.flip(1)).abs().max() < 1e-12
    assert (u[:, [0, -1]] + 1).abs().max() < 1e-12


def test_allen_cahn_has_converged_in_space_and_time() -> None:
    # The whole interval instead of half of it, finer nodes and steps.
    nodes = chebyshev_nodes(600, -1, 1)
    start = nodes**2 * torch.cos(math.pi * nodes)
    u = reaction_diffusion(
        nodes, 1e-3, lambda u: 5 * (u - u**3), start, T.tolist(), left=(1, 0, -1), right=(1, 0, -1), tolerance=3e-11
    )
    assert (_field(AllenCahn().reference()) - interpolate(nodes, u, X)).abs().max() < 2e-10


def test_allen_cahn_periodic_agrees_with_another_method() -> None:
    # By symmetry the slope vanishes at 0 and, once t > 0, at 1.
    nodes = chebyshev_nodes(384, 0, 1)
    start = nodes**2 * torch.cos(math.pi * nodes)
    u = reaction_diffusion(nodes, 1e-3, lambda u: 5 * (u - u**3), start, T.tolist(), left=(0, 1, 0), right=(0, 1, 0))
    difference = _field(AllenCahnPeriodic(1e-3).reference()) - interpolate(nodes, u, X.abs())
    assert difference[1:].abs().max() < 2e-10


def test_allen_cahn_periodic_has_converged_in_space_and_time() -> None:
    n = 6144
    grid = FourierGrid((-1.0,), (1.0,), (n,))
    # The coefficients of u(x, 0) once more, from a grid on which its kink leaves no alias: 1/k^2 decay, extrapolated.
    coarse, fine = (_sampled_coefficients(n, 2**k) for k in (19, 20))
    start = fine + (fine - coarse) / 3
    coefficients = etdrk4(
        1e-4 * grid.derivative(2) + 5, lambda v: -5 * grid.forward(grid.inverse(v) ** 3), start, T[:101], 16
    )
    difference = _field(AllenCahnPeriodic().reference())[:101] - grid.evaluate(coefficients, X)
    assert difference[1:].abs().max() < 1e-10


def _sampled_coefficients(modes: int, n: int) -> Tensor:
    grid = FourierGrid((-1.0,), (1.0,), (n,))
    (x,) = grid.points()
    return modes / n * grid.forward(x**2 * torch.cos(math.pi * x))[: modes // 2 + 1]


def test_kdv_has_converged_in_space_and_time() -> None:
    grid = FourierGrid((-1.0,), (1.0,), (640,))
    flux = -grid.derivative(1) / 2
    coefficients = etdrk4(
        -(0.022**2) * grid.derivative(3),
        lambda v: flux * grid.forward(grid.inverse(v) ** 2),
        grid.forward(torch.cos(math.pi * grid.points()[0])),
        T,
        steps=100,
    )
    assert _relative_l2(_field(KdV().reference()), grid.evaluate(coefficients, X)) < 1e-9


@pytest.mark.slow
def test_kuramoto_sivashinsky_has_converged_in_space_and_time() -> None:
    grid = FourierGrid((0.0,), (2 * math.pi,), (320,))
    (x,) = grid.points()
    flux = -100 / 32 * grid.derivative(1)
    coefficients = etdrk4(
        -100 / 16**2 * grid.derivative(2) - 100 / 16**4 * grid.derivative(4),
        lambda v: flux * grid.forward(grid.inverse(v) ** 2),
        grid.forward(torch.cos(x) * (1 + torch.sin(x))),
        T,
        steps=500,
    )
    assert (
        _relative_l2(_field(KuramotoSivashinsky().reference()), grid.evaluate(coefficients, math.pi * (X + 1))) < 1e-9
    )


def test_a_reference_may_be_changed_without_changing_the_next() -> None:
    first = AllenCahn().reference()
    first["u"][:] = 0
    assert float(abs(AllenCahn().reference()["u"]).max()) > 0.5
