from __future__ import annotations

import json
import subprocess
import sys
import tomllib

import pytest

import sciml
from sciml.cli import main
from tests.fakes import Plate

pytestmark = pytest.mark.usefixtures("blank_pictures")

OWN = """
from sciml import Dirichlet, Initial, Interval, Observations, Problem, Time

class Own(Problem):
    coordinates, unknowns = ("x", "t"), ("u",)
    domain = Interval("x", 0, 1) * Time("t", 0, 1)

    def equations(self, u, x, t):
        return {"heat": u.t - u.xx}

    def conditions(self):
        return [Initial(u=lambda x: x * 0), Dirichlet(u=0.0)]

    def exact(self, x, t):
        return {"u": x + t}

class NotAProblem:
    pass
"""


def refused(capsys, *arguments, status=2):
    """The one line on standard error."""
    assert main(list(arguments)) == status
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and captured.err.startswith("sciml: "), captured.err
    return captured.err


def test_runs_never_overwrite_each_other(capsys, empty_folder):
    for _ in range(2):
        assert main(["solve", "plate", "--solver", "formula"]) == 0
    assert {path.name for path in (empty_folder / "runs").iterdir()} == {"plate-formula-0", "plate-formula-0-2"}
    assert "plate-formula-0-2" in capsys.readouterr().out
    error = refused(capsys, "solve", "plate", "--solver", "formula", "--out", "runs/plate-formula-0")
    assert "holds a run already" in error


def test_a_configuration_repeats_its_run(empty_folder):
    chosen = ["--set", "amplitude=2.5", "--set", "centre=0.4,0.5", "--seed", "3", "--steps", "2"]
    assert main(["solve", "plate", "--solver", "formula", *chosen, "--out", "first"]) == 0
    assert main(["solve", "first/config.toml", "--out", "second"]) == 0
    first, second = (tomllib.loads((empty_folder / run / "config.toml").read_text()) for run in ("first", "second"))
    assert first == second
    assert main(["solve", "first/config.toml", "--set", "amplitude=1", "--out", "third"]) == 0
    third = tomllib.loads((empty_folder / "third" / "config.toml").read_text())
    assert third["problem"]["settings"] == first["problem"]["settings"] | {"amplitude": 1.0}


def test_options_given_in_python_are_repeated(empty_folder):
    sciml.solve(Plate(), solver="formula", scale=1.25, folder="python")
    assert main(["solve", "python/config.toml", "--out", "again"]) == 0
    assert json.loads((empty_folder / "again" / "metrics.json").read_text())["relative_l2"]["u"] == pytest.approx(0.25)


def test_an_option_that_toml_cannot_hold_is_not_forgotten(capsys):
    sciml.solve(Plate(), solver="formula", network=object(), folder="python")
    assert "solver's network" in refused(capsys, "solve", "python/config.toml", "--out", "again")


def test_a_file_of_ones_own(empty_folder):
    (empty_folder / "own.py").write_text(OWN)
    assert main(["solve", "own.py:Own", "--solver", "formula", "--out", "run"]) == 0
    assert sciml.load("run").relative_l2["u"] == pytest.approx(1e-3)
    assert main(["solve", "own.py:Own", "--solver", "formula"]) == 0
    assert (empty_folder / "runs" / "own-formula-0").is_dir()


def test_resume_continues_in_the_same_folder(empty_folder):
    run = ["solve", "plate", "--solver", "formula", "--seed", "5", "--steps", "4"]
    assert main([*run, "--out", "run"]) == 0
    assert main(["solve", "plate", "--solver", "formula", "--steps", "2", "--resume", "run"]) == 0
    assert json.loads((empty_folder / "run" / "metrics.json").read_text())["steps"] == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plate", "--set", "amplitude=2"], "amplitude 1.0, not 2.0"),
        (["rod.py:Rod"], "problem 'plate', not"),
        (["plate", "--seed", "1"], "seed 0, not 1"),
    ],
)
def test_resume_refuses_another_run(capsys, empty_folder, arguments, message):
    (empty_folder / "rod.py").write_text("from tests.fakes import Rod as Base\nclass Rod(Base): pass\n")
    assert main(["solve", "plate", "--solver", "formula", "--out", "run"]) == 0
    capsys.readouterr()
    error = refused(capsys, "solve", *arguments, "--solver", "formula", "--resume", "run")
    assert message in error and "start a new run" in error


def test_resume_without_a_run(capsys, empty_folder):
    assert "config.toml" in refused(capsys, "solve", "plate", "--solver", "formula", "--resume", "nothing")


