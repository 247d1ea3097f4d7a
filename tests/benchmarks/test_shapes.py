"""The benchmark of shapes measures what it says and makes its tables."""

from __future__ import annotations

import pytest

pytest.importorskip("igl")
pytest.importorskip("trimesh")

from tests.benchmarks import shapes


def measured(part="methods", method="linear", cut="8 parallel"):
    kinds = {"part": part, "shape": "torus", "cut": cut, "method": method}
    return kinds | shapes.run(**kinds, seed=0, resolution=32, folder=None)


def test_a_run_and_its_tables():
    linear = measured()
    assert linear["iou"] > 0.85 and linear["euler"] == linear["euler_true"] == 0 and linear["seconds"] > 0
    refused = measured(cut="4 random")
    assert "needs parallel planes" in refused["failed"]
    rbf = linear | {"method": "rbf", "iou": 0.5, "hausdorff": 0.25}
    orex = linear | {"method": "orex", "iou": 0.75, "hausdorff": 0.125}
    table = shapes._methods([linear, rbf, orex])
    assert f"| torus | 8 parallel | {linear['iou']:.3f} / - / - / 0.500 / 0.750 / - |" in table
    assert "IoU +0.2500 on average" in table and "Hausdorff distance -0.1250 on average" in table
    ablations = [orex | {"part": "ablations", "method": method} for method in ("rbf", "orex", "without levels")]
    assert shapes._ablations(ablations).count("0.7500") == 3
    planes = [linear | {"part": "planes"}, linear | {"part": "planes", "cut": "16 parallel", "iou": 0.99}]
    assert "| method | 8 | 16 |" in shapes._planes(planes) and "0.990" in shapes._planes(planes)


def test_the_classical_rival():
    found = measured(method="classical rbf", cut="12 parallel")
    assert found["iou"] > 0.93 and found["euler"] == 0 and found["slice_iou"] > 0.97


def test_the_figure(tmp_path):
    runs = [
        {"part": "planes", "shape": "torus", "cut": f"{count} parallel", "method": method, "iou": 1 - 1 / count}
        for count in (5, 10)
        for method in shapes.METHODS
    ]
    shapes.figure(runs, tmp_path / "shapes.png")
    assert (tmp_path / "shapes.png").read_bytes().startswith(b"\x89PNG")


def test_every_ablation_is_another_preset():
    presets = shapes.ablations()
    assert len({str(preset) for preset in presets.values()}) == len(presets)
    assert shapes.available(None)[:3] == [*shapes.ANALYTIC]
