"""Predictions as files: the exact operator is known, so is what they must hold."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image

from sciml import io
from sciml.cli import main
from sciml.data import open_trajectories
from sciml.neural_operator import predict, train
from sciml.solvers import GridOperator
from sciml.solvers.operator import Signature
from tests.neural_operator.waves import STEP, Transport, waves, write_squares, write_waves


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A file of waves, and an operator that was trained on them for one step."""
    folder = tmp_path_factory.mktemp("trained")
    write_waves(folder / "waves.h5")
    train("unet", folder / "waves.h5", epochs=1, batch=64, folder=folder / "run", progress=False, **UNET)
    return folder


UNET = {"hidden_channels": 4, "n_levels": 2, "n_blocks": 1}


@pytest.mark.parametrize("steps", [2, 7])
def test_rollouts_within_the_data_and_beyond(tmp_path, steps):
    data = open_trajectories(write_waves(tmp_path / "waves.h5"))
    operator = GridOperator(Transport(), Signature.of(data))
    figures = predict(operator, data, tmp_path / "out.nc", steps, samples=3)
    expected = waves(10, steps + 1, (16, 8))[:3, 1:]
    with xr.open_dataset(tmp_path / "out.nc", engine="h5netcdf") as found:
        assert dict(found.sizes) == {"sample": 3, "time": steps, "x": 16, "y": 8}
        assert found.time.values == pytest.approx(STEP * np.arange(1, steps + 1))
        assert found.x.values == pytest.approx(data.grid["x"])
        np.testing.assert_allclose(found.u.values, expected[:, :, 0], atol=1e-4)
        np.testing.assert_allclose(found.v.values, expected[:, :, 1], atol=1e-4)
    assert len(figures["relative_l1"]) == min(steps, 4) and max(figures["relative_l1"]) < 1e-4


def test_many_samples_are_written_in_turn(tmp_path):
    data = open_trajectories(write_waves(tmp_path / "waves.h5", samples=19, times=2))
    predict(GridOperator(Transport(unit=STEP), Signature.of(data)), data, tmp_path / "out.nc")
    with xr.open_dataset(tmp_path / "out.nc", engine="h5netcdf") as found:
        np.testing.assert_allclose(found.u.values[:, 0], data.read()[:, 1, 0], atol=1e-4)


def test_another_grid_and_a_single_snapshot(folder, tmp_path, capsys):
    """Trained on 16 x 8 points; rolled out on 24 x 20, of which the data hold the start alone."""
    write_waves(tmp_path / "fine.h5", samples=2, times=1, grid=(24, 20))
    out = tmp_path / "new" / "fine.nc"
    assert main(["predict", str(folder / "run"), "--data", str(tmp_path / "fine.h5"), "--steps", "3", "--out", str(out)]) == 0
    with xr.open_dataset(out, engine="h5netcdf") as found:
        assert dict(found.sizes) == {"sample": 2, "time": 3, "x": 24, "y": 20} and np.isfinite(found.u.values).all()
    assert json.loads(out.with_suffix(".json").read_text()) == {}


@pytest.mark.parametrize("animation", ["gif", "html", "none"])
def test_pictures_beside_the_fields(folder, tmp_path, animation, capsys):
    arguments = ["--data", str(folder / "waves.h5"), "--samples", "1", "--steps", "2", "--animation", animation]
    assert main(["predict", str(folder / "run"), *arguments, "--out", str(tmp_path / "out.nc")]) == 0
    expected = {"out.nc", "out.png", "out.json"} | ({f"out.{animation}"} if animation != "none" else set())
    assert {path.name for path in tmp_path.iterdir()} == expected
    printed = capsys.readouterr().out
    assert "relative l1, last step" in printed
    if animation == "gif":
        frames = []
        with Image.open(tmp_path / "out.gif") as image:
            for number in range(image.n_frames):
                image.seek(number)
                frames.append(np.asarray(image.convert("RGB")))
        assert len(frames) == 3 and (frames[0] != frames[2]).any()
    assert len(json.loads((tmp_path / "out.json").read_text())["relative_l1"]) == 2


def test_lines_and_steady_fields(tmp_path, capsys):
    write_waves(tmp_path / "line.h5", grid=(16,))
    write_squares(tmp_path / "squares.h5")
    small = ["--set", "hidden_channels=4", "--set", "n_layers=1", "--epochs", "1"]
    for name in ("line", "squares"):
        run, data, out = (str(tmp_path / f"{name}{suffix}") for suffix in ("", ".h5", ".nc"))
        assert main(["train", "fno", "--data", data, *small, "--out", run]) == 0
        assert main(["predict", run, "--data", data, "--out", out]) == 0
    assert (tmp_path / "line.gif").exists() and not (tmp_path / "squares.gif").exists()
    with xr.open_dataset(tmp_path / "squares.nc", engine="h5netcdf") as found:
        assert dict(found.sizes) == {"sample": 10, "x": 12, "y": 12}
    assert main(["predict", run, "--data", data, "--out", out, "--steps", "2"]) == 2
    assert "steady fields, which have no 2 steps" in capsys.readouterr().err


REFUSED = {
    "there is no file 'nothing.h5'": ["--data", "nothing.h5"],
    "notes.txt cannot be read as HDF5": ["--data", "notes.txt"],
    "the channels u, but the operator was trained on u, v": ["--data", "squares.h5"],
    "the axes x, but the operator was trained on x, y": ["--data", "line.h5"],
    "are 0.5 apart, those that the operator learned from 0.25": ["--data", "slow.h5"],
    "this network needs at least 2": ["--data", "tiny.h5"],
    "steps must be at least 1, got 0": ["--steps", "0"],
    "samples must be between 1 and 10": ["--samples", "11"],
    "must end in .nc": ["--out", "out.txt"],
    "--animation 'mp4' is not known": ["--animation", "mp4"],
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_input_is_one_line(folder, tmp_path, monkeypatch, capsys, message):
    import h5py

    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("no fields")
    write_squares(tmp_path / "squares.h5")
    write_waves(tmp_path / "line.h5", grid=(16,))
    write_waves(tmp_path / "tiny.h5", grid=(2, 1))
    with h5py.File(write_waves(tmp_path / "slow.h5"), "a") as file:
        file["times"][:] = 2 * file["times"][:]
    standard = {"--data": str(folder / "waves.h5"), "--out": "out.nc"}
    given = standard | dict([REFUSED[message]])
    assert main(["predict", str(folder / "run"), *(part for pair in given.items() for part in pair)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error, error
    assert not (tmp_path / "out.nc").exists()


def test_the_exact_operator_survives_its_folder(tmp_path):
    """Weights and normalisation are in one file."""
    data = open_trajectories(write_waves(tmp_path / "waves.h5"))
    operator, again = (GridOperator(Transport((0.3, 0.1)), Signature.of(data)) for _ in range(2))
    operator.learn_normalisation(data, 8)
    with torch.no_grad():
        operator.network.speed.add_(0.1)
    io.save_weights(operator, tmp_path / "weights.safetensors")
    io.load_weights(again, tmp_path / "weights.safetensors")
    x = data.read([9], [0])[:, 0]
    assert torch.equal(again(x), operator(x)) and again.mean_in.any()
