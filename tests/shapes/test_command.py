from __future__ import annotations

import base64
import json
import os
import re
import signal
import tomllib

import numpy as np
import pytest
import xarray as xr

from sciml.cli import main
from sciml.recipes.neural_field import PRESETS, Preset
from sciml.shapes import Slices, load_mesh, slice_mesh, write_csl
from sciml.training import Run
from tests.shapes.solids import generator, level, nested, square, torus

pytest.importorskip("igl")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_mesh_is_cut_and_compared_with_itself(here, capsys):
    torus().export(here / "torus.stl")
    arguments = ["--planes", "11", "--method", "linear", "--resolution", "40", "--seconds", "60", "--out", "run"]
    assert main(["reconstruct", "torus.stl", *arguments]) == 0
    assert {path.name for path in (here / "run").iterdir()} == {
        "mesh.ply", "metrics.json", "config.toml", "solution.png", "solution.nc", "report.html", "viewer.html",
    }  # fmt: skip
    metrics = json.loads((here / "run" / "metrics.json").read_text())
    assert metrics["iou"] > 0.9 and metrics["euler"] == 0 and metrics["slice_iou"] > 0.95
    assert 0 < metrics["chamfer"] < metrics["hausdorff"] < 0.05
    assert (metrics["method"], metrics["planes"], metrics["units"], metrics["repairs"]) == ("linear", 11, None, [])
    assert load_mesh(here / "run" / "mesh.ply").volume == pytest.approx(metrics["volume"])
    assert (here / "run" / "solution.png").read_bytes().startswith(b"\x89PNG")
    assert tomllib.loads((here / "run" / "config.toml").read_text())["problem"]["settings"]["planes"] == 11
    with xr.open_dataset(here / "run" / "solution.nc") as solution:
        (occupied,) = solution.data_vars.values()
        cell = np.prod([float(axis[1] - axis[0]) for axis in (solution.x, solution.y, solution.z)])
        assert int(occupied.sum()) * cell == pytest.approx(metrics["volume"], rel=0.05)
    printed = capsys.readouterr().out
    assert "slice iou" in printed and "run" in printed
    assert (metrics["problem"], metrics["solver"], metrics["seed"], metrics["steps"]) == ("cross_sections", "linear", 0, 0)
    assert main(["reconstruct", "run/config.toml", "--out", "again"]) == 0
    assert (here / "again" / "mesh.ply").read_bytes() == (here / "run" / "mesh.ply").read_bytes()


def test_known_betti_numbers_are_kept_to(here, monkeypatch):
    from sciml.shapes import Shape

    asked, mesh = [], Shape.mesh

    def spy(self, resolution=None, label=None, betti=None):
        asked.append(betti)
        return mesh(self, resolution, label, betti)

    monkeypatch.setattr(Shape, "mesh", spy)
    write_csl(slice_mesh(torus(), 9), "ring.csl")
    arguments = ["--method", "linear", "--resolution", "32", "--betti", "1", "0", "0", "--out", "cut"]
    assert main(["reconstruct", "ring.csl", *arguments]) == 0
    assert main(["reconstruct", "cut/config.toml", "--out", "again"]) == 0
    found = [json.loads((here / run / "metrics.json").read_text()) for run in ("cut", "again")]
    assert [(metrics["euler"], metrics["resolution"]) for metrics in found] == [(2, 32), (2, 32)]
    assert main(["reconstruct", "cut/config.toml", "--simplest", "--out", "open"]) == 0
    assert main(["reconstruct", "open/config.toml", "--out", "open again"]) == 0
    found = [json.loads((here / run / "metrics.json").read_text())["euler"] for run in ("open", "open again")]
    assert found == [0, 0]  # every plane shows the hole
    assert asked == [(1, 0, 0), (1, 0, 0), "simplest", "simplest"]
    assert main(["reconstruct", "ring.csl", *arguments, "--simplest"]) == 2


def test_the_viewer_needs_nothing_beside_it(here):
    write_csl(nested(2, 1), "shell.csl")
    assert main(["reconstruct", "shell.csl", "--method", "linear", "--resolution", "16"]) == 0
    page = (here / "runs" / "shell-linear" / "viewer.html").read_text()
    assert not re.search(r"https?://|src=|href=|import ", page)
    parts = json.loads(re.search(r"const parts = (\[.*?\]);", page)[1])
    assert [part["kind"] for part in parts] == ["surface", "lines"]
    lines = np.frombuffer(base64.b64decode(parts[1]["index"]), "<u4").reshape(-1, 2)
    assert lines[:8].tolist() == [[0, 1], [1, 2], [2, 3], [3, 0], [4, 5], [5, 6], [6, 7], [7, 4]]
    places = np.frombuffer(base64.b64decode(parts[0]["places"]), "<f4").reshape(-1, 3)
    assert np.linalg.norm(places, axis=1).max() < 1.5


