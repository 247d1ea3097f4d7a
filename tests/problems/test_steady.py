"""Steady problems: exact solutions, the cavity's reference against its declared equations and conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from problems import Cavity, Helmholtz, Kovasznay, PoissonHoles, PoissonLShape, PoissonSquare
from sciml.errors import InputError
from sciml.jets import Field, Jet
from sciml.problem import Problem, check_problem
from sciml.reference import cavity_flow, chebyshev_nodes, differentiation_matrix

FORMS: list[Literal["stream_function", "velocity_pressure"]] = ["stream_function", "velocity_pressure"]


@pytest.mark.parametrize(
    "problem",
    [
        Helmholtz(),
        Helmholtz(a1=6, a2=6, k=3.0),
        Kovasznay(),
        Kovasznay(re=40.0),
        PoissonHoles(),
        PoissonLShape(),
        PoissonSquare(),
        PoissonSquare(mode=3),
    ],
    ids=repr,
)
def test_exact_solutions(problem: Problem) -> None:
    check_problem(problem, tolerance=1e-12)


def test_known_values() -> None:
    x = torch.tensor([0.5], dtype=torch.float64)
    assert Helmholtz().exact(x, x / 4)["u"].item() == pytest.approx(1)
    assert Kovasznay().exact(0 * x, x)["u"].item() == pytest.approx(2)


@pytest.mark.parametrize("problem", [PoissonLShape(), PoissonHoles()], ids=repr)
def test_the_maximum_principle(problem: Problem) -> None:
    points = problem.domain.sample(2000, torch.Generator().manual_seed(0))
    u = problem.exact(*points.unbind(1))["u"]
    assert u.min() > 0
    assert u.max() < 1


def test_the_re_entrant_corner() -> None:
    # u = c r^(2/3) + O(r^2 log r) along the diagonal.
    r = torch.tensor([1e-6, 8e-6], dtype=torch.float64)
    near, far = PoissonLShape().exact(-r / 2**0.5, -r / 2**0.5)["u"]
    assert (far / near).item() == pytest.approx(4, abs=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_the_cavity_declares_itself_consistently(form: Literal["stream_function", "velocity_pressure"]) -> None:
    problem = Cavity(form=form)
    check_problem(problem)
    dataset = problem.reference()
    for name in ({"u", "v", "speed"} | set(problem.unknowns)) - {"p"}:
        assert dataset[name].dims == problem.coordinates
    corners = dataset["u"].isnull()
    assert int(corners.sum()) == 2
    assert bool(corners.sel(x=[0, 1], y=1).all())
    assert abs(dataset["u"].sel(y=1, x=slice(0.005, 0.995)) - 1).max() < 1e-10
    speed = np.hypot(dataset["u"], dataset["v"])
    assert abs(speed - dataset["speed"]).max() < 1e-15


@pytest.mark.parametrize("form", FORMS)
def test_the_cavity_reference_satisfies_the_declared_equations(
    form: Literal["stream_function", "velocity_pressure"],
) -> None:
    # Without the pressure's gradient the momentum residual is a gradient too: its curl vanishes.
    problem = Cavity(re=50.0, form=form)
    nodes = chebyshev_nodes(24, 0.25, 0.75)
    d = differentiation_matrix(nodes)
    psi = torch.from_numpy(cavity_flow(50.0)(nodes.numpy(), nodes.numpy()).psi)

    def partial(shift: tuple[int, int], sign: float) -> Callable[[tuple[int, ...]], Tensor]:
        def derivative(index: tuple[int, ...]) -> Tensor:
            x, y = (torch.linalg.matrix_power(d, order + extra) for order, extra in zip(index, shift, strict=True))
            return sign * (x @ psi @ y.T).flatten()

        return derivative

    def field(shift: tuple[int, int], sign: float = 1.0) -> Jet:
        return Field(("x", "y"), partial(shift, sign))

    still = field((0, 0), 0.0)
    velocity = [field((0, 1)), field((1, 0), -1.0)]
    jets = [field((0, 0))] if form == "stream_function" else velocity
    residuals = {name: r.value.reshape(psi.shape) for name, r in problem.equations(*jets, still, None, None).items()}
    x, y = residuals["momentum_x"], residuals["momentum_y"]
    assert (x @ d.T - d @ y).abs().max() < 1e-3 * (x @ d.T).abs().max()
    if form == "velocity_pressure":
        assert residuals["continuity"].abs().max() < 1e-9
    derived = problem.derived(*jets, still, None, None)
    for name, jet in {"u": velocity[0], "v": velocity[1]}.items():
        if name in derived:
            assert torch.equal(derived[name].value, jet.value)
    speed = torch.hypot(velocity[0].value, velocity[1].value)
    torch.testing.assert_close(derived["speed"].value, speed)


def test_the_lid_moves_to_the_right() -> None:
    # One point on every piece of the boundary, with a field that has psi_y = 1 and psi = 0 everywhere.
    problem = Cavity()
    generator = torch.Generator().manual_seed(0)
    moving = Field(("x", "y"), lambda index: torch.full((8,), float(index == (0, 1)), dtype=torch.float64))
    for name, condition in problem.named_conditions().items():
        points = condition.sample(problem, 8, generator)
        (residual,) = condition.residuals(problem, {"psi": moving, "p": moving}, points).values()
        if name in ("dirichlet_psi", "neumann_psi_top"):
            assert residual.abs().max() == 0
        else:
            assert torch.equal(residual, points.normals[:, 1])


@pytest.mark.parametrize("settings", [{"re": 0.0}, {"re": 6000.0}, {"re": float("nan")}, {"form": "vorticity"}])
def test_bad_settings_are_refused(settings: dict) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        Cavity(**settings)


def test_the_cavity_reference_may_be_changed_without_changing_the_next() -> None:
    Cavity().reference()["u"][:] = 0
    assert float(Cavity().reference()["u"].max()) == pytest.approx(1)
