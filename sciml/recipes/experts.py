"""Least-squares experts for any problem."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from sciml.errors import InputError
from sciml.problem import Problem
from sciml.solution import Solution
from sciml.solvers import Experts
from sciml.solvers.experts.journal import Journal
from sciml.solvers.experts.passes import Pass
from sciml.training import History, PhaseReport, distributed

CHECKPOINT = "checkpoint"


@dataclass(frozen=True)
class ExpertsResult:
    """What a solve by experts leaves.

    Attributes:
        solver: holds the expansion.
        history: one row for every solution of the whole problem on the way.
        stop_reason: "target", "time", "finest level", or "noise" where nothing finer predicts measurements better; or how
            else it ended; or that the solution is not unique, or that conditions are not met.
        steps, seconds: Gauss-Newton iterations, those of unfinished passes included, and wall-clock time; before a
            resumption too.
        phases: the solve as a single phase.
    """

    solver: Experts
    history: History
    stop_reason: str
    steps: int
    seconds: float
    phases: list[PhaseReport] = field(default_factory=list)

    @property
    def choices(self) -> dict[str, Any]:
        """What was chosen without the user."""
        return self.solver.choices

    @cached_property
    def solution(self) -> Solution:
        return Solution(self.solver.problem, self.solver)


def experts(
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
    target: float = 1e-12,
) -> ExpertsResult:
    """Least squares over polynomial experts, refined until the estimated error or the time is reached.

    Nothing is drawn at random: every ``seed`` gives the same solution. Under torchrun the processes share the experts.
    ``folder/checkpoint`` holds every solve on the way, from which a killed or finished run goes on exactly.

    Raises:
        InputError: there are callbacks, of which a solve has no steps to call, or ``resume`` has no checkpoint.
    """
    if callbacks:
        raise InputError("solver 'experts' takes no callbacks; use loggers, or solver='pinn'")
    began = time.monotonic()
    solver = Experts(problem, device=device)
    history = History()
    main = distributed.rank() == 0
    loggers = loggers if main else ()
    from rich.console import Console  # draws random numbers when it is imported

    console = Console(stderr=True) if progress and main else None
    done = 0

    def report(found: Pass, estimate: dict[str, float], spent: float) -> None:
        nonlocal done
        done += found.iterations
        row: dict[str, float | str] = {"step": done, "phase": f"degree {found.expansion.basis.degree}", "seconds": spent}
        row |= {"loss": max(estimate.values()), "experts": len(found.expansion.boxes), "windows": found.windows}
        row |= {f"estimate/{name}": value for name, value in estimate.items()}
        history.append(row)
        if not journal.fresh:  # an earlier run told of it
            return
        for logger in loggers:
            logger.log(row, done)
        if console is not None:
            errors = ", ".join(f"{name} {value:.1e}" for name, value in estimate.items())
            console.print(f"{row['phase']}: {row['experts']} experts, estimated error {errors}, {spent:.1f} s")

    for logger in loggers:
        logger.start({"problem": type(problem).__name__, "solver": solver.name, "target": target})
    budget = 60.0 if seconds is None and steps is None else seconds
    most = math.inf if steps is None else steps
    with distributed.process_group(solver.device):
        journal = Journal(None if folder is None else Path(folder) / CHECKPOINT, _checkpoint(resume))
        reason = solver.solve(math.inf if budget is None else budget, target, report, most, journal)
    for logger in loggers:
        logger.finish()
    spent, done = journal.earlier + time.monotonic() - began, journal.iterations
    return ExpertsResult(solver, history, reason, done, spent, [PhaseReport("least squares", done, spent, reason)])


def _checkpoint(resume: str | Path | None) -> Path | None:
    """The folder of the journal in a run's folder, or that itself."""
    if resume is None:
        return None
    inner = Path(resume) / CHECKPOINT
    return inner if inner.exists() else Path(resume)
