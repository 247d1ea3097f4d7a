"""``import sciml`` is cheap and leaves no trace."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROBE = """
import json, os, random, sys
import numpy, torch

def state():
    return {
        "dtype": str(torch.get_default_dtype()),
        "device": str(torch.get_default_device()),
        "grad": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "torch": torch.random.get_rng_state().tolist(),
        "numpy": str(numpy.random.get_state()),
        "python": str(random.getstate()),
        "environment": dict(os.environ),
        "warnings": str(__import__("warnings").filters),
        "folder": sorted(os.listdir()),
        "home": sorted(os.listdir(os.path.expanduser("~"))),
    }

before, loaded = state(), set(sys.modules)
exec(sys.argv[1])
after = state()
changed = [name for name in before if before[name] != after[name]]
print(json.dumps({"changed": changed, "modules": sorted(set(sys.modules) - loaded)}))
"""

HEAVY = {"deepxde", "h5netcdf", "h5py", "matplotlib", "pandas", "pydantic", "rich", "sklearn", "typer", "xarray"}


def probe(statement, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    done = subprocess.run(
        [sys.executable, "-c", PROBE, statement], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.fixture(autouse=True)
def importable(monkeypatch, pytestconfig):
    monkeypatch.setenv("PYTHONPATH", str(pytestconfig.rootpath))


def test_import_changes_no_global_state(tmp_path, monkeypatch):
    found = probe("import sciml", tmp_path, monkeypatch)
    assert found["changed"] == []
    assert HEAVY.isdisjoint(found["modules"])


def test_the_public_names_change_no_global_state(tmp_path, monkeypatch):
    statement = "import problems, sciml; [getattr(sciml, name) for name in sciml.__all__]"
    found = probe(statement, tmp_path, monkeypatch)
    assert found["changed"] == []
    assert HEAVY.isdisjoint(found["modules"])


def test_the_command_line_starts_without_torch(tmp_path):
    statement = "import sys; from sciml.cli import main; main(['--help']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", statement], cwd=tmp_path, check=True, capture_output=True)
