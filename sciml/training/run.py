"""The state of one fit: everything that a step changes."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciml.errors import DivergenceError
from sciml.losses import Fixed, FixedPoints, Terms, Uniform
from sciml.optim import BudgetSchedule, FirstOrder, Step
from sciml.solvers.solver import Trainable
from sciml.training import distributed
from sciml.training.callback import Callback
from sciml.training.history import History, Row
from sciml.training.logger import Logger
from sciml.training.objective import ResidualObjective
from sciml.training.phase import Every, Phase

_BLOW_UP = 1e8  # times the lowest loss of the phase


@dataclass(frozen=True)
class PhaseReport:
    """How a phase went: its name, iterations, wall-clock seconds and why it ended."""

    name: str
    steps: int
    seconds: float
    stop_reason: str


class Run:
    """What callbacks see.

    Attributes:
        solver: what is trained.
        phase, index: the current phase and its number.
        step, phase_step: iterations done, in all and in the phase.
        seconds, phase_seconds: wall-clock time spent likewise, before a resumption included.
        row: this step's row of the history, None where it has none.
        errors: relative errors by field as last evaluated, empty where none are known.
        history, reports: of all steps and of the finished phases.
        budget, last_step: wall-clock seconds and iterations of the whole run, None where there is no such limit.
        stop_reason: why the run ends, None while it does not.
    """

    def __init__(
        self,
        solver: Trainable,
        phases: Sequence[Phase],
        *,
        seconds: float | None,
        steps: int | None,
        seed: int,
        log_every: int,
        evaluate_every: Every,
        callbacks: Sequence[Callback],
        loggers: Sequence[Logger],
    ) -> None:
        self.solver, self.phases, self.budget, self.last_step, self.seed = solver, phases, seconds, steps, seed
        self.callbacks, self.loggers = callbacks, loggers
        self.device = solver.device
        # On the CPU whatever the device, so that a seed means the same points everywhere.
        self.generator = torch.Generator().manual_seed(seed + distributed.rank())
        self.index = self.step = self.phase_step = 0
        self.seconds = self.phase_began = self.evaluated = 0.0
        self.history, self.errors = History(), dict[str, float]()
        self.reports: list[PhaseReport] = []
        self.row: Row | None = None
        self.stop_reason: str | None = None
        self.converged: str | None = None
        self.interrupted = self.diverged = False
        self._log_every, self._evaluate_every = log_every, evaluate_every
        self._clock = time.perf_counter()
        self.prepare()

    # Phases -----------------------------------------------------------------------------------------------------
    @property
    def phase(self) -> Phase:
        return self.phases[self.index]

    @property
    def phase_seconds(self) -> float:
        return self.seconds - self.phase_began

    def enter(self, index: int) -> None:
        """Begin the phase number ``index``."""
        weights = {name: weight.mean() for name, weight in self.objective.weights.items()}
        self.index, self.phase_step, self.phase_began = index, 0, self.seconds
        self.prepare()
        self.objective.set_weights(weights)

    def prepare(self) -> None:
        """Build what the current phase works with, in its initial state."""
        phase, solver = self.phase, self.solver
        solver.to(dtype=phase.dtype)
        self.objective = ResidualObjective(solver, phase.compile, phase.autocast)
        self.optimiser = phase.optimiser.build(self.objective.parameters)
        self.sampler = phase.sampler or (Uniform() if self.optimiser.stochastic else FixedPoints())
        if self.sampler.batch is not None:  # it served an earlier phase
            dtype = self.objective.parameters[0].dtype
            self.sampler.batch = {key: points.to(dtype=dtype) for key, points in self.sampler.batch.items()}
        self.snapshot = Snapshot(self.objective.parameters, self.step)
        self.lowest = math.inf
        self.converged = None

    def limit(self) -> str | None:
        """Why the phase is over, None while it is not; no time is so short that it takes not a single step."""
        phase = self.phase
        if self.stop_reason or self.converged:
            return self.stop_reason or self.converged
        if phase.steps is not None and self.phase_step >= phase.steps:
            return f"step budget of {phase.steps} reached"
        if phase.seconds is not None and self.phase_seconds >= phase.seconds and self.phase_step:
            return f"time budget of {phase.seconds:g} s reached"
        return None

    def share_spent(self) -> float:
        """How much of the phase's budget is spent, from 0 to 1; the largest share where there are several budgets."""
        phase = self.phase
        shares = [self.phase_step / phase.steps] if phase.steps is not None else []
        if phase.seconds is not None:
            shares.append(self.phase_seconds / phase.seconds)
        if self.budget is not None:
            shares.append((self.seconds - self.phase_began) / (self.budget - self.phase_began))
        if self.last_step is not None:
            shares.append(self.phase_step / (self.last_step - self.step + self.phase_step))
        return min(max(shares), 1.0)

    def leave(self, reason: str) -> None:
        """End the phase."""
        self.reports.append(PhaseReport(self.phase.name, self.phase_step, self.phase_seconds, reason))

    def stop(self, reason: str) -> None:
        """End the run after the current step; the first reason given stands."""
        self.stop_reason = self.stop_reason or reason

    # Steps ------------------------------------------------------------------------------------------------------
    def advance(self) -> None:
        """One iteration: points, weights, step; and now and then a row of the history."""
        phase, optimiser = self.phase, self.optimiser
        self.objective.set_points(self.sampler(self.solver, self.phase_step, self.generator))
        if phase.weighting is not None and not (isinstance(phase.weighting, Fixed) and self.phase_step > 0):
            self._weigh()
        if phase.schedule is not None and isinstance(optimiser, FirstOrder):
            schedule = phase.schedule
            at = schedule(self.share_spent()) if isinstance(schedule, BudgetSchedule) else schedule(self.phase_step)
            optimiser.scale_learning_rate(at)
        if self.phase_step % self._log_every == 0:
            self.snapshot.take(self.step)
        result = optimiser.step(self.objective)
        self.step, self.phase_step = self.step + 1, self.phase_step + 1
        self.converged, self.row = result.stop_reason, None
        self.tick()
        self._record(result)

    def tick(self) -> None:
        """Read the clock, and end the run where its time is up or its user has had enough."""
        now = time.perf_counter()
        elapsed, self._clock = now - self._clock, now
        known = [self.seconds + elapsed, float(self.interrupted)]
        self.seconds, interrupted = distributed.from_main(known, self.device)
        if interrupted:
            self.stop("interrupted by the user")
        elif self.budget is not None and self.seconds >= self.budget and self.step:
            self.stop(f"time budget of {self.budget:g} s reached")
        elif self.last_step is not None and self.step >= self.last_step:
            self.stop(f"step budget of {self.last_step} reached")

    def emit(self, event: str, *arguments: Any) -> None:
        """Call the method ``event`` of every callback; one that raises KeyboardInterrupt acts as Ctrl-C."""
        for callback in self.callbacks:
            try:
                getattr(callback, event)(self, *arguments)
            except KeyboardInterrupt:
                if self.interrupted:
                    raise
                self.interrupted = True
                self.stop("interrupted by the user")

    def _weigh(self) -> None:
        solver, objective = self.solver, self.objective
        residuals = objective.residuals()
        points = {name: objective.batch[key].coordinates for name, key in solver.term_points.items()}
        problem = solver.problem
        axis = None if problem is None or problem.time is None else problem.coordinates.index(problem.time)
        terms = Terms(
            residuals, points, solver.term_kinds, objective.parameters, self.generator, self.phase_step, axis,
            solver.term_powers,
        )  # fmt: skip
        assert self.phase.weighting is not None
        weights = self.phase.weighting(terms)
        objective.set_weights({name: distributed.average(w) if w.ndim == 0 else w for name, w in weights.items()})

    # Records ----------------------------------------------------------------------------------------------------
    def _record(self, result: Step) -> None:
        last = self.limit() is not None
        evaluate = last or self._evaluate_every.due(self.step, self.seconds, self.evaluated)
        if not (evaluate or self.phase_step == 1 or self.step % self._log_every == 0 or isinstance(result.loss, float)):
            return  # reading the loss would wait for the device
        loss = float(result.loss)
        if not loss <= _BLOW_UP * self.lowest or not math.isfinite(loss):
            self._fall_back(loss)
            return
        self.snapshot.confirm()
        self.lowest = min(self.lowest, loss)
        self.row = {"step": self.step, "phase": self.phase.name, "seconds": self.seconds, "loss": loss}
        self.row |= {f"loss/{name}": value for name, value in self.objective.mean_squares().items()}
        self.row |= {f"weight/{name}": value for name, value in self.objective.mean_weights().items()}
        if evaluate:
            self._evaluate()
        self.history.append(self.row)
        for logger in self.loggers:
            logger.log(self.row, self.step)

    def _evaluate(self) -> None:
        self.evaluated = self.seconds
        evaluate = getattr(self.solver, "errors", None)
        self.errors = (evaluate() if callable(evaluate) else None) or {}
        assert self.row is not None
        self.row |= {f"error/{name}": value for name, value in self.errors.items()}
        diagnose = getattr(self.solver, "diagnostics", None)
        self.row |= diagnose() if callable(diagnose) else {}
        if self.errors:
            self.emit("on_evaluate")

    def _fall_back(self, loss: float) -> None:
        values = self.objective.mean_squares()
        ill = ", ".join(name for name, value in values.items() if not math.isfinite(value))
        terms = f" (in {ill})" if ill else ""
        if self.step == 1:
            raise DivergenceError(
                f"the loss is {loss} before anything was learned{terms}; "
                "check the equations and conditions for divisions by zero, logarithms and roots"
            )
        rise = f"rose from {self.lowest:.3g} to {loss:.3g}" if math.isfinite(loss) else f"became {loss}"
        advice = "a smaller learning rate"
        if self.objective.parameters[0].dtype != torch.float64:
            advice += ", or precision='float64'"
        self.diverged = True
        sound = self.snapshot.restore()
        self.stop(f"the loss {rise}{terms} at step {self.step}; the weights of step {sound} are restored; try {advice}")


class Snapshot:
    """Copies of the parameters, so that there is a way back once they are spoilt.

    A copy counts only once a sound loss has been seen at it or after it.
    """

    def __init__(self, parameters: Sequence[Tensor], step: int) -> None:
        self._parameters = parameters
        self._good, self._good_step = [parameter.detach().clone() for parameter in parameters], step
        self._taken, self._taken_step = [parameter.detach().clone() for parameter in parameters], step

    @torch.no_grad()
    def take(self, step: int) -> None:
        for copy, parameter in zip(self._taken, self._parameters, strict=True):
            copy.copy_(parameter)
        self._taken_step = step

    def confirm(self) -> None:
        """The loss was sound: the copy taken last becomes the way back."""
        if self._taken_step > self._good_step:
            self._good, self._taken = self._taken, self._good
            self._good_step, self._taken_step = self._taken_step, self._good_step

    @torch.no_grad()
    def restore(self) -> int:
        """Go back; returns the step at which the copy was made."""
        for copy, parameter in zip(self._good, self._parameters, strict=True):
            parameter.copy_(copy)
        return self._good_step