def test_a_mesh_a_label(here):
    write_csl(Slices([level(z, square(1, z, 1), square(1, z, 2, (3, 0))) for z in (0.0, 1.0, 2.0)]), "two.csl")
    assert main(["reconstruct", "two.csl", "--method", "linear", "--resolution", "24", "--out", "run"]) == 0
    assert {path.name for path in (here / "run").glob("*.ply")} == {"mesh_1.ply", "mesh_2.ply"}
    metrics = json.loads((here / "run" / "metrics.json").read_text())
    assert metrics["euler"] == {"1": 2, "2": 2} and metrics["slice_iou"].keys() == {"1", "2"}
    assert load_mesh(here / "run" / "mesh_2.ply").bounds[0, 0] > 2


def test_labels_share_the_finest_resolution_and_what_is_missed_is_told(here, monkeypatch, capsys):
    # at 32 cells both small squares are missed, the one of label 2 so that nothing of it is left
    small = {1: (3, 0.4), 2: (3, 0)}
    planes = [level(z, square(1, z, 1), *(square(0.08, z, k, at) for k, at in small.items())) for z in (0.0, 1.0, 2.0)]
    write_csl(Slices(planes), "two.csl")
    monkeypatch.setattr("sciml.shapes.shape.RESOLUTIONS", (32, 96))
    monkeypatch.setattr("sciml.shapes.shape.AGREEMENT", 0.5)
    assert main(["reconstruct", "two.csl", "--method", "linear", "--out", "run"]) == 0
    metrics = json.loads((here / "run" / "metrics.json").read_text())
    assert metrics["resolution"] == {"1": 96, "2": 96} and metrics["warnings"] == []
    assert list(metrics["euler"]) == ["1", "2"] and load_mesh(here / "run" / "mesh_2.ply").bounds[0, 0] > 2
    speck = [level(z, square(1, z, 1), square(0.08, z, 1, (3, 0))) for z in (0.0, 1.0, 2.0)]
    write_csl(Slices(speck), "speck.csl")
    assert main(["reconstruct", "speck.csl", "--method", "linear", "--resolution", "16", "--out", "coarse"]) == 0
    told = "the mesh of 1 misses 3 of its 6 contours"
    (warning,) = json.loads((here / "coarse" / "metrics.json").read_text())["warnings"]
    assert told in warning and told in (here / "coarse" / "report.html").read_text()
    assert told in " ".join(capsys.readouterr().out.split())


def test_a_solid_far_from_the_origin_is_written_closed(here):
    write_csl(slice_mesh(torus(shift=2e5), 7, (0, 0, 1)), "far.csl")
    assert main(["reconstruct", "far.csl", "--method", "linear", "--resolution", "48", "--out", "run"]) == 0
    metrics = json.loads((here / "run" / "metrics.json").read_text())
    assert load_mesh(here / "run" / "mesh.ply").volume == pytest.approx(metrics["volume"], rel=1e-4)


def test_a_contour_given_twice_is_no_hole(here):
    write_csl(nested(2, 1), "good.csl")
    (here / "twice.csl").write_text((here / "good.csl").read_text().replace("0.5", "1.0").replace("4h0", "4"))
    assert main(["reconstruct", "twice.csl", "--method", "linear", "--resolution", "32", "--out", "run"]) == 0
    metrics = json.loads((here / "run" / "metrics.json").read_text())
    assert metrics["slice_iou"] > 0.9 and "contours that repeat others" in metrics["repairs"][0]


@pytest.fixture
def quick(monkeypatch):
    """The preset "fast" in a second."""
    solver = {"centres": 300, "points": 128, "grids": (4, 8)}
    monkeypatch.setitem(PRESETS, "fast", Preset((4, 4), 900, (0.1, 0.05), solver=solver))


def test_a_neural_field_leaves_a_run_that_continues(here, quick):
    write_csl(slice_mesh(torus(), 9), "torus.csl")
    arguments = ["reconstruct", "torus.csl", "--method", "orex", "--resolution", "32"]
    assert main([*arguments, "--seed", "3", "--out", "run"]) == 0
    assert {path.name for path in (here / "run").iterdir()} == {
        "mesh.ply", "metrics.json", "config.toml", "solution.png", "solution.nc", "report.html", "viewer.html", "history.csv",
        "checkpoint", "weights.safetensors",
    }  # fmt: skip
    metrics = json.loads((here / "run" / "metrics.json").read_text())
    assert (metrics["method"], metrics["preset"], metrics["seed"], metrics["steps"]) == ("orex", "fast", 3, 8)
    assert metrics["stop_reason"] == "step budget of 4 reached" and metrics["euler"] == 0 and metrics["slice_iou"] > 0.9
    mesh = (here / "run" / "mesh.ply").read_bytes()
    (here / "run" / "mesh.ply").unlink()
    assert main([*arguments, "--seed", "3", "--resume", "run"]) == 0
    assert (here / "run" / "mesh.ply").read_bytes() == mesh


