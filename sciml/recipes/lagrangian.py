"""A Lagrangian network for any problem with characteristics: Levenberg-Marquardt, one time window after another."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
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

_CLUSTERED = 0.02  # J below which the derivatives across characteristics have lost two digits


@dataclass(eq=False, kw_only=True)
class Norms(Weighting):
    """Weights with which the loss has the gradient of the published one, ``10 |r_x| + |r_u|`` in Euclidean norms.

    Attributes:
        characteristic: factor of the characteristics' residuals.
    """

    characteristic: float = 10.0
    learned: ClassVar[tuple[str, ...]] = ()
    period: int = field(default=1, init=False, repr=False)

    def update(self, terms: Terms) -> dict[str, Tensor]:
        def weight(name: str, residual: Tensor) -> Tensor:
            factor = self.characteristic if name.startswith("characteristic_") else 1.0
            return factor * len(residual) / (2 * residual.norm().clamp(min=torch.finfo(residual.dtype).tiny ** 0.5))

        return {name: weight(name, residual.detach()) for name, residual in terms.residuals.items()}


class NextWindow(Callback):
    """Labels the characteristics anew after the last phase of every time window, and says when they cluster or cross."""

    def __init__(self, phases_a_window: int) -> None:
        self._phases = phases_a_window

    def on_phase_end(self, run: Any) -> None:
        if (run.index + 1) % self._phases == 0 and run.stop_reason is None:
            run.solver.advance()

    def on_fit_end(self, run: Any) -> None:
        for number, (least, time) in enumerate(run.solver.least_jacobian()):
            if least < _CLUSTERED:
                how = "cross" if least <= 0 else "cluster"
                warnings.warn(
                    f"characteristics {how}: J = dX/dxi falls to {least:.2g} at {run.solver.problem.time}={time:.3g}, in time "
                    f"window {number + 1}; derivatives are inaccurate there. Label them anew before, by more windows "
                    "(windows=4, or the times at which to)",
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
    windows: int | Sequence[float] = 1,
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
        problem, points=points, form=form, windows=windows, shared=shared, width=width, depth=depth,
        generator=torch.Generator().manual_seed(seed), device=device,
    )  # fmt: skip
    count = len(solver.windows)
    if seconds is None and steps is None:
        seconds = 30.0 * count
    phases = [
        phase
        for number in range(count)
        for phase in _phases(loss, number + 1, seconds and seconds / count, steps and max(1, steps // count))
    ]
    trainer = Trainer(
        phases, [*callbacks, NextWindow(len(phases) // count)], loggers, folder=folder, seed=seed, progress=progress
    )
    return trainer.fit(solver, resume=resume)


def _phases(loss: str, window: int, seconds: float | None, steps: int | None) -> list[Phase]:
    """The phases of one time window."""
    if loss == "mean_squares":
        sampler = ResidualAdaptive(every=10)
        return [Phase(LevenbergMarquardt(), steps, seconds, sampler=sampler, name=f"least squares, window {window}")]
    steps, seconds = steps and max(1, steps // 2), seconds and seconds / 2
    return [
        Phase(Adam(1e-2), steps, seconds, weighting=Norms(), sampler=Uniform(), name=f"Adam, window {window}"),
        Phase(LBFGS(), steps, seconds, name=f"L-BFGS, window {window}"),
    ]
