from __future__ import annotations

import json
import math

import pytest

from sciml.cli import main
from sciml.errors import DivergenceError, InputError
from sciml.rivals import RIVALS, Outcome, Rival

OWN = """
from sciml import Dirichlet, Interval, Problem

class Unknown(Problem):
    coordinates, unknowns = ("x",), ("u",)
    domain = Interval("x", 0, 1)

    def equations(self, u, x):
        return {"poisson": u.xx + 1}

    def conditions(self):
        return [Dirichlet(u=0.0)]
"""


@pytest.fixture
def rivals(monkeypatch):
    """Rivals of known errors beside ``formula``, whose error is 0.001."""

    def better(problem, seconds, seed):
        return Outcome({"u": (1e-5, 3e-5, 2e-5)[seed], "v": 1e-6}, seconds, "quick")

    def worse(problem, seconds, seed):
        return Outcome({"u": 0.1}, 1.0)

    def failing(problem, seconds, seed):
        if seed == 0:
            raise DivergenceError("it grew\nwithout bound")
        return Outcome({"u": math.nan}, 1.0)

    def refusing(problem, seconds, seed):
        raise InputError("it needs a box")

    chosen = {"better": (better, True), "worse": (worse, False), "failing": (failing, True), "refusing": (refusing, True)}
    for name, rival in chosen.items():
        monkeypatch.setitem(RIVALS, name, Rival(*rival))


def bench(*arguments):
    return main(["bench", "plate", "--solver", "formula", "--seconds", "2", "--out", "out", *arguments])


def metrics(folder):
    return json.loads((folder / "out" / "metrics.json").read_text())


def test_the_winner_may_be_a_rival(capsys, empty_folder, rivals):
    assert bench("--rivals", "better,worse,failing,refusing", "--seeds", "3") == 0
    found = metrics(empty_folder)
    assert found["winner"] == "better"
    summary = {row["solver"]: row for row in found["summary"]}
    assert list(summary)[:3] == ["better", "formula", "worse"]
    assert (summary["better"]["median"], summary["better"]["worst"]) == (2e-5, 3e-5)
    assert summary["formula"]["median"] == pytest.approx(1e-3)
    assert {name: row["seeds"] for name, row in summary.items()} == {
        "better": 3, "formula": 3, "worse": 1, "failing": 3, "refusing": 1,
    }  # fmt: skip
    assert summary["failing"]["median"] is None and "it grew without bound" in summary["failing"]["notes"]
    assert summary["refusing"]["notes"] == "it needs a box"
    assert {(r["solver"], r["seed"]) for r in found["runs"]} >= {("formula", 0), ("formula", 2), ("better", 1)}
    assert found["settings"]["amplitude"] == 1.0 and found["versions"]["deepxde"] and found["command"]
    printed = capsys.readouterr().out
    assert "best is better" in printed and "2e-05 (3e-05)" in printed
    lines = (empty_folder / "out" / "table.md").read_text().splitlines()
    assert lines[2].startswith("| best | better | 2e-05 (3e-05) |") and len(lines) == 7
    assert (empty_folder / "out" / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_ours_wins_where_it_is_better(empty_folder, rivals):
    assert bench("--rivals", "worse", "--seeds", "1", "--set", "amplitude=2") == 0
    assert metrics(empty_folder)["winner"] == "formula"
    assert metrics(empty_folder)["settings"]["amplitude"] == 2.0


def test_what_is_done_is_kept_when_interrupted(empty_folder, rivals, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(RIVALS, "worse", Rival(interrupted, random=True))
    assert bench("--rivals", "better,worse", "--seeds", "1") == 130
    assert [r["solver"] for r in metrics(empty_folder)["runs"]] == ["formula", "better"]


def test_a_rival_that_cannot_treat_the_problem_is_a_note(empty_folder):
    assert bench("--rivals", "classical", "--seeds", "1") == 0
    assert "need a box" in (empty_folder / "out" / "table.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rivals", "deepdxe"], "there is no rival 'deepdxe'; did you mean 'deepxde'"),
        (["--solver", "formul"], "there is no solver 'formul'; did you mean 'formula'"),
        (["--seconds", "0"], "seconds must be a positive number, got 0.0"),
        (["--seeds", "0"], "seeds must be a positive whole number, got 0"),
        (["--set", "amplitude"], "must be KEY=VALUE"),
        (["--out", "own.py/run"], "cannot be written to"),
    ],
)
def test_bad_input_is_one_line(capsys, empty_folder, arguments, message):
    (empty_folder / "own.py").write_text(OWN)
    assert bench(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (empty_folder / "out").exists()


def test_nothing_can_be_compared_without_a_solution(capsys, empty_folder):
    (empty_folder / "own.py").write_text(OWN)
    assert main(["bench", "own.py:Unknown", "--out", "out"]) == 2
    assert "nothing can be compared" in capsys.readouterr().err
    assert not (empty_folder / "out").exists()


def test_an_earlier_comparison_is_not_overwritten(capsys, rivals):
    assert bench("--rivals", "worse", "--seeds", "1") == 0
    capsys.readouterr()
    assert bench("--rivals", "worse", "--seeds", "1") == 2
    assert "holds a run already" in capsys.readouterr().err
