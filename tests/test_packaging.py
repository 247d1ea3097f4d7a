from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("package", ["sciml", "problems", "operators"])
def test_every_package_is_typed(package):
    assert (ROOT / package / "py.typed").is_file()


def test_every_room_has_a_place_in_the_layers(project):
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    placed = {name.strip(" ()").removeprefix("sciml.") for layer in layers for name in layer.split("|")}
    modules = {path.stem for path in (ROOT / "sciml").glob("*.py")}
    rooms = {path.parent.name for path in (ROOT / "sciml").glob("*/__init__.py")}
    assert (modules | rooms) - {"__init__", "__main__"} <= placed


def test_the_readme_states_the_two_commands():
    readme = (ROOT / "README.md").read_text()
    assert "python -m pip install -e . && sciml solve helmholtz" in readme
    assert 'python -m pip install -e ".[dev]" && python -m pytest' in readme
