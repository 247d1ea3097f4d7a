"""A Lagrangian network for any problem with characteristics: Levenberg-Marquardt, one family of them after another."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.losses import ResidualAdaptive, Terms, Uniform, Weighting
from sciml.optim import LBFGS, Adam, LevenbergMarquardt
from sciml.problem import Problem
from sciml.solvers import Lagrangian
from sciml.training import Callback, Phase, Result, Trainer


@dataclass(eq=False)
class Norms(Weighting):
    """Weights with which the loss has the gradient of ``sum of factor * |residual|``, Euclidean norms that are not squared.

    Attributes:
        factors: by term name; 1 where none is given.
    """

    factors: Mapping[str, float] = field(default_factory=dict)
    learned: ClassVar[tuple[str, ...]] = ()

    def update(self, terms: Terms) -> dict[str, Tensor]:
        def weight(name: str, residual: Tensor) -> Tensor:
            norm = residual.norm().clamp(min=torch.finfo(residual.dtype).tiny ** 0.5)
            return self.factors.get(name, 1.0) * len(residual) / (2 * norm)

        return {name: weight(name, residual.detach()) for name, residual in terms.residuals.items()}


class NextFamily(Callback):
    """Goes on with the next family of characteristics after the last phase of each, and says when they cross."""

    def __init__(self, phases_a_family: int) -> None:
        self._phases = phases_a_family

    def on_phase_end(self, run: Any) -> None:
        if (run.index + 1) % self._phases == 0 and run.stop_reason is None:
            run.solver.advance()

    def on_fit_end(self, run: Any) -> None:
        least, time = run.solver.least_jacobian()
        if least <= 0:
            warnings.warn(
                f"characteristics cross: J = dX/dxi falls to {least:.2g} at {run.solver.problem.time}={time:.3g}, from where "
                "on the solution is wrong. Train longer; an equation without diffusion may have no solution beyond a shock",
                stacklevel=2,
            )


def lagrangian(
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
    form: Literal["corrected", "published"] = "corrected",
    slip: float = 0.07,
    loss: Literal["mean_squares", "published"] = "mean_squares",
    shared: bool = False,
    width: int = 20,
    depth: int = 2,
    points: int = 1000,
) -> Result:
    """Networks of the characteristics and of what they carry, for transport at any speed."""
    if loss not in ("mean_squares", "published"):
        raise InputError(f"loss={loss!r} must be 'mean_squares' or 'published'")
    solver = Lagrangian(
        problem, points=points, form=form, slip=slip, shared=shared, width=width, depth=depth,
        generator=torch.Generator().manual_seed(seed), device=device,
    )  # fmt: skip
    count = len(solver.families)
    if seconds is None and steps is None:
        seconds = 30.0 * count
    phases = [
        phase
        for number in range(count)
        for phase in _phases(solver, loss, number, seconds and seconds / count, steps and max(1, steps // count))
    ]
    trainer = Trainer(
        phases, [*callbacks, NextFamily(len(phases) // count)], loggers, folder=folder, seed=seed, progress=progress
    )
    return trainer.fit(solver, resume=resume)


def _phases(solver: Lagrangian, loss: str, family: int, seconds: float | None, steps: int | None) -> list[Phase]:
    """The phases of one family of characteristics."""
    where = f", inflow {family}" if family else ""
    if loss == "mean_squares":
        sampler = ResidualAdaptive(every=10)
        return [Phase(LevenbergMarquardt(), steps, seconds, sampler=sampler, name=f"least squares{where}")]
    steps, seconds = steps and max(1, steps // 2), seconds and seconds / 2
    weighting = Norms({name: 10.0 for name in solver.term_points if name.startswith("characteristic_")})
    return [
        Phase(Adam(1e-2), steps, seconds, weighting=weighting, sampler=Uniform(), name=f"Adam{where}"),
        Phase(LBFGS(), steps, seconds, name=f"L-BFGS{where}"),
    ]
