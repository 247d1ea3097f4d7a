"""Data sets: the same arguments give the same numbers, and what is stored is what was asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import problems
from sciml.data import Trajectories, generate, write_trajectories
from sciml.data.instances import finest_waves
from sciml.errors import InputError
from sciml.registry import get_problem

BURGERS = problems.RandomBurgers(nu=0.05, waves=4, duration=0.1)


def made(path, problem=BURGERS, samples=3, resolution=16, **options):
    write_trajectories(path, *generate(problem, samples, resolution, **options))
    return Trajectories(path)


def test_a_file_says_what_it_holds(tmp_path):
    data = made(tmp_path / "a.h5", times=5, refine=2, seed=7)
    assert data.shape == (3, 5, 1, 16) and data.channels == data.groups == ("u",) and data.periodic == (True,)
    assert data.problem == "random_burgers" and data.settings == {"nu": 0.05, "waves": 4, "duration": 0.1}
    assert data.provenance["seed"] == 7 and data.provenance["refine"] == 2
    np.testing.assert_allclose(data.times, [0, 0.025, 0.05, 0.075, 0.1])
    np.testing.assert_allclose(data.grid["x"], np.arange(16) / 16)


def test_any_trajectorys_problem_can_be_built_again(tmp_path):
    data = made(tmp_path / "a.h5")
    instance = get_problem(data.problem, data.settings | {"seed": int(data.parameters["seed"][2])})
    start = instance.conditions()[0].values["u"](torch.as_tensor(data.grid["x"]))
    torch.testing.assert_close(data.read([2], [0])[0, 0, 0], start.float())


def test_seeds(tmp_path):
    one, same, other = (made(tmp_path / f"{i}.h5", seed=seed).read() for i, seed in enumerate((0, 0, 1)))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert not torch.equal(one[0], one[1])
    longer = made(tmp_path / "longer.h5", samples=5).read()  # more samples go on from the same ones
    torch.testing.assert_close(longer[:3], one)


def test_batches_of_any_size_give_one_data_set(tmp_path, monkeypatch):
    whole = made(tmp_path / "whole.h5")
    monkeypatch.setattr("sciml.data.instances._CACHE", 16)
    _, batches = generate(BURGERS, 3, 16)
    assert [len(batch.fields) for batch in batches] == [1, 1, 1]
    parts = made(tmp_path / "parts.h5")
    torch.testing.assert_close(parts.read(), whole.read(), rtol=1e-4, atol=1e-5)
    assert torch.equal(parts.parameters["seed"], whole.parameters["seed"])


def test_channels_by_choice_and_their_groups(tmp_path):
    flow = problems.ShearLayers(thickness=0.2, duration=0.1, nu=0.01)
    data = made(tmp_path / "flow.h5", flow, 1, 16, times=2)
    assert data.channels == ("u", "v") and data.groups == ("velocity", "velocity")
    data = made(tmp_path / "vorticity.h5", flow, 1, 16, times=2, channels=["w"])
    assert data.channels == data.groups == ("w",) and data.shape == (1, 2, 1, 16, 16)


def test_trajectories_begin_after_the_warm_up(tmp_path):
    flow = problems.KolmogorovFlow(nu=0.1, warm_up=0.5, duration=0.25)
    data = made(tmp_path / "flow.h5", flow, 1, 16, times=3)
    np.testing.assert_allclose(data.times, [0.5, 0.625, 0.75])


def test_a_problem_of_the_users_own(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import dataclass\nimport torch\n"
        "from sciml import Initial, Interval, Periodic, RandomProblem, Time\n"
        "@dataclass(frozen=True)\nclass Heat(RandomProblem):\n"
        "    diffusivity: float = 0.1\n"
        "    coordinates, unknowns = ('x', 't'), ('u',)\n"
        "    domain = Interval('x', 0, 2 * torch.pi) * Time('t', 0, 1)\n"
        "    def equations(self, u, x, t):\n        return {'heat': u.t - self.diffusivity * u.xx}\n"
        "    def conditions(self):\n"
        "        phase = torch.rand((), generator=self.generator())\n"
        "        return [Initial(u=lambda x: torch.sin(x + phase)), Periodic('x')]\n"
    )
    data = made(tmp_path / "heat.h5", get_problem(f"{file}:Heat", {"diffusivity": 0.5}), times=2)
    u = data.read()
    torch.testing.assert_close(u[:, 1], u[:, 0] * np.exp(-0.5), rtol=1e-5, atol=1e-6)
    assert get_problem(data.problem, data.settings).diffusivity == 0.5


def test_unresolved_fields_are_told_from_resolved_ones():
    x = torch.arange(32) / 32 * 2 * torch.pi

    def share(wave, amplitude):
        return finest_waves((5 + torch.sin(x) + amplitude * torch.sin(wave * x)).reshape(1, 1, 1, 32))

    assert share(14, 0.1) == pytest.approx(0.1 / np.sqrt(1.01), rel=1e-5)
    assert share(5, 0.1) < 1e-6
    assert finest_waves(torch.ones(1, 1, 1, 8, 8)) == 0


@pytest.mark.parametrize(
    ("problem", "options", "message"),
    [
        (problems.Helmholtz(), {}, "Helmholtz has no random data .* subclass of sciml.RandomProblem"),
        (BURGERS, {"samples": 0}, "samples must be at least 1, got 0"),
        (BURGERS, {"resolution": 3}, "resolution must be at least 4, got 3"),
        (BURGERS, {"times": 1}, "times must be at least 2, got 1"),
        (BURGERS, {"refine": 0}, "refine must be at least 1, got 0"),
        (BURGERS, {"seed": -1}, "seed must be at least 0, got -1"),
        (BURGERS, {"channels": ["v"]}, "RandomBurgers has no field 'v'; choose one of u"),
    ],
)
def test_bad_input_is_named(problem, options, message):
    with pytest.raises(InputError, match=message):
        generate(problem, **{"samples": 1, "resolution": 8} | options)
