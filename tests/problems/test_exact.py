"""Every exact solution of a time-dependent problem satisfies its equations and conditions."""

from __future__ import annotations

import math

import pytest
import torch

from problems import (
    Burgers,
    Convection,
    ConvectionDiffusion,
    DiffusionReaction,
    Heat,
    KleinGordon,
    TaylorGreen,
    Wave,
)
from sciml.errors import InputError
from sciml.problem import Condition, Initial, Problem, check_problem, exact_jets


@pytest.mark.parametrize(
    "problem",
    [
        Burgers(),
        Burgers(nu=0.3),
        Convection(),
        Convection(beta=100.0),
        ConvectionDiffusion(beta=50.0, nu=0.1),
        DiffusionReaction(),
        Heat(),
        Heat(diffusivity=0.05, mode=3),
        KleinGordon(),
        TaylorGreen(nu=0.3),
        Wave(),
        Wave(c=1.5, mode=2),
    ],
    ids=repr,
)
def test_exact_solutions(problem: Problem) -> None:
    check_problem(problem, tolerance=1e-10)


def test_a_wrong_coefficient_is_found() -> None:
    class Wrong(Heat):
        def exact(self, x: torch.Tensor, t: torch.Tensor) -> dict[str, torch.Tensor]:
            return Heat(diffusivity=0.41).exact(x, t)

    with pytest.raises(InputError, match="heat"):
        check_problem(Wrong())


def test_the_data_printed_with_klein_gordon_contradict_its_solution() -> None:
    class Printed(KleinGordon):
        def conditions(self) -> list[Condition]:
            return [Initial(u=0.0, u_t=0.0)]

    with pytest.raises(InputError, match="initial_u"):
        check_problem(Printed())


def test_known_values() -> None:
    x = torch.tensor([0.5], dtype=torch.float64)
    t = torch.tensor([0.25], dtype=torch.float64)
    assert Convection(beta=30.0).exact(x, t)["u"].item() == pytest.approx(math.sin(0.5 - 7.5), abs=1e-15)
    assert Wave().exact(x, t)["u"].item() == pytest.approx(0, abs=1e-15)
    assert KleinGordon().exact(x, t)["u"].item() == pytest.approx(0.5 * math.cos(1.25 * math.pi) + 0.125**3)
    # Basdevant et al. (1986): the slope at the origin is steepest, -152.00516, at t = 0.5105.
    origin = torch.zeros(1, 2, dtype=torch.float64)
    origin[0, 1] = 1.6037 / math.pi
    assert exact_jets(Burgers(), origin)["u"].x.value.item() == pytest.approx(-152.00516, abs=1e-4)


def test_burgers_takes_a_fitted_viscosity() -> None:
    x, t = torch.rand(2, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    nu = torch.tensor(0.05, dtype=torch.float64)
    assert torch.equal(Burgers().bind({"nu": nu}).exact(x, t)["u"], Burgers(nu=0.05).exact(x, t)["u"])
