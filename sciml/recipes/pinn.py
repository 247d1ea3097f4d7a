"""A physics-informed network for any problem: a short warm-up by Adam, then Levenberg-Marquardt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from sciml.losses import Fixed, ResidualAdaptive, Uniform
from sciml.optim import Adam
from sciml.optim.levenberg_marquardt import LevenbergMarquardt
from sciml.problem import Problem
from sciml.solution import Solution
from sciml.solvers import PINN
from sciml.training import Phase, Result, Trainer


def pinn(
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
    width: int = 20,
    depth: int = 3,
    points: int = 2000,
    condition_weight: float = 100.0,
) -> Result:
    """Physics-informed neural network, trained by Levenberg-Marquardt on residual-adaptive points."""
    generator = torch.Generator().manual_seed(seed)
    solver = PINN(
        problem, points=points, condition_points=points // 10, generator=generator, device=device,
        network_options={"width": width, "depth": depth},
    )  # fmt: skip
    object.__setattr__(solver, "errors", lambda: Solution(problem, solver).relative_l2)
    conditions = [name for name, kind in solver.term_kinds.items() if kind == "condition"]
    weighting = Fixed(dict.fromkeys(conditions, condition_weight))
    phases = [
        Phase(Adam(1e-3), steps=200, weighting=weighting, sampler=Uniform(), name="warm-up"),
        Phase(LevenbergMarquardt(), steps=steps, sampler=ResidualAdaptive(every=10), name="least squares"),
    ]
    trainer = Trainer(
        phases, callbacks, loggers, seconds=seconds or (None if steps else 60.0), folder=folder, seed=seed, progress=progress
    )
    return trainer.fit(solver, resume=resume)
