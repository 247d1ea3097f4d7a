"""Unknown coefficients and fields from noisy measurements."""

from __future__ import annotations

import pytest
import torch

import sciml
from problems import Burgers, InverseDiffusion, InversePoisson
from sciml.problem import Observations, Parameter
from sciml.recipes.experts import experts
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import grid
from sciml.solvers.experts.system import System
from sciml.solvers.experts.terms import State
from sciml.solvers.experts.tiling import Tiling
from sciml.solvers.linearise import equations_at, linearise


@pytest.mark.parametrize("seed", [0, 1])
def test_a_coefficient_is_as_good_as_its_data(seed, tmp_path, blank_pictures):
    """The data determine it to 0.2 %, one standard deviation."""
    solution = sciml.solve(InverseDiffusion(seed=seed), solver="experts", progress=False)
    assert solution.parameters["diffusivity"] == pytest.approx(0.1, rel=0.006)
    assert solution.error_estimate is None, "noise is not in the residuals"
    solution.save(tmp_path)
    assert sciml.load(tmp_path, InverseDiffusion(seed=seed)).parameters == solution.parameters


def test_without_noise_nothing_limits_it():
    result = experts(InverseDiffusion(noise=0.0), target=1e-8, progress=False)
    assert result.stop_reason == "target"
    assert result.solution.parameters["diffusivity"] == pytest.approx(0.1, rel=1e-9)


def test_a_field_is_found_from_noisy_values_of_another():
    """Ten percent of noise; the best published error of a is 2.45e-2."""
    result = experts(InversePoisson(), progress=False)
    assert result.stop_reason == "noise"
    assert result.solution.relative_l2["a"] < 0.015
    assert result.solution.relative_l2["u"] < 0.025


def test_slopes_by_coefficients_are_the_derivatives():
    problem = Burgers(nu=Parameter(0.3, positive=True))
    indices, generator = problem.derivatives["interior"], torch.Generator().manual_seed(1)
    points = problem.domain.sample(5, generator)
    values = torch.rand(1, len(indices), 5, dtype=torch.float64, generator=generator)
    at = lambda raw: linearise(equations_at(points), problem, values, indices, raw)["momentum"]  # noqa: E731
    raw, step = torch.tensor([-1.0], dtype=torch.float64), 1e-6
    torch.testing.assert_close((at(raw + step).value - at(raw - step).value) / (2 * step), at(raw).shared[:, 0])


class Curve(InverseDiffusion):
    """Few measurements."""

    def conditions(self):
        points = self.domain.sample(12, torch.Generator().manual_seed(3))
        return [*super().conditions()[:2], Observations(points, u=self.exact(*points.unbind(1))["u"] + 0.01)]


def test_coupled_coefficients_equal_the_dense_ones_and_freedom_is_a_trace(monkeypatch):
    problem, basis = Curve(), Legendre(2, 4)
    axis = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)
    system = System(problem, Tiling(problem, torch.device("cpu")), grid([axis, axis]), basis)
    generator = torch.Generator().manual_seed(0)
    state = State(torch.rand(system.shape, dtype=torch.float64, generator=generator), torch.tensor([-2.0], dtype=torch.float64))
    number = state.coefficients.numel()

    def rows(flat):
        there = State(flat[:number].reshape(system.shape), flat[number:])
        return torch.cat(
            [*(term.residuals(there).flatten() for term in system.terms), system.skeleton.jumps(there.coefficients.flatten(1))]
        )

    found = system.step(state)
    here = torch.cat([state.coefficients.flatten(), state.shared])
    jacobian = torch.autograd.functional.jacobian(rows, here)
    expected = here - torch.linalg.lstsq(jacobian, rows(here)[:, None], driver="gelsd").solution[:, 0]
    torch.testing.assert_close(found.shared, expected[number:], rtol=1e-6, atol=0)
    torch.testing.assert_close(found.coefficients.flatten(), expected[:number], rtol=0, atol=1e-6 * float(expected.abs().max()))

    (term,) = system.measurements
    hat = torch.stack([
        (term.residuals(system.step(state, [unit[None]])) - term.residuals(found))[0] / term.scale[0]
        for unit in torch.eye(12, dtype=torch.float64)
    ])  # fmt: skip
    signs = 2.0 * torch.randint(2, (1, 12), generator=torch.Generator().manual_seed(0)) - 1
    misfit, freedom, _ = system.score(state)
    assert freedom == pytest.approx(float(signs.double() @ hat.T @ signs[0].double()), rel=1e-6)
    assert 0 < float(hat.trace()) < 12
    misfits = (term.residuals(state) / term.scale)[0]
    assert misfit == pytest.approx(float(misfits.norm()) * 12**0.5 / (12 - freedom), rel=1e-9)
