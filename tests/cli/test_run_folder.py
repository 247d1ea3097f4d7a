from __future__ import annotations

import json
import re
import tomllib

import pytest
import xarray as xr

import sciml
from sciml.cli import main

FILES = {
    "metrics.json", "config.toml", "history.csv", "solution.nc", "solution.png", "weights.safetensors", "report.html",
    "checkpoint",
}  # fmt: skip


def test_a_run_leaves_everything_about_itself(capsys, empty_folder):
    assert main(["solve", "plate", "--solver", "formula", "--set", "waves=2", "--steps", "3", "--out", "a/run"]) == 0
    folder = empty_folder / "a" / "run"
    assert {path.name for path in folder.iterdir()} == FILES
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["relative_l2"] == {"u": pytest.approx(1e-3)}
    assert metrics["problem"] == "plate" and metrics["solver"] == "formula"
    assert (metrics["error_estimate"], metrics["steps"], metrics["stop_reason"]) == (None, 3, "budget")
    assert (metrics["seconds"], metrics["seed"], metrics["device"]) == (0.5, 0, "cpu")
    assert metrics["phases"] == [{"name": "Adam", "steps": 1, "seconds": 0.5, "stop_reason": "budget"}]
    assert {"sciml", "python", "torch", "numpy"} <= metrics["versions"].keys()
    configuration = tomllib.loads((folder / "config.toml").read_text())
    assert configuration["problem"]["settings"]["waves"] == 2
    assert (folder / "history.csv").read_text().startswith("step,phase,loss")
    assert (folder / "solution.png").read_bytes().startswith(b"\x89PNG")
    with xr.open_dataset(folder / "solution.nc", engine="h5netcdf") as dataset:
        assert dataset.u.shape == (256, 256)
    report = (folder / "report.html").read_text()
    assert report.count("data:image/png;base64,") == 2 and "plate by formula" in report
    assert not re.search(r'(src|href)="(?!data:)', report)
    printed = capsys.readouterr().out
    assert "u 0.001" in printed and "budget" in printed and "a/run" in printed
    assert sciml.load(folder).relative_l2 == metrics["relative_l2"]
