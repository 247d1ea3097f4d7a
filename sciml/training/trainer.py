"""The training loop: one for all solvers and all optimisers."""

from __future__ import annotations

import copy
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any

from sciml.errors import InputError
from sciml.losses import Fixed
from sciml.optim import AdamW
from sciml.solution import Solution
from sciml.solvers.solver import Solver, Trainable
from sciml.training import distributed
from sciml.training.callback import Callback, Checkpoint
from sciml.training.checkpoint import load_checkpoint
from sciml.training.history import History
from sciml.training.logger import CSVLogger, Logger
from sciml.training.phase import Every, Phase
from sciml.training.progress import Progress
from sciml.training.run import PhaseReport, Run


@dataclass(frozen=True)
class Result:
    """What a fit leaves.

    Attributes:
        solver: the trained solver, at its last weights; after a divergence at the last sound ones.
        history: the run by row.
        stop_reason: why the run ended.
        steps, seconds: optimiser iterations and wall-clock time, before a resumption included.
        phases: how each phase went.
        weights: of the loss terms at the end, pointwise ones as their mean.
    """

    solver: Trainable
    history: History
    stop_reason: str
    steps: int
    seconds: float
    phases: list[PhaseReport]
    weights: dict[str, float]

    @cached_property
    def solution(self) -> Solution:
        """The fields that the solver represents."""
        assert isinstance(self.solver, Solver)
        return Solution(self.solver.problem, self.solver)


