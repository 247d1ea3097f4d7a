"""Training from a file: what a run learns, leaves, and how it goes on."""

from __future__ import annotations

import importlib
import json
import tomllib

import pytest
import torch
import xarray as xr

from sciml.cli import main
from sciml.data import open_trajectories
from sciml.errors import InputError
from sciml.neural_operator import evaluate, load_operator, train
from sciml.solvers import GridOperator
from sciml.solvers.operator import Signature
from sciml.training import Callback
from tests.neural_operator.waves import Transport, write_squares, write_waves

SMALL = {"n_modes": (4, 4), "hidden_channels": 8, "n_layers": 2, "batch": 10}
pytestmark = pytest.mark.usefixtures("blank_pictures")


@pytest.fixture(scope="module")
def waves(tmp_path_factory):
    return write_waves(tmp_path_factory.mktemp("data") / "waves.h5")


class Kill(Callback):
    def __init__(self, step):
        self.step = step

    def on_step(self, run):
        if run.step == self.step:
            raise RuntimeError("killed")


def weights(operator):
    return torch.cat([parameter.detach().flatten() for parameter in operator.parameters()])


def test_an_operator_learns_the_waves(waves):
    options = {"n_modes": (6, 6), "hidden_channels": 16, "n_layers": 2, "positional_embedding": None}
    trained = train("fno", waves, epochs=40, progress=False, batch=10, learning_rate=5e-3, average=0.9, **options)
    first, last = (trained.history["loss"][i] for i in (0, -1))
    assert last < 0.25 * first
    assert trained.metrics["test_relative_l1"] < 0.3
    assert len(trained.metrics["rollout_relative_l1"]) == 4


def test_figures_of_the_exact_operator_and_of_standing_still(waves):
    data = open_trajectories(waves)
    exact = GridOperator(Transport(), Signature.of(data))
    called = []
    found = evaluate(exact, data, [8, 9], lambda: called.append(1))
    assert found["relative_l1"] < 1e-5 and max(found["rollout"]["relative_l2"]) < 1e-5
    assert found["rollout"]["diverged"] == 0 and found["rollout"]["time_to_correlation"] == pytest.approx(1.0)
    assert set(found["relative_l1_by_group"]) == {"velocity"} and len(called) == 8
    still = evaluate(GridOperator(Transport((0.0, 0.0)), Signature.of(data)), data, [8, 9])
    fields = data.read([8, 9])
    error = (fields[:, 1:] - fields[:, :-1]).flatten(2).abs().sum(-1) / fields[:, 1:].flatten(2).abs().sum(-1)
    assert still["relative_l1"] == pytest.approx(float(error.flatten().quantile(0.5)), rel=1e-5)
    assert still["relative_l1_mean"] == pytest.approx(float(error.mean()), rel=1e-5)


def test_steady_maps(tmp_path):
    file = write_squares(tmp_path / "squares.h5")
    trained = train("unet", file, epochs=1, progress=False, hidden_channels=4, n_levels=2, n_blocks=1, loss="relative_l2")
    assert trained.metrics["rollout_relative_l1"] == [] and "rollout" not in trained.metrics["test"]
    assert 0 < trained.metrics["test_relative_l2"] < 10
    assert trained.operator.network.padding == "zeros"  # the fields end at the edge of the grid


@pytest.mark.parametrize("options", [{}, {"noise": 0.1, "pushforward": 0.5, "precision": "bfloat16-mixed"}])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(waves, tmp_path, monkeypatch, options):
    monkeypatch.setattr(importlib.import_module("sciml.recipes.operator"), "CHECKPOINT_EVERY", 3)
    options = SMALL | options
    whole = train("fno", waves, epochs=2, progress=False, **options)
    with pytest.raises(RuntimeError, match="killed"):
        train("fno", waves, epochs=2, progress=False, folder=tmp_path / "run", callbacks=[Kill(11)], **options)
    resumed = train("fno", waves, epochs=2, progress=False, resume=tmp_path / "run", **options)
    assert resumed.metrics["steps"] == whole.metrics["steps"] == 18
    assert torch.equal(weights(resumed.operator), weights(whole.operator))
    assert resumed.history["loss"].tolist() == whole.history["loss"].tolist()


