"""A physics-informed network for any problem: a short warm-up by Adam, then Levenberg-Marquardt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sciml.errors import InputError
from sciml.losses import Fixed, ResidualAdaptive, Uniform
from sciml.optim import Adam
from sciml.optim.levenberg_marquardt import LevenbergMarquardt
from sciml.problem import Problem
from sciml.solvers import PINN
from sciml.solvers.inflow import check_conditions, initial_values
from sciml.solvers.quasilinear import check_quasilinear, speed
from sciml.training import Phase, Result, Trainer

WARM_UP = 200  # steps of Adam; least squares from the initial weights find worse minima


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
    """Physics-informed neural network, trained by Levenberg-Marquardt on residual-adaptive points.

    Args:
        seconds, steps: budget in wall-clock seconds or in optimiser steps; 60 s unless given.
        width, depth: of the network. Least squares cost the cube of the number of weights (921 by default).
        points: collocation points of the equations; every condition gets a tenth of them.
        condition_weight: of the conditions' mean squares beside those of the equations.

    The remaining arguments are those of ``sciml.solve``.
    """
    generator = torch.Generator().manual_seed(seed)
    solver = PINN(
        problem, points=points, condition_points=points // 10, generator=generator, device=device,
        network_options={"width": width, "depth": depth},
    )  # fmt: skip
    refine_in_time(solver, generator)
    conditions = [name for name, kind in solver.term_kinds.items() if kind == "condition"]
    weighting = Fixed(dict.fromkeys(conditions, condition_weight))
    warm_up = WARM_UP if steps is None else min(WARM_UP, (steps + 3) // 4, steps - 1)
    sampler = ResidualAdaptive(every=10)
    phases = [Phase(LevenbergMarquardt(), weighting=weighting, sampler=sampler, name="least squares")]
    if warm_up:
        phases.insert(0, Phase(Adam(1e-3), steps=warm_up, weighting=weighting, sampler=Uniform(), name="warm-up"))
    if seconds is None and steps is None:
        seconds = 60.0
    trainer = Trainer(phases, callbacks, loggers, seconds=seconds, steps=steps, folder=folder, seed=seed, progress=progress)
    return trainer.fit(solver, resume=resume)


def refine_in_time(solver: PINN, generator: torch.Generator) -> None:
    """Make the first layer's features as fine in time as what fast transport carries past a fixed place.

    They are drawn coarse, and centred on the middle of the time span; the faster the transport, the more steps it takes
    to see it. The time's weights grow by the ratio of the characteristic speed, as the embedded coordinates see it,
    to that of the time itself, and the features' centres are spread over the span. Slow problems stay as they are.
    """
    problem, first = solver.problem, next(m for m in solver.network.modules() if isinstance(m, nn.Linear))
    try:
        check_quasilinear(problem)
        check_conditions(problem)
    except InputError:  # no one speed
        return
    points = problem.domain.sample(max(256, first.out_features), generator).to(solver.device, solver.dtype)
    carried, passing = torch.zeros_like(points), torch.zeros_like(points)
    values = dict(zip(problem.unknowns, initial_values(problem, points).unbind(-1), strict=True))
    carried[:, list(problem.space_axes)] = speed(problem, values, points)
    passing[:, problem.coordinates.index(problem.time or "")] = 1.0
    by_transport = torch.func.jvp(solver.embedding, (points,), (carried,))[1]
    by_time = torch.func.jvp(solver.embedding, (points,), (passing,))[1][0]
    ratio = float(by_transport.norm(dim=-1).max() / by_time.norm())
    if ratio > 1:
        time = int(by_time.argmax())
        weights, biases = first.weight.detach(), first.bias.detach()  # share memory with the parameters
        weights[:, time] *= ratio
        biases -= weights[:, time] * solver.embedding(points)[: len(biases), time]
