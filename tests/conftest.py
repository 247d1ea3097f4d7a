from __future__ import annotations

import os

import pytest


@pytest.fixture
def plugin(tmp_path_factory, monkeypatch, pytestconfig):
    """Another package, installed: it registers a solver and a problem of its own."""
    site = tmp_path_factory.mktemp("site")
    information = site / "another_package-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: another-package\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[sciml.problems]\nplate = tests.fakes:Plate\n[sciml.solvers]\nformula = tests.fakes:formula\n"
    )
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(pytestconfig.rootpath)]))
    return site


@pytest.fixture
def blank_pictures(monkeypatch):
    """Runs draw nothing, which takes most of the time of a run that computes nothing."""
    from matplotlib.figure import Figure

    monkeypatch.setattr("sciml.viz.plot_fields", lambda *_, **__: Figure((1, 1)))
    monkeypatch.setattr("sciml.viz.plot_convergence", lambda *_, **__: Figure((1, 1)))