def test_interrupted_training_is_saved_and_goes_on(here, quick, monkeypatch):
    write_csl(slice_mesh(torus(), 9), "torus.csl")
    arguments = ["reconstruct", "torus.csl", "--method", "orex", "--resolution", "32"]
    assert main([*arguments, "--out", "whole"]) == 0
    advance = Run.advance

    def interrupted(run):
        advance(run)
        if run.step == 6:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "advance", interrupted)
        assert main([*arguments, "--out", "cut"]) == 0
    metrics = json.loads((here / "cut" / "metrics.json").read_text())
    assert metrics["stop_reason"] == "interrupted by the user" and metrics["steps"] < 8
    assert main([*arguments, "--resume", "cut"]) == 0
    assert (here / "cut" / "mesh.ply").read_bytes() == (here / "whole" / "mesh.ply").read_bytes()


def test_labels_of_a_neural_field(here, quick):
    write_csl(Slices([level(z, square(1, z, 1), square(1, z, 2, (3, 0))) for z in (0.0, 1.0, 2.0)]), "two.csl")
    assert main(["reconstruct", "two.csl", "--seconds", "60", "--resolution", "24", "--out", "run"]) == 0
    metrics = json.loads((here / "run" / "metrics.json").read_text())
    assert metrics["method"] == "orex" and metrics["euler"] == {"1": 2, "2": 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.csl"], "there is no file 'nothing.csl'"),
        (["nothing.stl"], "nothing.stl"),
        (["a.xyz"], "no known format"),
        (["cut.csl"], "the file is cut off"),
        (["one.csl"], "at least two planes"),
        (["good.csl", "--planes", "3"], "cuts a mesh"),
        (["torus.stl", "--planes", "0"], "at least 1, got 0"),
        (["good.csl", "--method", "orxe"], "no method 'orxe'"),
        (["random.csl", "--method", "linear"], "needs parallel planes"),
        (["good.csl", "--reference", "nothing.stl"], "nothing.stl"),
        (["nothing.toml"], "there is no file 'nothing.toml'"),
        (["good.csl", "--seed", "-1"], "seed must be a whole number"),
        (["labels.csl", "--reference", "torus.stl"], "holds 2 labels"),
        (["good.csl", "--seconds", "-1"], "seconds must be a positive number"),
        (["good.csl", "--resolution", "0"], "resolution must be a whole number of at least 8 cells, got 0"),
        (["good.csl", "--betti", "0", "0", "0"], "betti must be numbers of pieces, handles and cavities"),
        (["good.csl", "--out", "good.csl/run"], "cannot be written to"),
        (["good.csl", "--method", "orex", "--preset", "fats"], "no preset 'fats'; did you mean 'fast'"),
        (["good.csl", "--method", "rbf", "--preset", "fast"], "method 'rbf' does not train"),
        (["good.csl", "--method", "orex", "--device", "gpu"], "device 'gpu' cannot be used"),
        (["good.csl", "--method", "orex", "--resume", "run"], "there is no file 'run/config.toml'"),
        (["one.csl", "--method", "orex"], "at least two planes"),
        (["cut.csl", "--method", "orex"], "the file is cut off"),
        (["nan.csl", "--method", "orex"], "must be finite"),
        (["flat.csl", "--method", "orex"], "every plane is empty"),
        (["off.csl", "--method", "orex"], "off every plane"),
    ],
)
def test_bad_input_is_one_line(here, capsys, arguments, message):
    torus().export(here / "torus.stl")
    good = nested(2, 1)
    write_csl(good, "good.csl")
    write_csl(good.take([0]), "one.csl")
    write_csl(slice_mesh(torus(), 3, generator=generator()), "random.csl")
    write_csl(Slices([level(z, square(1, z, 1), square(1, z, 2, (3, 0))) for z in (0, 1)]), "labels.csl")
    (here / "cut.csl").write_text((here / "good.csl").read_text()[:100])
    text = (here / "good.csl").read_text()
    (here / "nan.csl").write_text(text.replace("1.0", "nan", 2))
    (here / "off.csl").write_text(text.replace("-1.0 0.0\n", "-1.0 5.0\n", 1))
    write_csl(Slices([level(0), level(1)]), "flat.csl")
    (here / "a.xyz").write_text("")
    assert main(["reconstruct", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and message in captured.err
    assert not (here / "runs").exists()