class Trainer:
    """Trains solvers through ``phases``, one after another.

    Under torchrun every process draws its own points, and losses and gradients are averaged.

    Args:
        phases: what to do.
        callbacks: called around the steps.
        loggers: get every row of the history.
        seconds, steps: budget for all phases, in wall-clock time or iterations.
        folder: holds ``checkpoint/`` and ``history.csv``; nothing is written without it.
        checkpoint_every, evaluate_every: how often a checkpoint is written, and ``solver.errors()`` evaluated where
            there is such a method; an integer counts steps.
        log_every: steps between two rows of the history, for methods that do not read their loss anyway.
        seed: of all random draws of the run.
        progress: show a progress bar, or now and then a line where there is no terminal.
        shard: under torchrun every process holds a share of the parameters instead of all of them (FSDP2); for AdamW,
            fixed weights and solvers that are ``shardable``.

    Raises:
        InputError: a value that cannot be used.
    """

    def __init__(
        self,
        phases: Sequence[Phase],
        callbacks: Sequence[Callback] = (),
        loggers: Sequence[Logger] = (),
        *,
        seconds: float | None = None,
        steps: int | None = None,
        folder: str | Path | None = None,
        checkpoint_every: Every | int = Every(seconds=60),  # noqa: B008
        evaluate_every: Every | int = Every(seconds=10),  # noqa: B008
        log_every: int = 100,
        seed: int = 0,
        progress: bool = True,
        shard: bool = False,
    ) -> None:
        self.phases = [phases] if isinstance(phases, Phase) else list(phases)
        self.callbacks, self.loggers = list(callbacks), list(loggers)
        self.seconds, self.steps, self.seed, self.log_every, self.progress = seconds, steps, seed, log_every, progress
        self.shard = shard
        self.folder = None if folder is None else Path(folder)
        self.checkpoint_every, self.evaluate_every = _every(checkpoint_every), _every(evaluate_every)
        self._check()

    def fit(self, solver: Trainable, resume: str | Path | None = None) -> Result:
        """Train ``solver`` in place.

        Ctrl-C ends the run after the current step as any other reason does; a second one aborts.

        Args:
            resume: folder of an earlier run of the same phases (budgets may differ), to continue from its checkpoint.

        Raises:
            InputError: the solver or the checkpoint does not fit the phases.
            DivergenceError: the very first loss is not finite.
        """
        if self.shard and not solver.shardable:
            raise InputError(f"Trainer(shard=True): the parameters of this {type(solver).__name__} cannot be sharded")
        spread = distributed.sharded_parameters if self.shard else distributed.averaged_gradients
        with ExitStack() as stack:
            stack.enter_context(distributed.process_group(solver.device))
            stack.enter_context(spread(solver))
            run = self._start(solver, stack)
            if resume is not None:
                load_checkpoint(run, Path(resume))
            for logger in run.loggers:
                stack.callback(logger.finish)
                logger.start(self._configuration(run))
            stack.enter_context(_interruptible(run))
            self._train(run)
        return Result(
            solver, run.history, run.stop_reason or run.reports[-1].stop_reason, run.step, run.seconds, run.reports,
            run.objective.mean_weights(),
        )  # fmt: skip

    def _train(self, run: Run) -> None:
        run.tick()
        run.emit("on_fit_start")
        for index in range(run.index, len(run.phases)):
            if index > run.index:
                run.enter(index)
            run.emit("on_phase_start")
            while (reason := run.limit()) is None:
                run.advance()
                run.emit("on_step")
            run.leave(reason)
            run.emit("on_phase_end")
            if run.stop_reason is not None:
                break
        run.emit("on_fit_end")

    def _start(self, solver: Trainable, stack: ExitStack) -> Run:
        callbacks, loggers = list(self.callbacks), []
        if distributed.rank() == 0:
            loggers = list(self.loggers)
            if self.progress:
                callbacks.append(stack.enter_context(Progress()))
            if self.folder is not None:
                loggers.append(CSVLogger(self.folder / "history.csv"))
        if self.folder is not None:
            callbacks.append(Checkpoint(self.folder, self.checkpoint_every))
        run = Run(
            solver,
            copy.deepcopy(self.phases),  # weightings and samplers learn; the next fit must not see it
            seconds=self.seconds,
            steps=self.steps,
            seed=self.seed,
            log_every=self.log_every,
            evaluate_every=self.evaluate_every,
            callbacks=callbacks,
            loggers=loggers,
        )
        for phase in self.phases:
            phase.check(run.objective.parameters)
        return run

    def _configuration(self, run: Run) -> dict[str, Any]:
        return {
            "step": run.step,
            "problem": None if run.solver.problem is None else type(run.solver.problem).__name__,
            "solver": type(run.solver).__name__,
            "phases": [phase.description for phase in run.phases],
            "seconds": self.seconds,
            "seed": self.seed,
        }

    def _check(self) -> None:
        if not self.phases:
            raise InputError("Trainer(phases=[]) has nothing to do; give at least one Phase")
        for phase in self.phases:
            if not isinstance(phase, Phase):
                raise InputError(f"Trainer(phases=...) holds {phase!r}; wrap it: Phase({phase!r}, steps=...)")
            if phase.steps is None and phase.seconds is None and self.seconds is None and self.steps is None:
                raise InputError(f"phase {phase.name!r} would never end; give it or the trainer steps or seconds")
            fitting = isinstance(phase.optimiser, AdamW) and isinstance(phase.weighting, Fixed | None) and not phase.compile
            if self.shard and not fitting:
                raise InputError(f"Trainer(shard=True) takes AdamW, fixed weights and no compile, unlike phase {phase.name!r}")
        if self.seconds is not None and not self.seconds > 0:
            raise InputError(f"Trainer(seconds={self.seconds!r}) must be positive")
        if self.steps is not None and (not isinstance(self.steps, int) or self.steps < 1):
            raise InputError(f"Trainer(steps={self.steps!r}) must be a whole number of at least 1")
        if self.log_every < 1:
            raise InputError(f"Trainer(log_every={self.log_every!r}) must be at least 1 step")


def _every(interval: Every | int) -> Every:
    return interval if isinstance(interval, Every) else Every(steps=interval)


@contextmanager
def _interruptible(run: Run) -> Iterator[None]:
    """Ctrl-C asks the run to end after the current step; the second one acts as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual: Callable[[int, FrameType | None], Any] | int | None = signal.getsignal(signal.SIGINT)

    def interrupt(number: int, frame: FrameType | None) -> None:
        run.interrupted = True
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