def test_resume_without_a_checkpoint(capsys, empty_folder):
    assert main(["solve", "plate", "--solver", "formula", "--seed", "13", "--out", "run"]) == 1
    capsys.readouterr()
    error = refused(capsys, "solve", "plate", "--solver", "formula", "--resume", "run")
    assert "no checkpoint" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plat"], "there is no problem 'plat'; did you mean 'plate'"),
        (["Plate"], "did you mean 'plate'"),
        (["plate", "--solver", "formul"], "there is no solver 'formul'; did you mean 'formula'"),
        (["plate", "--set", "amplitud=1"], "no setting 'amplitud'; did you mean 'amplitude'"),
        (["plate", "--set", "amplitude=big"], "amplitude must be a number, got 'big'"),
        (["plate", "--set", "amplitude=nan"], "amplitude must be finite"),
        (["plate", "--set", "amplitude"], "must be KEY=VALUE"),
        (["plate", "--set", "waves=1.5"], "waves must be a whole number, got '1.5'"),
        (["plate", "--set", "centre=1"], "centre needs 2 values"),
        (["plate", "--set", "kind=medium"], "kind must be one of soft, hard"),
        (["plate", "--set", "rough=perhaps"], "rough must be one of true, false"),
        (["plate", "--set", "conductivity=low"], "conductivity must be a number"),
        (["plate", "--seconds", "abc"], "--seconds"),
        (["plate", "--seconds", "-1"], "seconds must be a positive number"),
        (["plate", "--steps", "0"], "steps must be a positive whole number"),
        (["plate", "--seed", "-1"], "seed must be"),
        (["plate", "--device", "gpu"], "device 'gpu' cannot be used"),
        (["plate", "--device", "cuda:99"], "device 'cuda:99' cannot be used"),
        (["plate", "--sed", "1"], "--seed"),
        (["nothing.py:Own"], "there is no file 'nothing.py'"),
        (["own.py"], "own.py:Own"),
        (["own.py:Onw"], "no class 'Onw'; did you mean 'Own'"),
        (["own.py:NotAProblem"], "not a problem"),
        (["broken.py:Own"], "broken.py cannot be imported: SyntaxError"),
        (["raising.py:Own"], "raising.py cannot be imported: ZeroDivisionError: division by zero"),
        (["nothing.toml"], "there is no file 'nothing.toml'"),
        (["wrong.toml"], "not the config.toml of a run"),
        (["broken.toml"], "cannot be read"),
        (["plate", "--out", "own.py/run"], "the folder 'own.py/run' cannot be written to"),
        (["plate", "--seed", "15"], "points is 0; give at least 1"),
    ],
)
def test_bad_input_is_one_line_that_names_the_fix(capsys, empty_folder, arguments, message):
    (empty_folder / "own.py").write_text(OWN)
    (empty_folder / "broken.py").write_text("class Own(:\n")
    (empty_folder / "raising.py").write_text("1 / 0\n")
    (empty_folder / "wrong.toml").write_text("[tool]\n")
    (empty_folder / "broken.toml").write_text("[tool\n")
    solver = [] if "--solver" in arguments else ["--solver", "formula"]
    assert message in refused(capsys, "solve", *arguments, *solver)


# mistake: (what is replaced, by what, what the line must say)
DECLARATIONS = {
    "an undeclared coordinate": ("equations(self, u, x, t)", "equations(self, u, x, y)", "'y' is undeclared"),
    "an undeclared unknown": ("equations(self, u, x, t)", "equations(self, v, x, t)", "'v' is undeclared"),
    "a derivative along no coordinate": ("u.t - u.xx", "u.t - u.xz", "'xz' is not a derivative"),
    "a condition on no unknown": ("Dirichlet(u=0.0)", "Dirichlet(w=0.0)", "Dirichlet(w=...): not an unknown"),
    "no such boundary piece": ("Dirichlet(u=0.0)", "Dirichlet(u=0.0, on='lefft')", "did you mean 'left'"),
    "a value of the wrong shape": ("lambda x: x * 0", "lambda x: x[:, None] * 0", "Initial(u=...) returned shape"),
    "an empty interval": ('Interval("x", 0, 1)', 'Interval("x", 1, 1)', "Interval("),
    "an empty difference": ('Interval("x", 0, 1)', '(Interval("x", 0, 1) - Interval("x", -1, 2))', "empty"),
    "points outside the domain": ("Dirichlet(u=0.0)", "Observations([[3.0, 0.5]], u=[1.0])", "outside the domain"),
}


@pytest.mark.parametrize("mistake", DECLARATIONS)
def test_a_wrong_declaration_is_one_line(capsys, empty_folder, mistake):
    right, wrong, message = DECLARATIONS[mistake]
    assert right in OWN
    (empty_folder / "own.py").write_text(OWN.replace(right, wrong))
    assert message in refused(capsys, "solve", "own.py:Own", "--solver", "formula")
    assert not (empty_folder / "runs").exists()


def test_a_failed_run_is_one_line_and_status_1(capsys):
    error = refused(capsys, "solve", "plate", "--solver", "formula", "--seed", "13", status=1)
    assert error.startswith("sciml: DivergenceError: the loss is NaN at step 7; try a smaller learning rate")
    error = refused(capsys, "solve", "plate", "--solver", "formula", "--seed", "14", status=1)
    assert "ZeroDivisionError: division by zero" in error and "SCIML_TRACEBACK=1" in error


def test_the_traceback_is_there_for_who_asks(monkeypatch):
    monkeypatch.setenv("SCIML_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        main(["solve", "plate", "--solver", "formula", "--seed", "14"])


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["solve", "plate", "--solver", "formula"], 0), (["solve", "plat"], 2), (["bogus"], 2), (["solve"], 2)],
)
def test_the_process(arguments, status):
    done = subprocess.run([sys.executable, "-m", "sciml", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    if status:
        assert done.stdout == "" and done.stderr.count("\n") == 1
    else:
        assert "plate-formula-0" in done.stdout
