"""Neural fields between cross-sections, by preset."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sciml.errors import InputError, nearest
from sciml.optim import Adam, ExponentialDecay
from sciml.problem import Problem
from sciml.shapes.cross_sections import CrossSections
from sciml.solvers.neural_field import Level, NeuralField
from sciml.training import Phase, Result, Trainer


@dataclass(frozen=True)
class Preset:
    """Sizes of a run.

    Attributes:
        steps: of every level of sampling.
        samples: points on the planes at every level.
        levels: widths from coarse to fine, in units of half the diagonal of the contours' box.
        target: "distance" or "indicator", see ``OnPlanes``.
        solver: options of ``NeuralField``.
        learning_rate, decay: at the start, and what is left of it at the end.
    """

    steps: tuple[int, ...]
    samples: int
    levels: tuple[float, ...] = (1 / 32, 1 / 48, 1 / 64)
    target: str = "distance"
    solver: dict[str, Any] = field(default_factory=dict)
    learning_rate: float = 2e-2
    decay: float = 0.02
    dtype: torch.dtype = torch.float32


PAPER = {"steps": 10, "hidden": 32, "width": 64, "depth": 7, "activation": "leaky_relu", "scale": 1.0}
PRESETS = {
    "fast": Preset((200, 200, 200), 30_000),
    # a larger network fits the planes better and the space between them worse
    "default": Preset((400, 400, 400), 60_000, solver={"refits": 4}),
    # the paper's sizes: labels alone, no first estimate, double precision; hours without an accelerator
    "paper": Preset(
        (600, 600, 1200, 1200, 1800, 2400), 65_536, tuple(0.5**k for k in (4, 5, 5, 6, 6, 7)), "indicator",
        {"centres": 0, "slope": 0.1, "points": 16_384, "frequencies": 5, "network": PAPER}, 1e-2, 1e-3, torch.float64,
    ),
}  # fmt: skip


def neural_field(
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
    preset: str | Preset = "fast",
) -> Result:
    """Neural field between planar cross-sections, refined from coarse to fine (OReX); for shapes only.

    Args:
        problem: ``CrossSections``; its points on the planes are drawn anew as the preset says.
        seconds, steps: at most; every level gets its share. The preset's steps unless given.
        preset: "fast" (minutes on two cores), "default", "paper" (the sizes of the paper), or sizes of one's own.

    The remaining arguments are those of ``sciml.solve``.

    Raises:
        InputError: another kind of problem, or an unknown preset.
    """
    preset = find_preset(preset) if isinstance(preset, str) else preset
    if not isinstance(problem, CrossSections):
        raise InputError(f"solver 'neural_field' is for CrossSections, not for {type(problem).__name__}; use 'pinn'")
    sampled = CrossSections(problem.slices, preset.samples, preset.levels, preset.target, seed)
    solver = NeuralField(
        sampled, generator=torch.Generator().manual_seed(seed), dtype=preset.dtype, device=device, **preset.solver
    )
    trainer = Trainer(
        _phases(preset, steps, seconds), callbacks, loggers, seconds=seconds, folder=folder, seed=seed, progress=progress
    )
    return trainer.fit(solver, resume=resume)


def find_preset(name: str) -> Preset:
    """The preset called ``name``; raises InputError with the nearest names."""
    if name not in PRESETS:
        raise InputError(f"there is no preset {name!r}; {nearest(name, PRESETS)}")
    return PRESETS[name]


def _phases(preset: Preset, steps: int | None, seconds: float | None) -> list[Phase]:
    """One a level, at learning rates that fall throughout."""
    total, done, phases = sum(preset.steps), 0, []
    for level, own in enumerate(preset.steps):
        share, rate = own / total, preset.learning_rate * preset.decay ** (done / total)
        count = own if steps is None else max(1, math.floor(steps * share))
        limit = None if seconds is None else seconds * share
        schedule, sampler = ExponentialDecay(preset.decay, round(count / share)), Level(level=level)
        phases.append(Phase(Adam(rate), count, limit, schedule, sampler=sampler, name=f"level {level + 1}"))
        done += own
    return phases
