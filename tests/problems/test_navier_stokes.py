"""Navier-Stokes by its vorticity: declaration, random instances, reference."""

from __future__ import annotations

import math

import pytest
import torch

from problems import NavierStokesVorticity
from problems.random_fields import random_field
from sciml.errors import InputError
from sciml.jets import Field, finite_difference
from sciml.problem import check_problem
from sciml.registry import describe, get_problem


def vortices(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.sin(2 * math.pi * x) * torch.sin(2 * math.pi * y)


class Decaying(NavierStokesVorticity):
    def exact(self, x: torch.Tensor, y: torch.Tensor, t: torch.Tensor) -> dict[str, torch.Tensor]:
        w = vortices(x, y) * torch.exp(-8 * math.pi**2 * self.viscosity * t)
        return {"w": w, "psi": w / (8 * math.pi**2)}


def test_decaying_vortices_solve_the_declared_equations() -> None:
    check_problem(Decaying(viscosity=0.01, initial=vortices), tolerance=1e-10)
    with pytest.raises(InputError, match="vorticity"):
        check_problem(Decaying(viscosity=0.01, initial=vortices, forcing=vortices))


def test_the_reference_satisfies_the_equations() -> None:
    problem = NavierStokesVorticity(viscosity=1e-3, duration=1.0, forcing=lambda x, y: torch.sin(2 * math.pi * (x + y)))
    dataset = problem.reference()
    grids = {name: torch.tensor(dataset[name].values) for name in ("w", "psi")}
    spacing = [float(dataset[name][1] - dataset[name][0]) for name in problem.coordinates]
    jets = {name: finite_difference(grid, spacing, problem.coordinates, accuracy=6) for name, grid in grids.items()}

    def inside(grid: torch.Tensor) -> torch.Tensor:
        return grid[8:-8, 8:-8, 8:-8].flatten()

    fields = {name: Field(problem.coordinates, lambda i, jet=jet: inside(jet.partial(i))) for name, jet in jets.items()}
    axes = torch.meshgrid(*(torch.tensor(dataset[name].values) for name in problem.coordinates), indexing="ij")
    residuals = problem.residuals(fields, torch.stack([inside(axis) for axis in axes], dim=1))
    scale = fields["w"].t.value.abs().max()
    for residual in residuals.values():
        assert residual.abs().max() < 2e-3 * scale
    torch.testing.assert_close(inside(jets["psi"].y.value), inside(torch.tensor(dataset["u"].values)), rtol=0, atol=1e-6)


def test_the_stream_function_is_eliminated_on_a_grid() -> None:
    problem = NavierStokesVorticity(length=2.0)
    x = torch.arange(16, dtype=torch.float64)[:, None, None] / 8
    w = (torch.sin(3 * math.pi * x) * torch.tensor([1.0, 2.0])).expand(3, 16, 16, 2)
    torch.testing.assert_close(problem.eliminate(w)["psi"], w / (3 * math.pi) ** 2)


def test_instances_are_random_reproducible_and_recorded() -> None:
    problem = NavierStokesVorticity(viscosity=1e-3)
    first, again = (problem.sample(torch.Generator().manual_seed(4)) for _ in range(2))
    assert first == again != problem and first.viscosity == 1e-3
    described = describe(first)
    assert get_problem(described["name"], described["settings"]) == first


@pytest.mark.parametrize(("spectrum", "expected"), [("periodic_kernel", "kernel"), ("power_law", "sum")])
def test_random_fields_have_the_declared_covariance(spectrum, expected) -> None:
    shift = 0.2
    place = torch.tensor([0.3, 0.3 + shift], dtype=torch.float64), torch.full((2,), 0.6, dtype=torch.float64)
    values = torch.stack([random_field(seed, spectrum)(*place) for seed in range(2000)])
    measured = (values[:, 0] * values[:, 1]).mean().item()
    if expected == "kernel":
        d = torch.linspace(0, 1, 1001, dtype=torch.float64)[:-1]
        kernel = torch.exp(-2 * torch.sin(math.pi * d) ** 2 / 0.8**2)
        true = math.exp(-2 * math.sin(math.pi * shift) ** 2 / 0.8**2) - kernel.mean().item() ** 2
    else:
        k = torch.arange(-200, 201, dtype=torch.float64)
        variance = 686 * (4 * math.pi**2 * (k[:, None] ** 2 + k**2) + 49) ** -2.5
        variance[200, 200] = 0
        true = (variance * torch.cos(2 * math.pi * k * shift)[:, None]).sum().item()
    assert measured == pytest.approx(true, abs=0.08 * values.var().item())


def test_the_field_has_its_period() -> None:
    field = random_field(0, length=2.5)
    x = torch.rand(5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(field(x, x), field(x + 2.5, x - 5.0))
    assert field(x.float(), x.float()).dtype == torch.float32


def test_bad_settings_are_refused() -> None:
    with pytest.raises(InputError, match="viscosity=0"):
        NavierStokesVorticity(viscosity=0)
    with pytest.raises(InputError, match="spectrum"):
        NavierStokesVorticity(spectrum="white")
