"""Problems with a known solution and a solver whose error is known: what surrounds solvers is tested with these."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sciml.errors import DivergenceError, InputError
from sciml.geometry import Disk, Interval, Rectangle, Time
from sciml.problem import Dirichlet, Initial, Parameter, Problem
from sciml.registry import Recipe
from sciml.solution import Solution
from sciml.training import History, PhaseReport


@dataclass(frozen=True)
class Plate(Problem):
    """u_xx + u_yy = f on a square with a hole."""

    amplitude: float = 1.0
    waves: int = 1
    centre: tuple[float, float] = (0.5, 0.5)
    kind: Literal["soft", "hard"] = "soft"
    rough: bool = False
    conductivity: float | Parameter = 1.0
    coordinates = ("x", "y")
    unknowns = ("u",)

    @property
    def domain(self) -> Any:
        return Rectangle(("x", "y"), (0, 0), (1, 1)) - Disk(("x", "y"), self.centre, 0.2).named("hole")

    def equations(self, u: Any, x: Any, y: Any) -> Mapping[str, Any]:
        return {"poisson": u.xx + u.yy}

    def conditions(self) -> list[Any]:
        return [Dirichlet(u=0.0)]

    def exact(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"u": self.amplitude * torch.sin(self.waves * math.pi * x) * torch.cosh(y) + 1}


class Rod(Problem):
    """u_t = u_xx."""

    coordinates = ("x", "t")
    unknowns = ("u",)
    domain = Interval("x", -1, 1) * Time("t", 0, 1)

    def equations(self, u: Any, x: Any, t: Any) -> Mapping[str, Any]:
        return {"heat": u.t - u.xx}

    def conditions(self) -> list[Any]:
        return [Initial(u=lambda x: torch.sin(math.pi * x)), Dirichlet(u=0.0)]

    def exact(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        return {"u": torch.exp(-(math.pi**2) * t) * torch.sin(math.pi * x)}


class Formula(nn.Module):
    """The exact solution times ``scale``: its relative L2 error is |scale - 1|."""

    name = "formula"

    def __init__(self, problem: Problem, scale: float = 1.0, shift: float = 0.0) -> None:
        super().__init__()
        self.problem = problem
        self.scale = nn.Parameter(torch.tensor(scale, dtype=torch.float64))
        self.shift = nn.Parameter(torch.tensor(shift, dtype=torch.float64))

    def fields(self, points: Tensor) -> dict[str, Tensor]:
        exact = self.problem.exact(*points.unbind(-1))
        return {name: self.scale * value + self.shift for name, value in exact.items()}

    def configuration(self) -> dict[str, Any]:
        return {"scale": self.scale.item(), "note": None}

    @classmethod
    def from_configuration(cls, problem: Problem, configuration: Mapping[str, Any]) -> Formula:
        return cls(problem)


def history() -> History:
    steps = [1.0, 2.0, 3.0]
    losses = [10.0**-step for step in steps]
    return History({"step": steps, "phase": ["Adam"] * 3, "loss": losses, "loss/heat": losses, "error/u": losses})


@dataclass
class Result:
    solution: Solution
    steps: int
    seconds: float = 0.5
    stop_reason: str = "budget"
    history: History = field(default_factory=history)
    phases: list[PhaseReport] = field(default_factory=lambda: [PhaseReport("Adam", 1, 0.5, "budget")])


def solve(
    problem: Problem,
    *,
    seconds: float | None,
    steps: int | None,
    seed: int,
    device: torch.device,
    folder: Path | None,
    resume: Path | None,
    progress: bool,
    callbacks: Any,
    loggers: Any,
    scale: float = 1.001,
    network: Any = None,
) -> Result:
    """Multiply the exact solution."""
    if seed == 13:
        raise DivergenceError("the loss is NaN\nat step 7; try a smaller learning rate")
    if seed == 14:
        raise ZeroDivisionError("division by zero")
    if seed == 15:
        raise InputError("points is 0; give at least 1")
    done = int((resume / "steps").read_text()) if resume else 0
    total = done + (steps or 1)
    if folder is not None:
        (folder / "checkpoint").mkdir(exist_ok=True)
        (folder / "checkpoint" / "steps").write_text(str(total))
    return Result(Solution(problem, Formula(problem, scale)), total)


formula = Recipe(solve, Formula)
