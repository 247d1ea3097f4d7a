from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from sciml.errors import InputError
from sciml.losses import (
    Causal,
    Fixed,
    FixedPoints,
    GradientAnnealing,
    NeuralTangentKernel,
    ReLoBRaLo,
    ResidualAdaptive,
    RetainResampleRelease,
    Uniform,
)
from sciml.optim import LBFGS, SOAP, Adam, ExponentialDecay, LevenbergMarquardt, SSBroyden, Torch
from sciml.training import Callback, Phase
from tests.training.decay import Decay, trainer, weights

ADAM = Phase(Adam(1e-2), steps=30)


class Killed(Exception):
    pass


class Kill(Callback):
    def __init__(self, step):
        self.step = step

    def on_step(self, run):
        if run.step == self.step:
            raise Killed


class Counter(Callback):
    def __init__(self):
        self.count = 0

    def on_step(self, run):
        self.count += 1

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


def without_time(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history.rows]


def compare_with_uninterrupted(phases, folder, kill=17, **solver_options):
    """Kill a run at a step, after the checkpoint of step 10, and resume it."""
    whole = Decay(**solver_options)
    expected = trainer(phases).fit(whole)
    with pytest.raises(Killed):
        trainer(phases, callbacks=[Kill(kill)], folder=folder).fit(Decay(**solver_options))
    resumed = Decay(**solver_options)
    result = trainer(phases, folder=folder).fit(resumed, resume=folder)
    assert torch.equal(weights(resumed), weights(whole))
    assert without_time(result.history) == without_time(expected.history)
    assert [r.steps for r in result.phases] == [r.steps for r in expected.phases]
    assert result.steps == expected.steps


@pytest.mark.parametrize(
    "phase",
    [
        Phase(Adam(1e-2), steps=30, schedule=ExponentialDecay(0.5, 10)),
        Phase(SOAP(1e-2, frequency=3), steps=30),
        Phase(Torch(torch.optim.RAdam), steps=30),
        Phase(LBFGS(memory=5), steps=30),
        Phase(SSBroyden(), steps=30),
        Phase(LevenbergMarquardt(), steps=30),
        Phase(SSBroyden(patience=22, loss_tolerance=1e3), steps=30),
        Phase(LBFGS(), steps=30, sampler=ResidualAdaptive(every=7)),
        Phase(LBFGS(), steps=30, weighting=Fixed({"decay": 2.0})),
        Phase(Adam(1e-2), steps=30, weighting=GradientAnnealing(period=4)),
        Phase(Adam(1e-2), steps=30, weighting=NeuralTangentKernel(period=3), sampler=Uniform(every=4)),
        Phase(Adam(1e-2), steps=30, weighting=ReLoBRaLo(lookback=0.5), sampler=FixedPoints()),
        Phase(Adam(1e-2), steps=30, weighting=Causal([0.1, 1.0, 10.0]), sampler=RetainResampleRelease()),
    ],
    ids=repr,
)
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(phase, tmp_path):
    compare_with_uninterrupted([phase], tmp_path)


@pytest.mark.parametrize("kill", [12, 27, 34])
def test_so_does_one_of_several_phases_and_precisions(kill, tmp_path):
    phases = [
        Phase(Adam(1e-2), steps=10, weighting=GradientAnnealing(), precision="float32"),
        Phase(Adam(1e-3), steps=15, sampler=Uniform(every=2)),
        Phase(LBFGS(), steps=15, precision="float64"),
    ]
    compare_with_uninterrupted(phases, tmp_path, kill)


def test_a_sampler_may_serve_two_phases_of_different_precision(tmp_path):
    points = FixedPoints()
    phases = [
        Phase(Adam(1e-2), steps=15, sampler=points, precision="float32"),
        Phase(LBFGS(), steps=15, sampler=points, precision="float64"),
    ]
    compare_with_uninterrupted(phases, tmp_path, kill=24)


