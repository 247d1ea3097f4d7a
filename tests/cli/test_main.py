from __future__ import annotations

import pytest

import sciml
from sciml.cli import main


def test_list_shows_what_is_registered(capsys, plugin):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    for expected in ("problems", "solvers", "operators", "plate", "amplitude=1", "formula", "Multiply the exact"):
        assert expected in printed


def test_list_gives_one_line_an_entry_to_other_programs(capsys, plugin):
    assert main(["list", "problems"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("plate ")] == ["hole."]


def test_list_of_one_kind(capsys, plugin):
    assert main(["list", "solvers"]) == 0
    printed = capsys.readouterr().out
    assert "formula" in printed and "plate" not in printed


def test_list_of_an_unknown_kind(capsys):
    assert main(["list", "solver"]) == 2
    assert capsys.readouterr().err == "sciml: there is no list of 'solver'; did you mean 'solvers'?\n"


@pytest.mark.parametrize("arguments", [[], ["--help"], ["solve", "--help"]])
def test_help(capsys, arguments):
    assert main(arguments) == 0
    assert "Usage" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"sciml {sciml.__version__}\n"


def test_an_unknown_command_is_one_line(capsys):
    assert main(["sovle"]) == 2
    error = capsys.readouterr().err
    assert "'sovle'" in error and "solve" in error and error.count("\n") == 1


def test_interrupted(capsys, monkeypatch, plugin):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sciml.registry.problems", interrupt)
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "sciml: interrupted\n"
