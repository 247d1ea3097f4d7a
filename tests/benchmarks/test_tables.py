"""The README shows what was measured, and every published run names its seeds and machine."""

from __future__ import annotations

import json

import pytest

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
