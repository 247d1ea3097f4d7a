from __future__ import annotations

import json

import pytest
import torch

import sciml
from problems import Heat
from sciml.cli import main

pytestmark = pytest.mark.usefixtures("blank_pictures")


def test_a_network_is_trained_loaded_and_trained_on(empty_folder):
    solution = sciml.solve(Heat(), "pinn", steps=2, folder="run", width=4, depth=1, points=20)
    loaded = sciml.load("run")
    points = Heat.domain.sample(5, torch.Generator().manual_seed(0))
    assert torch.equal(loaded(points)["u"], solution(points)["u"])
    steps = json.loads((empty_folder / "run" / "metrics.json").read_text())["steps"]
    assert main(["solve", "run/config.toml", "--resume", "run", "--steps", "4"]) == 0
    assert json.loads((empty_folder / "run" / "metrics.json").read_text())["steps"] > steps
