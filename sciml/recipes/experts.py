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
from sciml.solvers.experts.passes import Pass
from sciml.training import History, PhaseReport, distributed


@dataclass(frozen=True)
class ExpertsResult:
    """What a solve by experts leaves.

    Attributes:
        solver: holds the expansion.
        history: one row for every solution of the whole problem on the way.
        stop_reason: "target", "time", "finest level", or "noise" where nothing finer predicts measurements better.
        steps, seconds: Gauss-Newton iterations and wall-clock time.
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

    Raises:
        InputError: a resumption or callbacks were asked for; a solve is one piece of seconds rather than hours.
    """
    if resume is not None or callbacks:
        what = "resume" if resume is not None else "callbacks"
        raise InputError(f"solver 'experts' takes no {what}; solve again with more seconds, or use solver='pinn'")
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
        reason = solver.solve(math.inf if budget is None else budget, target, report, most)
    for logger in loggers:
        logger.finish()
    spent = time.monotonic() - began
    return ExpertsResult(solver, history, reason, done, spent, [PhaseReport("least squares", done, spent, reason)])
