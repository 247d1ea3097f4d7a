"""Runs of experts that are cut off and go on from their journal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import problems
from sciml.cli import main
from sciml.errors import InputError
from sciml.recipes.experts import experts
from sciml.solvers.experts import journal
from sciml.solvers.experts.system import System

ROOT = Path(__file__).parents[3]
CASES = {
    "march": (problems.Burgers(nu=0.1), 1e-2),
    "refine": (problems.Kovasznay(), 1e-2),
    "fit": (problems.InverseDiffusion(measurements=30), 1e-3),
}


class Cut(Exception):
    pass


class Steps:
    """Counts the steps of Gauss-Newton; ``last`` makes the next one fail."""

    def __init__(self, monkeypatch):
        self.count, self.last, step = 0, 10**9, System.step

        def counted(system, *arguments):
            self.count += 1
            if self.count > self.last:
                raise self.failure
            return step(system, *arguments)

        self.failure = Cut()
        monkeypatch.setattr(System, "step", counted)


@pytest.fixture
def steps(monkeypatch):
    monkeypatch.setattr(journal, "EVERY", 0.0)
    return Steps(monkeypatch)


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_is_cut_off_goes_on_as_if_it_had_not_been(case, tmp_path, steps):
    problem, target = CASES[case]
    whole = experts(problem, target=target, seconds=1e6, progress=False)
    needed, steps.last = steps.count, steps.count + steps.count // 2
    with pytest.raises(Cut):
        experts(problem, target=target, seconds=1e6, progress=False, folder=tmp_path)
    kept = sorted(file.name for file in (tmp_path / "checkpoint").iterdir())
    assert kept[0] == "000000.safetensors" and all(name.endswith(".safetensors") for name in kept)
    steps.count, steps.last = 0, 10**9
    resumed = experts(problem, target=target, seconds=1e6, progress=False, folder=tmp_path, resume=tmp_path)
    assert steps.count < 0.8 * needed
    assert torch.equal(resumed.solver.weights, whole.solver.weights)
    assert resumed.solution.parameters == whole.solution.parameters
    assert resumed.solver.error_estimate() == whole.solver.error_estimate()
    assert (resumed.steps, resumed.stop_reason, resumed.choices) == (whole.steps, whole.stop_reason, whole.choices)
    assert resumed.history["loss"].tolist() == whole.history["loss"].tolist()
    assert sorted(file.name for file in (tmp_path / "checkpoint").iterdir())[: len(kept)] == kept


def test_another_folder_gets_the_whole_journal(tmp_path, steps):
    problem, target = problems.Heat(), 1e-6
    first = experts(problem, steps=1, target=target, progress=False, folder=tmp_path / "a")
    assert first.stop_reason == "step budget of 1 reached"
    (tmp_path / "b" / "checkpoint").mkdir(parents=True)
    (tmp_path / "b" / "checkpoint" / "999999.safetensors").write_text("of another run")
    second = experts(problem, target=target, progress=False, folder=tmp_path / "b", resume=tmp_path / "a", seconds=1e6)
    steps.count = 0
    third = experts(problem, target=target, progress=False, resume=tmp_path / "b", seconds=1e6)
    assert third.steps == second.steps > first.steps and steps.count < second.steps / 2
    assert torch.equal(third.solver.weights, second.solver.weights)


def test_time_already_spent_counts_and_what_was_done_is_not_thrown_away(tmp_path, steps):
    problem, target = CASES["march"]
    first = experts(problem, target=target, progress=False, folder=tmp_path, seconds=1e6)
    assert first.stop_reason == "target"
    steps.count = 0
    again = experts(problem, target=target, progress=False, resume=tmp_path, seconds=1e-3)
    assert again.seconds > journal.Journal(resume=tmp_path / "checkpoint").earlier > 0
    assert steps.count == 0 and len(again.history.rows) == len(first.history.rows)
    further = experts(problem, target=1e-14, progress=False, resume=tmp_path, seconds=1e-3)
    assert further.stop_reason == "time" and further.steps == first.steps


def test_the_key_ends_a_run_with_what_it_has(tmp_path, steps):
    problem, target = problems.Heat(), 1e-6
    whole = experts(problem, target=target, seconds=1e6, progress=False)
    first = int(whole.history["step"][0])
    steps.failure, steps.count, steps.last = KeyboardInterrupt(), 0, first + 2
    cut = experts(problem, target=target, seconds=1e6, progress=False, folder=tmp_path)
    assert cut.stop_reason == "interrupted by the user" and len(cut.history.rows) == 1 and cut.steps == first + 2
    steps.count, steps.last = 0, first - 1
    with pytest.raises(KeyboardInterrupt):
        experts(problem, target=target, seconds=1e6, progress=False, folder=tmp_path)
    steps.count, steps.last = 0, 10**9
    resumed = experts(problem, target=target, seconds=1e6, progress=False, folder=tmp_path, resume=tmp_path)
    assert torch.equal(resumed.solver.weights, whole.solver.weights)


def test_journals_that_do_not_fit(tmp_path):
    with pytest.raises(InputError, match="no checkpoint"):
        experts(problems.Heat(), progress=False, resume=tmp_path)
    experts(problems.Heat(), steps=1, progress=False, folder=tmp_path)
    with pytest.raises(InputError, match="other boxes than this run chooses"):
        experts(problems.Kovasznay(), progress=False, resume=tmp_path)
    (tmp_path / "checkpoint" / "000000.safetensors").write_text("spoilt")
    with pytest.raises(InputError, match="cannot be read"):
        experts(problems.Heat(), progress=False, resume=tmp_path)


def test_after_a_real_kill(tmp_path, monkeypatch, capsys, blank_pictures):
    """From the command line, in the middle of the second pass."""
    monkeypatch.chdir(tmp_path)
    solve = ["solve", "heat", "--solver", "experts", "--steps", "10"]
    program = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from sciml.cli import main
from sciml.solvers.experts import journal
from sciml.solvers.experts.system import System
journal.EVERY, step, count = 0.0, System.step, 0
def killed(*arguments):
    global count
    count += 1
    if count > 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*arguments)
System.step = killed
main({[*solve, "--out", "cut"]!r})
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    assert {path.name for path in Path("cut").iterdir()} == {"checkpoint", "config.toml"}
    assert main([*solve, "--out", "whole"]) == 0
    assert main([*solve[:-2], "--resume", "cut"]) == 0, "with the steps that it was given"
    metrics, expected = (json.loads((Path(run) / "metrics.json").read_text()) for run in ("cut", "whole"))
    for name in ("relative_l2", "error_estimate", "steps", "stop_reason", "choices"):
        assert metrics[name] == expected[name]
    assert (Path("cut") / "weights.safetensors").read_bytes() == (Path("whole") / "weights.safetensors").read_bytes()
    capsys.readouterr()
    assert main([*solve, "--resume", "cut"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "'cut' was finished and stays as it is" in error
