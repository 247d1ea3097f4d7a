from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from sciml import io
from sciml.errors import InputError
from sciml.geometry import Interval, Time


def test_grid_points_follow_the_dataset():
    axes = io.axes_of(Interval("x", -1, 1) * Time("t", 0, 2), n={"t": 3, "x": 5})
    points = io.grid_points(axes)
    assert points.dtype == torch.float64 and points.shape == (15, 2)
    dataset = io.to_dataset(axes, {"u": points[:, 0] + 10 * points[:, 1]}, {"problem": "heat"})
    assert float(dataset.u.sel(x=0.5, t=2)) == 20.5
    back, dimensions, shape = io.dataset_points(dataset, ("x", "t"))
    assert torch.equal(back, points) and dimensions == ("x", "t") and shape == (5, 3)


def test_scattered_points_share_a_dimension():
    dataset = xr.Dataset({"u": ("point", [1.0, 2.0])}, coords={"y": ("point", [3.0, 4.0]), "x": ("point", [5.0, 6.0])})
    points, dimensions, shape = io.dataset_points(dataset, ("x", "y"))
    assert points.tolist() == [[5, 3], [6, 4]] and dimensions == ("point",) and shape == (2,)
    assert io.cell_sizes(dataset, dimensions).tolist() == [1, 1]


def test_a_fixed_coordinate_is_a_coordinate():
    dataset = xr.Dataset({"u": ("x", [1.0, 2.0])}, coords={"x": [0.0, 1.0], "t": 0.5})
    assert io.dataset_points(dataset, ("x", "t"))[0].tolist() == [[0, 0.5], [1, 0.5]]


def test_a_missing_coordinate_is_named():
    with pytest.raises(InputError, match="'t'"):
        io.dataset_points(xr.Dataset(coords={"x": [0.0]}), ("x", "t"))


def test_cells_weigh_by_their_size():
    dataset = xr.Dataset(coords={"x": [0.0, 1.0, 3.0], "y": [0.0, 0.5, 1.0]})
    weights = io.cell_sizes(dataset, ("x", "y")).reshape(3, 3)
    assert weights.mean() == pytest.approx(1)
    assert np.allclose(weights[:, 0] / weights[0, 0], [1, 1.5, 2]) and np.allclose(weights, weights[:, :1])


def test_netcdf(tmp_path):
    dataset = xr.Dataset({"u": ("x", [1.0, math.nan])}, coords={"x": [0.0, 1.0]}, attrs={"problem": "heat"})
    io.save_dataset(dataset, tmp_path / "u.nc")
    with xr.open_dataset(tmp_path / "u.nc", engine="h5netcdf") as read:
        xr.testing.assert_identical(read.load(), dataset)


def test_weights_that_share_memory(tmp_path):
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).double()
    network[1].weight = network[0].weight
    io.save_weights(network, tmp_path / "w.safetensors")
    other = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    io.load_weights(other, tmp_path / "w.safetensors")
    assert torch.equal(other[1].weight, network[0].weight) and other[0].bias.dtype == torch.float64
    with pytest.raises(InputError, match="no weights"):
        io.load_weights(other, tmp_path / "none.safetensors")


def test_toml_leaves_none_out(tmp_path):
    io.write_toml(tmp_path / "c.toml", {"run": {"seed": 0, "steps": None, "sizes": (1, 2)}})
    assert io.read_toml(tmp_path / "c.toml") == {"run": {"seed": 0, "sizes": [1, 2]}}


def test_json_has_no_numbers_that_json_does_not_know(tmp_path):
    io.write_json(tmp_path / "m.json", {"relative_l2": {"u": math.nan, "v": 1.0}, "rollout": [math.inf]})
    text = (tmp_path / "m.json").read_text()
    assert json.loads(text) == {"relative_l2": {"u": None, "v": 1.0}, "rollout": [None]}


def test_a_history_keeps_its_numbers(tmp_path):
    (tmp_path / "h.csv").write_text("step,loss,phase,error\n1,0.5,adam,\n2,0.25,adam,0.1\n")
    history = io.read_history(tmp_path / "h.csv")
    assert history["step"] == [1, 2] and history["loss"] == [0.5, 0.25] and "phase" not in history
    assert math.isnan(history["error"][0]) and history["error"][1] == 0.1


def test_a_folder_is_tried_before_it_is_used(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written to"):
        io.writable_folder(tmp_path / "file" / "run")
    assert list(io.writable_folder(tmp_path / "a" / "run").iterdir()) == []


def test_an_unused_folder(tmp_path):
    assert io.unused_folder(tmp_path / "run") == tmp_path / "run"
    (tmp_path / "run").mkdir()
    (tmp_path / "run-2").mkdir()
    assert io.unused_folder(tmp_path / "run") == tmp_path / "run-3"


def test_a_report_escapes_and_embeds(tmp_path):
    tables = {"Result": {"u": 0.00123456, "error": None, "<b>": "<i>"}, "Nothing": {}}
    io.write_report(tmp_path / "r.html", "a < b", tables, {"Picture": b"png"})
    page = (tmp_path / "r.html").read_text()
    assert "a &lt; b" in page and "&lt;i&gt;" in page and "0.00123" in page and "not known" in page
    assert "data:image/png;base64,cG5n" in page and "Nothing" not in page
