"""The README shows what was measured, and every published run names its seeds and machine."""

from __future__ import annotations

import json
import sys

import pytest

from tests.benchmarks import accuracy, common
from tests.benchmarks.common import README, RESULTS
from tests.benchmarks.tables import regenerate


def test_the_readme_shows_the_saved_results():
    assert regenerate(README.read_text()) == README.read_text()


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_results_say_how_they_were_made(path):
    saved = json.loads(path.read_text())
    assert {"torch", "processor"} <= saved["environment"].keys()
    assert saved["runs"]
    for run in saved["runs"]:
        assert run["measured"]["command"].startswith(f"python -m tests.benchmarks.{path.stem}")
        assert {"commit", "date"} <= run["measured"].keys()


def test_merged_results_keep_where_the_earlier_ones_come_from(monkeypatch, tmp_path):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["accuracy.py", "--meshes", str(tmp_path)])
    common.merge("accuracy", [{"seed": 0, "error": 1.0}, {"seed": 1, "error": 1.0}], ("seed",))
    monkeypatch.setattr(sys, "argv", ["accuracy.py", "--seeds", "2"])
    common.merge("accuracy", [{"seed": 1, "error": 2.0}], ("seed",))
    runs = common.load("accuracy")["runs"]
    assert [(run["seed"], run["error"]) for run in runs] == [(0, 1.0), (1, 2.0)]
    commands = [run["measured"]["command"] for run in runs]
    assert commands == [f"python -m tests.benchmarks.accuracy {rest}" for rest in ("--meshes FOLDER", "--seeds 2")]


def test_rivals_are_columns_of_the_rows_that_they_share(monkeypatch):
    common = {"problem": "helmholtz", "settings": {}, "seed": 0}
    runs = [
        common | {"solver": "experts", "error": 1e-9, "estimate": 2e-9, "seconds": 1.0},
        common | {"solver": "pinn", "error": 1e-5, "estimate": 2e-5, "seconds": 60.0},
        common | {"solver": "deepxde", "error": 0.5, "seconds": 60.1, "budget": 60},
        common | {"solver": "classical", "error": 1e-14, "seconds": 0.1, "budget": 10, "method": "Chebyshev"},
    ]
    monkeypatch.setattr(accuracy, "load", lambda _: {"runs": runs})
    _, _, first, second = accuracy.tables().splitlines()
    assert first.endswith("| - | 1e-14 in 0.1 s (Chebyshev) |"), "the rival's budget was another one"
    assert second.endswith("| 0.5 (0.5) | 1e-14 in 0.1 s (Chebyshev) |")
