"""A neural operator for any trajectories: AdamW over a warm-up and half a cosine, and the average of the weights."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from sciml.data import Trajectories
from sciml.errors import InputError, nearest
from sciml.losses import Fixed
from sciml.optim import AdamW, OneCycle
from sciml.problem import Problem
from sciml.registry import get_operator
from sciml.settings import build, parameters, read
from sciml.solvers.operator import GridOperator, NeuralOperator, Signature
from sciml.training import Callback, Epochs, Every, Phase, Result, Run, Trainer

EVALUATE_EVERY, CHECKPOINT_EVERY = Every(seconds=30), Every(seconds=60)
MODES = {1: 32, 2: 24, 3: 16}  # of both signs along an axis, by dimension (Li et al., arXiv 2010.08895, 1-D and 2-D)


@dataclass(frozen=True)
class OperatorTraining:
    """How an operator is trained.

    Attributes:
        test: trajectories that are held out, the last ones; a tenth by default.
        batch: pairs of snapshots a step, in all processes together.
        learning_rate: at the end of the warm-up; it then falls to 0 along half a cosine.
        warm_up: share of the budget.
        weight_decay: of matrices.
        clip: largest norm of the gradient.
        average: decay of the moving average of the weights; 0 for none.
        precision: of the network's operations; Fourier transforms are in float32 at least.
        loss: "relative_l1" by group of channels, or "relative_l2" by sample.
        lead_steps: longest lead in steps of the data; every pair of snapshots by default.
        high_frequency: weight of the errors' spectrum times |k|^1.5.
        physics: weight of the residuals of the problem that the data are of.
        noise: standard deviation of noise on the normalised first snapshots.
        pushforward: share of the pairs that start from the operator's own prediction.
        shard: every process of a distributed run holds a share of the weights, their average and the optimiser's state
            instead of all of them.
    """

    test: int | None = None
    batch: int = 16
    learning_rate: float = 1e-3
    warm_up: float = 0.05
    weight_decay: float = 1e-6
    clip: float = 5.0
    average: float = 0.999
    precision: Literal["float32", "float64", "bfloat16-mixed", "float16-mixed"] = "float32"
    loss: Literal["relative_l1", "relative_l2"] = "relative_l1"
    lead_steps: int | None = None
    high_frequency: float = 0.0
    physics: float = 0.0
    noise: float = 0.0
    pushforward: float = 0.0
    shard: bool = False

    def __post_init__(self) -> None:
        for name in ("high_frequency", "physics", "weight_decay"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("batch", "learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be positive, got {getattr(self, name)}")
        if self.physics and self.shard:
            raise InputError("physics differentiates by the lead time, which sharded weights do not allow; leave out shard")
        if self.physics and "mixed" in self.precision:
            raise InputError(f"physics differentiates fields, which needs precision=float32, not {self.precision}")

    def held_out(self, samples: int) -> int:
        """How many of so many trajectories are held out; raises InputError unless some are left to learn from."""
        count = max(1, samples // 10) if self.test is None else self.test
        if not 1 <= count < samples:
            raise InputError(f"test={count} must be at least 1 and leave some of the {samples} trajectories to learn from")
        return count


class MovingAverage(Callback):
    """Keeps the solver's average of the weights."""

    def on_step(self, run: Run) -> None:
        assert isinstance(run.solver, NeuralOperator)
        if run.diverged:
            run.solver.restart_average()
        else:
            run.solver.update_average(run.step)


def operator(
    problem: Problem,
    *,
    seconds: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: torch.device | None = None,
    folder: str | Path | None = None,
    resume: str | Path | None = None,
    progress: bool = True,
    callbacks: Sequence[Any] = (),
    loggers: Sequence[Any] = (),
) -> Result:
    """Neural operator, learnt from many trajectories with `sciml train`; not for a single problem.

    Raises:
        InputError: always, saying what to do.
    """
    raise InputError(
        f"solver 'operator' learns from many trajectories rather than from {type(problem).__name__} alone: make them "
        "with `sciml data`, train on them with `sciml train`, or use solver 'pinn'"
    )