def test_the_folder_of_a_run(waves, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    settings = [f"--set={name}={','.join(map(str, v)) if isinstance(v, tuple) else v}" for name, v in SMALL.items()]
    assert main(["train", "fno", "--data", str(waves), "--epochs", "1", *settings, "--out", "run"]) == 0
    folder = tmp_path / "run"
    expected = {"metrics.json", "config.toml", "history.csv", "weights.safetensors", "checkpoint", "report.html"}
    assert {path.name for path in folder.iterdir()} == expected | {"solution.nc", "solution.png"}
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["parameters"] == sum(p.numel() for p in load_operator("run").parameters())
    assert metrics["samples_per_second"] == pytest.approx(90 / metrics["seconds"])
    assert 0 < metrics["test_relative_l1"] < 2 and 0 < metrics["test_relative_l2"] < 2
    assert len(metrics["rollout_relative_l1"]) == 4 and metrics["relative_l2"].keys() == {"velocity"}
    assert (metrics["solver"], metrics["operator"], metrics["problem"], metrics["seed"]) == ("operator", "fno", "waves", 0)
    assert metrics["steps"] == 9 and metrics["error_estimate"] is None and "torch" in metrics["versions"]
    with xr.open_dataset(folder / "solution.nc", engine="h5netcdf") as dataset:
        assert dict(dataset.sizes) == {"time": 5, "x": 16, "y": 8}
    assert "run" in capsys.readouterr().out

    configuration = tomllib.loads((folder / "config.toml").read_text())
    assert configuration["solver"]["options"]["n_modes"] == [4, 4] and configuration["solver"]["options"]["batch"] == 10
    assert main(["train", "run/config.toml", "--out", "again"]) == 0
    first, second = (load_operator(name) for name in ("run", "again"))
    assert torch.equal(weights(first), weights(second)) and torch.equal(first.mean_in, second.mean_in)
    assert first.mean_in.flatten()[0] != 0

    capsys.readouterr()
    assert main(["train", "fno", "--data", str(waves), "--epochs", "2", "--set", "batch=9", "--resume", "run"]) == 2
    assert "batch 10, not 9" in capsys.readouterr().err
    assert main(["train", "run/config.toml", "--epochs", "2", "--resume", "run"]) == 0
    assert json.loads((folder / "metrics.json").read_text())["steps"] == 18


def test_a_budget_of_seconds_ends_at_a_learning_rate_of_zero(waves):
    rates = []

    class Watch(Callback):
        def on_step(self, run):
            rates.append(run.optimiser._optimizer.param_groups[0]["lr"])

    trained = train("fno", waves, seconds=1.0, progress=False, callbacks=[Watch()], **SMALL)
    assert trained.metrics["stop_reason"].startswith("time budget") and trained.metrics["steps"] == len(rates)
    assert max(rates) <= 1e-3 and rates[-1] < 0.2 * max(rates)


def test_the_equations_of_the_data_join_the_loss(tmp_path):
    file = write_waves(tmp_path / "waves.h5", problem=f"{__file__.replace('test_train', 'waves')}:Waves")
    trained = train("fno", file, epochs=1, progress=False, physics=0.1, **SMALL)
    assert {"loss/transport_u", "weight/transport_v"} <= set(trained.history.columns)
    assert trained.history["weight/transport_u"][-1] == pytest.approx(0.1)


REFUSED = {
    "did you mean 'fno'": ["fnoo"],
    "has a setting 'hidden_chanels'; did you mean 'hidden_channels'": ["fno", "--set", "hidden_chanels=8"],
    "hidden_channels must be a whole number, got 'many'": ["fno", "--set", "hidden_channels=many"],
    "n_modes must be a whole number": ["fno", "--set", "n_modes=a,b"],
    "loss must be one of relative_l1, relative_l2": ["fno", "--set", "loss=l3"],
    "batch must be positive, got 0": ["fno", "--set", "batch=0"],
    "lead_steps must be between 1 and 4": ["fno", "--set", "lead_steps=9"],
    "test=10 must be at least 1 and leave some of the 10": ["fno", "--set", "test=10"],
    "precision must be one of": ["fno", "--set", "precision=half"],
    "physics differentiates fields": ["fno", "--set", "physics=1", "--set", "precision=bfloat16-mixed"],
    "there is no problem 'waves'": ["fno", "--set", "physics=1"],
    "without = 'gates' is not a part": ["drift_net", "--set", "size=tiny", "--set", "without=gates"],
    "a grid of (16, 8) points, but this network needs at least 16": ["drift_net", "--set", "size=tiny"],
    "epochs must be a positive whole number, got 0": ["fno", "--epochs", "0"],
    "seconds must be a positive number, got -1": ["fno", "--seconds", "-1"],
    "device 'gpu' cannot be used": ["fno", "--device", "gpu"],
    "must be KEY=VALUE": ["fno", "--set", "batch"],
    "there is no file 'nothing.h5'": ["fno", "--data", "nothing.h5"],
    "notes.txt cannot be read as HDF5": ["fno", "--data", "notes.txt"],
    "drift_net does not take these data": ["drift_net", "--data", "line.h5", "--set", "size=tiny"],
    "a single time and no inputs": ["fno", "--data", "still.h5"],
    "--data FILE is missing": ["fno"],
    "wrong.toml is not the config.toml of a trained operator": ["wrong.toml"],
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_input_is_one_line_that_names_the_fix(message, waves, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing of the kind")
    (tmp_path / "wrong.toml").write_text("[solver]\n")
    write_waves(tmp_path / "line.h5", grid=(16,))
    write_waves(tmp_path / "still.h5", times=1)
    arguments = REFUSED[message]
    data = [] if "--data" in arguments or "missing" in message else ["--data", str(waves)]
    assert main(["train", *arguments, *data]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error, error
    assert not (tmp_path / "runs").exists()


def test_a_folder_without_an_operator(tmp_path, waves):
    with pytest.raises(InputError, match=r"config\.toml"):
        load_operator(tmp_path)
    (tmp_path / "config.toml").write_text('[solver]\nname = "pinn"\n')
    with pytest.raises(InputError, match="a run of the solver 'pinn'"):
        load_operator(tmp_path)


def test_figures_are_finite_numbers_or_null(waves, tmp_path):
    """A diverged operator still leaves a readable file."""
    from sciml import io

    data = open_trajectories(waves)
    operator = GridOperator(Transport(), Signature.of(data))
    operator.deviation_out.fill_(1e30)
    found = evaluate(operator, data, [8])
    io.write_json(tmp_path / "figures.json", found)
    read = json.loads((tmp_path / "figures.json").read_text())
    assert read["rollout"]["diverged"] == 1 and read["rollout"]["relative_l1"][-1] is None
