"""What the README tells a reader to type works."""

from __future__ import annotations

import re
import shlex
import sys
import types
from pathlib import Path

from sciml.cli import main

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)


def quick(text: str) -> str:
    return re.sub(r"(seconds[= ])\d+", r"\g<1>2", text)


def test_python_blocks_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("readme")
    monkeypatch.setitem(sys.modules, "readme", module)  # where dataclasses look their names up
    blocks = [text for language, text in BLOCKS if language == "python"]
    assert blocks
    for text in blocks:
        exec(compile(quick(text), "README.md", "exec"), vars(module))


def test_the_first_command_solves_and_fills_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = next(text for _, text in BLOCKS if "sciml solve" in text and "&&" in text).split("&&")[1]
    arguments = shlex.split(command)
    assert arguments[0] == "sciml"
    assert not main([*arguments[1:], "--seconds", "2"])
    (folder,) = (tmp_path / "runs").iterdir()
    for name in re.findall(r"`([a-z_]+\.(?:json|toml|csv|nc|png|safetensors|html)|checkpoint/)`", README.split("##")[0]):
        assert (folder / name).exists(), name


def test_a_problem_of_the_users_own_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    declaration = next(text for language, text in BLOCKS if language == "python").split("solution =")[0]
    (tmp_path / "heat.py").write_text(declaration)
    command = re.search(r"`sciml (solve heat\.py:Heat[^`]*)`", README)
    assert command
    assert not main(shlex.split(quick(command.group(1))))
