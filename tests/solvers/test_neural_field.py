from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import problems
from sciml import Callback, InputError
from sciml.recipes.neural_field import PRESETS, Preset, neural_field
from sciml.registry import get_solver
from sciml.shapes import CrossSections, slice_mesh
from sciml.shapes.methods import rbf
from sciml.solvers import NeuralField
from sciml.training import Checkpoint, Every
from tests.shapes.solids import nested, torus
from tests.solvers.test_device import NoCPU

TINY = {"centres": 300, "points": 256, "grids": (4, 8)}


def tiny(steps=(6, 6), **changes):
    return Preset(steps, 1500, (0.1, 0.05), **({"solver": TINY} | changes))


def slices():
    return slice_mesh(torus(), 9)


def places(n=200):
    return (2 * torch.rand(n, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1) * 1.5


@pytest.mark.parametrize("refits", [0, 2])
def test_it_starts_at_the_radial_basis_functions(refits):
    found = slices()
    solver = NeuralField(CrossSections(found, 900), **TINY, refits=refits)
    np.testing.assert_allclose(solver.fields(places())["distance"], rbf(found, 300, refits)(places())[:, 0], atol=1e-6)
    residuals = solver.residuals(solver.sample(torch.Generator().manual_seed(0)))
    assert residuals.keys() == solver.term_kinds.keys() == solver.term_points.keys()
    assert len(residuals["planes_distance"]) == 2 * 256 and len(residuals["correction_distance"]) == 128
    assert residuals["correction_distance"].abs().max() == 0


def test_training_brings_the_planes_closer():
    history = neural_field(CrossSections(slices()), preset=tiny((150, 150)), progress=False).history
    untrained = neural_field(CrossSections(slices()), preset=tiny((1, 1)), progress=False).history
    assert history["loss/planes_distance"][-1] < 0.5 * untrained["loss/planes_distance"][-1]


def test_without_a_first_estimate_there_is_no_correction():
    solver = NeuralField(CrossSections(slices(), 900), **TINY | {"centres": 0})
    assert solver.fields(places())["distance"].abs().max() == 0
    assert "correction_distance" not in solver.term_kinds


def test_the_slope_is_held_below_that_of_a_distance():
    solver = NeuralField(CrossSections(slices(), 900), **TINY | {"slope": 1.0})
    batch = solver.sample(torch.Generator().manual_seed(0))

    def slope(factor):
        solver.network.forward = lambda points, first: [factor * points[:, :1]]
        return solver.residuals(batch)["slope_distance"]

    assert slope(1.0).max() < 1e-4 and 0.5 < slope(3.0).max() <= 2.001


def test_levels_have_their_own_points_and_rates_fall_throughout():
    from sciml.recipes.neural_field import _phases

    first, second = _phases(tiny((100, 300)), 40, 8.0)
    assert (first.steps, second.steps, first.seconds, second.seconds) == (10, 30, 2.0, 6.0)
    assert first.optimiser.learning_rate * first.schedule(10) == pytest.approx(second.optimiser.learning_rate)
    assert second.optimiser.learning_rate * second.schedule(30) == pytest.approx(2e-2 * 0.02)
    problem = CrossSections(slices(), 900, (0.1, 0.05))
    solver, generator = NeuralField(problem, **TINY), torch.Generator().manual_seed(0)
    for number, phase in enumerate((first, second)):
        rows = phase.sampler.draw(solver, generator)["planes"].rows
        assert problem.planes.widths[rows].unique().item() == pytest.approx(problem.scale * (0.1, 0.05)[number])


def test_a_killed_run_continues_exactly(tmp_path):
    class Killed(Exception):
        pass

    class Kill(Callback):
        def on_step(self, run):
            if run.step == 9:
                raise Killed

    problem = CrossSections(slices())
    whole = neural_field(problem, preset=tiny(), progress=False, seed=3)
    with pytest.raises(Killed):
        saving = [Checkpoint(tmp_path, Every(steps=4)), Kill()]
        neural_field(problem, preset=tiny(), progress=False, seed=3, callbacks=saving)
    again = neural_field(problem, preset=tiny(), progress=False, seed=3, folder=tmp_path, resume=tmp_path)
    assert again.steps == whole.steps == 12
    for one, other in zip(whole.solver.parameters(), again.solver.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_saved_configuration_rebuilds_it():
    solver = NeuralField(CrossSections(slices(), 900), **TINY)
    again = NeuralField.from_configuration(solver.problem, solver.configuration())
    assert torch.equal(solver.fields(places())["distance"], again.fields(places())["distance"])


def test_residuals_and_gradients_stay_on_the_device():
    solver = NeuralField(CrossSections(nested(2.0, 1.0), 300), **TINY, device="meta")
    solver.problem.planes.points = solver.problem.planes.points.to("meta")
    planes = solver.problem.planes
    planes.widths = planes.widths.to("meta")
    planes.distances = {name: distance.to("meta") for name, distance in planes.distances.items()}
    batch = solver.sample(torch.Generator("cpu").manual_seed(0))
    batch = {key: points.to("meta") for key, points in batch.items()}
    with NoCPU():
        residuals = solver.residuals(batch)
        loss = torch.stack([residual.square().mean() for residual in residuals.values()]).sum()
        gradients = torch.autograd.grad(loss, list(solver.parameters()))
    assert all(gradient.device.type == "meta" for gradient in gradients)


def test_the_papers_network_has_its_size():
    preset = PRESETS["paper"]
    solver = NeuralField(CrossSections(nested(1.0), 300), **preset.solver)
    # 31,436 with the initial estimate, which the initial hidden state makes superfluous
    assert sum(parameter.numel() for parameter in solver.parameters()) == 31_435


def test_the_papers_preset_learns_in_a_few_of_its_steps():
    """With its network, its six levels, its targets and its rates, but a tenth of its points."""
    preset = PRESETS["paper"]
    fewer = replace(preset, samples=6000, solver=preset.solver | {"points": 1500})
    result = neural_field(CrossSections(slices()), preset=fewer, steps=30, progress=False)
    assert [phase.steps for phase in result.phases] == [2, 2, 4, 4, 6, 9]
    loss = result.history["loss/planes_distance"]
    assert loss[-1] < 0.85 * loss[0]


def test_mistakes():
    with pytest.raises(InputError, match="is for CrossSections, not for Heat; use 'pinn'"):
        get_solver("neural_field").solve(problems.Heat())
    with pytest.raises(InputError, match="no preset 'fats'; did you mean 'fast'"):
        neural_field(CrossSections(nested(1.0)), preset="fats")