def split_settings(operator: str, settings: Mapping[str, Any]) -> tuple[dict[str, Any], OperatorTraining]:
    """The settings of the network called ``operator``, and those of its training.

    Raises InputError for a name that neither has, and for a value that cannot be used.
    """
    network, training = set(_options(operator)), parameters(OperatorTraining)
    for name in settings:
        if name not in network | training.keys():
            hint = nearest(name, network | set(training))
            raise InputError(f"neither {operator} nor its training has a setting {name!r}; {hint}")
    chosen = {name: value for name, value in settings.items() if name in training}
    others = {name: value for name, value in settings.items() if name not in training}
    return read(get_operator(operator), others), build(OperatorTraining, chosen)


def build_operator(
    operator: str, settings: Mapping[str, Any], signature: Signature, grid: Sequence[int], seed: int = 0
) -> GridOperator:
    """The untrained operator of a registered name.

    What its constructor asks for and ``settings`` leave open is read off the data: channels, the grid of its sensors,
    Fourier modes, and, where the fields do not repeat, padding by zeros.

    Raises:
        InputError: a setting that the network does not take, or data of a dimension that it cannot take.
    """
    options, periodic = _options(operator), all(signature.periodic)
    known = {
        "in_channels": len(signature.in_channels), "out_channels": len(signature.channels), "sensors": tuple(grid),
        "n_modes": tuple(min(MODES[len(grid)], n) for n in grid), "padding": "periodic" if periodic else "zeros",
        "domain_padding": None if periodic else 0.125, "generator": torch.Generator().manual_seed(seed),
    }  # fmt: skip
    offered = {name: value for name, value in known.items() if name in options}
    network: nn.Module = build(get_operator(operator), offered | dict(settings))
    module = GridOperator(network, signature)
    try:
        with torch.no_grad():
            module(torch.zeros(1, len(signature.in_channels), *grid))
    except InputError as error:
        raise InputError(f"{operator} does not take these data: {error}") from error
    return module


def build_solver(
    operator: GridOperator, data: Trajectories, training: OperatorTraining, problem: Problem | None = None
) -> NeuralOperator:
    """``operator`` with the trajectories that it learns from, all but the last, and, if asked for, the equations of
    ``problem``; raises InputError for a value that cannot be used and for data that do not fit."""
    return NeuralOperator(
        operator, data, training=len(data) - training.held_out(len(data)), batch=training.batch, loss=training.loss,
        lead_steps=training.lead_steps, high_frequency=training.high_frequency > 0, noise=training.noise,
        pushforward=training.pushforward, average=training.average, problem=problem if training.physics else None,
    )  # fmt: skip


def train_operator(
    solver: NeuralOperator,
    training: OperatorTraining,
    *,
    seconds: float | None = None,
    epochs: int | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    resume: str | Path | None = None,
    progress: bool = True,
    callbacks: Sequence[Any] = (),
    loggers: Sequence[Any] = (),
) -> Result:
    """Train ``solver`` where it is, for so many seconds or epochs, whichever ends first.

    Raises:
        InputError: neither is given, or the checkpoint to resume from is of another run.
    """
    if seconds is None and epochs is None:
        raise InputError("give seconds or epochs, or the training would never end")
    weights = {name: training.physics for name, kind in solver.term_kinds.items() if kind == "equation"}
    if training.high_frequency:
        weights["high_frequency"] = training.high_frequency
    sampler = Epochs(size=training.batch, seed=seed)
    optimiser = AdamW(
        training.learning_rate, weight_decay=training.weight_decay, clip=training.clip,
        loss_scaling=training.precision == "float16-mixed",
    )  # fmt: skip
    phase = Phase(
        optimiser, steps=None if epochs is None else epochs * sampler.steps(len(solver)), seconds=seconds,
        schedule=OneCycle(training.warm_up), weighting=Fixed(weights) if weights else None, sampler=sampler,
        precision=training.precision, name="training",
    )  # fmt: skip
    trainer = Trainer(
        [phase], [*callbacks, MovingAverage()], loggers, folder=folder, seed=seed, progress=progress, log_every=20,
        evaluate_every=EVALUATE_EVERY, checkpoint_every=CHECKPOINT_EVERY, shard=training.shard,
    )  # fmt: skip
    return trainer.fit(solver, resume=resume)


def _options(operator: str) -> list[str]:
    return list(inspect.signature(get_operator(operator)).parameters)
