"""History, loggers and progress."""

from __future__ import annotations

import csv
import io
import sys

import numpy as np
import pytest
from rich.console import Console

from sciml.errors import InputError
from sciml.losses import GradientAnnealing
from sciml.optim import LBFGS, Adam
from sciml.training import CSVLogger, History, Phase, Progress, TensorBoardLogger, Trainer
from sciml.training.progress import _duration
from tests.training.decay import Decay, trainer

PHASES = [Phase(Adam(1e-2), steps=25, weighting=GradientAnnealing()), Phase(LBFGS(), steps=5)]


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_history_columns_survive_a_round_trip(tmp_path):
    history = History()
    history.append({"step": 1, "phase": "Adam", "seconds": 0.1, "loss": 2.0, "loss/a": 2.0})
    history.append({"step": 2, "phase": "Adam", "seconds": 0.2, "loss": 1.0, "error/u": 0.5, "loss/a": 1.0, "weight/a": 1})
    assert history.columns == ["step", "phase", "seconds", "loss", "loss/a", "weight/a", "error/u"]
    assert history["phase"].tolist() == ["Adam", "Adam"]
    np.testing.assert_array_equal(history["error/u"], [np.nan, 0.5])
    assert [row["step"] for row in history] == history["step"].tolist()
    with pytest.raises(InputError, match="no column 'los'; did you mean 'loss'"):
        history["los"]
    assert History(history.to_dict()).rows == history.rows
    history.to_csv(tmp_path / "history.csv")
    assert read(tmp_path / "history.csv")[0] == {
        "step": "1", "phase": "Adam", "seconds": "0.1", "loss": "2.0", "loss/a": "2.0", "weight/a": "", "error/u": "",
    }  # fmt: skip


def test_the_folder_of_a_run_holds_its_history(tmp_path):
    result = trainer(PHASES, folder=tmp_path).fit(Decay())
    written = (tmp_path / "history.csv").read_text()
    result.history.to_csv(tmp_path / "again.csv")
    assert written == (tmp_path / "again.csv").read_text()


def test_a_continued_table_has_every_row_once(tmp_path):
    logger = CSVLogger(tmp_path / "table.csv")
    logger.start({"step": 0})
    for step in (1, 2, 3):
        logger.log({"step": step, "loss": 1.0 / step}, step)
    logger.finish()
    logger = CSVLogger(tmp_path / "table.csv")
    logger.start({"step": 2})  # killed after its third step, it continues after the second
    logger.log({"step": 3, "loss": 0.25}, 3)
    logger.log({"step": 4, "loss": 0.125, "error/u": 0.5, "loss/a": 0.125}, 4)
    logger.finish()
    rows = read(tmp_path / "table.csv")
    assert list(rows[0]) == ["step", "loss", "loss/a", "error/u"]
    assert [(row["step"], row["loss"], row["error/u"]) for row in rows] == [
        ("1", "1.0", ""), ("2", "0.5", ""), ("3", "0.25", ""), ("4", "0.125", "0.5"),
    ]  # fmt: skip


def test_a_new_run_starts_a_new_table_and_a_torn_row_is_dropped(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("step,phase,loss\n1,Adam,0.5\n2,Ada")
    logger = CSVLogger(path)
    logger.start({"step": 5})
    logger.finish()
    assert [row["step"] for row in read(path)] == ["1"]
    logger.start({"step": 0})
    logger.finish()
    assert read(path) == []


def test_loggers_learn_what_runs_and_are_finished_even_after_an_error():
    class Watch:
        def __init__(self):
            self.calls = []

        def start(self, configuration):
            self.calls.append(configuration)

        def log(self, metrics, step):
            self.calls.append(step)
            if step == 10:
                raise ZeroDivisionError

        def finish(self):
            self.calls.append("finish")

    logger = Watch()
    with pytest.raises(ZeroDivisionError):
        trainer(PHASES, loggers=[logger]).fit(Decay())
    configuration, *rest = logger.calls
    assert rest == [1, 10, "finish"]
    assert (configuration["solver"], configuration["seed"], configuration["step"]) == ("Decay", 0, 0)
    assert "GradientAnnealing" in configuration["phases"][0]


def test_tensorboard_without_its_package_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"sciml-solvers\[track\]"):
        TensorBoardLogger(tmp_path)


def test_tensorboard_gets_every_number(monkeypatch, tmp_path):
    written = []

    class Writer:
        def __init__(self, folder, purge_step):
            written.append((folder, purge_step))

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def close(self):
            written.append("closed")

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", type(sys)("tensorboard"))
    sys.modules["torch.utils.tensorboard"].SummaryWriter = Writer
    logger = TensorBoardLogger(tmp_path)
    logger.start({"step": 7})
    logger.log({"step": 8, "phase": "Adam", "loss": 0.5}, 8)
    logger.finish()
    assert written == [(str(tmp_path), 8), ("loss", 0.5, 8), "closed"]


def shown(terminal):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=200, color_system=None)
    trainer(PHASES, callbacks=[Progress(console)]).fit(Decay())
    return stream.getvalue()


def test_without_a_terminal_progress_is_a_few_plain_lines():
    lines = shown(terminal=False).splitlines()
    assert len(lines) == 4  # the beginning and the end of each phase
    assert lines[0].startswith("Adam: step 1/25, loss ") and "(decay " in lines[0] and "left" in lines[0]
    assert lines[1].startswith("Adam: 25 steps in ")
    assert "step budget of 25 reached" in lines[1] and "relative error u " in lines[1]
    assert not any("\x1b" in line for line in lines)


def test_a_resumed_run_shows_the_last_loss_at_once(tmp_path):
    shorter = [Phase(Adam(1e-2), steps=12)]
    loss = trainer(shorter, folder=tmp_path, log_every=100).fit(Decay()).history["loss"][-1]
    stream = io.StringIO()
    progress = Progress(Console(file=stream, width=200))
    trainer([Phase(Adam(1e-2), steps=25)], callbacks=[progress], log_every=100).fit(Decay(), resume=tmp_path)
    assert stream.getvalue().startswith(f"Adam: step 13/25, loss {loss:.2e}")


def test_in_a_terminal_progress_is_a_bar():
    with Progress(Console(file=io.StringIO(), force_terminal=True, width=200)) as bar:
        trainer(PHASES, callbacks=[bar]).fit(Decay())
        tasks = bar._bar.tasks
    assert [(task.description, task.completed) for task in tasks] == [("Adam", 1.0), ("LBFGS", 1.0)]
    assert "step budget of 5 reached" in tasks[1].fields["text"]


@pytest.mark.parametrize(("rank", "speaks"), [("0", True), ("1", False)])
def test_other_processes_are_silent(rank, speaks, monkeypatch, capsys):
    monkeypatch.setenv("RANK", rank)
    Trainer([Phase(Adam(), steps=2)]).fit(Decay())
    assert bool(capsys.readouterr().err) == speaks


def test_durations():
    assert [_duration(s) for s in (0.123, 42.4, 61, 3700)] == ["0.12 s", "42 s", "1 min 1 s", "1 h 1 min"]