def test_after_a_real_kill(tmp_path):
    """The process dies without a chance to tidy up, perhaps in the middle of writing."""
    program = (
        "from sciml.optim import Adam\n"
        "from sciml.training import Phase\n"
        "from tests.training.decay import Decay, trainer\n"
        f"trainer([Phase(Adam(1e-2), steps=10**9)], folder={str(tmp_path)!r}, checkpoint_every=1).fit(Decay())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
    file = tmp_path / "checkpoint" / "state.pt"
    while not file.exists() or torch.load(file, weights_only=True)["step"] < 5:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()

    reached = torch.load(file, weights_only=True)["step"]
    phases = [Phase(Adam(1e-2), steps=reached + 20)]
    resumed, whole = Decay(), Decay()
    result = trainer(phases, folder=tmp_path).fit(resumed, resume=tmp_path)
    trainer(phases).fit(whole)
    assert result.steps == reached + 20
    assert torch.equal(weights(resumed), weights(whole))
    steps = [int(line.split(",")[0]) for line in (tmp_path / "history.csv").read_text().splitlines()[1:]]
    assert steps == result.history["step"].tolist()


def test_a_finished_run_may_go_on_with_a_larger_budget(tmp_path):
    trainer([Phase(Adam(1e-2), steps=10)], folder=tmp_path).fit(Decay())
    longer, whole = Decay(), Decay()
    trainer([ADAM]).fit(whole)
    result = trainer([ADAM]).fit(longer, resume=tmp_path / "checkpoint")
    assert result.steps == 30 and torch.equal(weights(longer), weights(whole))


def test_a_finished_run_resumed_with_its_own_budget_takes_no_step(tmp_path):
    first, again = Decay(), Decay()
    trainer([Phase(LBFGS(gradient_tolerance=1e-2), steps=300)], folder=tmp_path).fit(first)
    result = trainer([Phase(LBFGS(gradient_tolerance=1e-2), steps=300)]).fit(again, resume=tmp_path)
    assert again.evaluations == 0 and torch.equal(weights(first), weights(again))
    assert result.stop_reason.startswith("gradient below tolerance") and len(result.phases) == 1


def test_time_already_spent_counts(tmp_path):
    first = trainer([ADAM], folder=tmp_path).fit(Decay())
    again = Decay()
    result = trainer([Phase(Adam(1e-2), steps=10**9)], seconds=first.seconds).fit(again, resume=tmp_path)
    assert result.stop_reason.startswith("time budget") and again.evaluations == 0
    assert result.seconds >= first.seconds


def test_callbacks_continue_and_those_without_state_may_differ(tmp_path):
    trainer([Phase(Adam(1e-2), steps=20)], callbacks=[Counter()], folder=tmp_path).fit(Decay())
    counter = Counter()
    trainer([ADAM], callbacks=[Callback(), counter], progress=True).fit(Decay(), resume=tmp_path)
    assert counter.count == 30


@pytest.mark.parametrize(
    ("settings", "phases", "solver", "text"),
    [
        ({}, [Phase(Adam(1e-3), steps=30)], {}, "other phases: .*0.01.* and now .*0.001"),
        ({}, [ADAM, ADAM], {}, "other phases"),
        ({"seed": 1}, [ADAM], {}, "other seed: 0 and now 1"),
        ({}, [ADAM], {"width": 9}, r"'network.0.weight' has shape \[8, 1\] and now \[9, 1\]"),
    ],
)
def test_another_run_is_not_resumed(settings, phases, solver, text, tmp_path):
    trainer([ADAM], folder=tmp_path).fit(Decay())
    with pytest.raises(InputError, match=text):
        trainer(phases, **settings).fit(Decay(**solver), resume=tmp_path)


def test_a_function_in_a_configuration_is_recognised_in_another_process(tmp_path):
    """Its address differs there; it must not count."""
    trainer([Phase(Torch(lambda p: torch.optim.RAdam(p)), steps=10)], folder=tmp_path).fit(Decay())
    result = trainer([Phase(Torch(lambda p: torch.optim.RAdam(p)), steps=12)]).fit(Decay(), resume=tmp_path)
    assert result.steps == 12


def test_no_checkpoint_or_a_damaged_one(tmp_path):
    with pytest.raises(InputError, match="no checkpoint in"):
        trainer([ADAM]).fit(Decay(), resume=tmp_path)
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "state.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="cannot be read"):
        trainer([ADAM]).fit(Decay(), resume=tmp_path)


def test_a_checkpoint_is_replaced_in_one_stroke(tmp_path, monkeypatch):
    """A writer that fails half-way leaves the earlier checkpoint whole."""
    save, saved = torch.save, []

    def fail(state, file):
        saved.append(state["step"])
        if len(saved) == 2:
            file.write(b"half of it")
            raise OSError("the disk is full")
        save(state, file)

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="the disk is full"):
        trainer([ADAM], folder=tmp_path).fit(Decay())
    assert torch.load(tmp_path / "checkpoint" / "state.pt", weights_only=True)["step"] == saved[0]


def test_checkpoints_are_announced_and_nothing_is_written_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = []

    class Watch(Callback):
        def on_checkpoint(self, run, path):
            paths.append((run.step, path))

    trainer([ADAM], callbacks=[Watch()]).fit(Decay())
    assert os.listdir(tmp_path) == [] and paths == []
    trainer([ADAM], callbacks=[Watch()], folder="run").fit(Decay())
    assert paths == [(step, Path("run/checkpoint")) for step in (10, 20, 30, 30)]
