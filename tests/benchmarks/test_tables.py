"""The README shows what was measured, and every published run names its seeds and machine."""

from __future__ import annotations

import json

import pytest

from tests.benchmarks import accuracy
from tests.benchmarks.common import README, RESULTS
from tests.benchmarks.tables import regenerate


def test_the_readme_shows_the_saved_results():
    assert regenerate(README.read_text()) == README.read_text()


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_results_say_how_they_were_made(path):
    saved = json.loads(path.read_text())
    assert saved["command"].startswith(f"python -m tests.benchmarks.{path.stem}")
    assert {"commit", "torch", "processor", "date"} <= saved["environment"].keys()
    assert saved["runs"]


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
