"""Learning-rate schedules: factors as pure functions, so that a resumed run continues exactly."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

from sciml.errors import InputError


class Schedule(Protocol):
    def __call__(self, step: int) -> float:
        """The factor of the learning rate at ``step`` = 0, 1, ... of a phase."""


class BudgetSchedule(ABC):
    """A schedule over the budget of a phase, be it in steps or in seconds."""

    @abstractmethod
    def __call__(self, share: float) -> float:
        """The factor of the learning rate when the ``share`` of the budget is spent, 0 to 1."""


@dataclass(frozen=True)
class OneCycle(BudgetSchedule):
    """A line from near 0 to 1 over the first ``warm_up`` of the phase's budget, then half a cosine down to ``final`` at
    its end (Loshchilov & Hutter 2017; Smith & Topin 2019)."""

    warm_up: float = 0.05
    final: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.warm_up < 1:
            raise InputError(f"OneCycle(warm_up={self.warm_up!r}) must be a share of the budget: at least 0, below 1")

    def __call__(self, share: float) -> float:
        if share < self.warm_up:
            return max(share / self.warm_up, 1e-3)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * (share - self.warm_up) / (1 - self.warm_up))) / 2


@dataclass(frozen=True)
class ExponentialDecay:
    """``rate ** (step / steps)``; with ``staircase`` the exponent is rounded down."""

    rate: float = 0.9
    steps: int = 1000
    staircase: bool = False

    def __post_init__(self) -> None:
        _check("ExponentialDecay", rate=self.rate, steps=self.steps)

    def __call__(self, step: int) -> float:
        return self.rate ** (step // self.steps if self.staircase else step / self.steps)


@dataclass(frozen=True)
class CosineDecay:
    """Half a cosine from 1 down to ``final`` over ``steps``, constant afterwards (Loshchilov & Hutter 2017)."""

    steps: int
    final: float = 0.0

    def __post_init__(self) -> None:
        _check("CosineDecay", steps=self.steps)

    def __call__(self, step: int) -> float:
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(step / self.steps, 1))) / 2


@dataclass(frozen=True)
class WarmUp:
    """A line from near 0 to 1 over ``steps``, then the schedule ``then`` from its beginning."""

    steps: int
    then: Schedule | None = None

    def __post_init__(self) -> None:
        _check("WarmUp", steps=self.steps)

    def __call__(self, step: int) -> float:
        if step < self.steps:
            return (step + 1) / (self.steps + 1)
        return 1.0 if self.then is None else self.then(step - self.steps)


def _check(schedule: str, **positive: float) -> None:
    for name, value in positive.items():
        if value <= 0:
            raise InputError(f"{schedule}({name}={value!r}) must be positive")
