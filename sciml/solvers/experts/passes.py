"""What one pass of a solve leaves, and the budget it runs in."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sciml.solvers.experts import parallel
from sciml.solvers.experts.expansion import Expansion


class OutOfTime(Exception):
    """The budget is spent before a pass is finished."""


@dataclass(frozen=True)
class Pass:
    """One solution of the whole problem.

    Attributes:
        expansion: over all boxes, of all windows.
        tolerance: what the boxes were cut for; its tails are below where ``resolved``.
        windows, iterations, rejected: time windows, Gauss-Newton iterations, windows that had to be tried again.
        width: of the first window.
        raw: the problem's unknown coefficients (P,).
    """

    expansion: Expansion
    tolerance: float
    windows: int = 1
    iterations: int = 0
    rejected: int = 0
    width: float | None = None
    resolved: bool = True
    raw: Tensor = field(default_factory=lambda: torch.zeros(0))


class Clock:
    """Wall-clock seconds since it was made, against a budget that binds once there is something to fall back on.

    Of several processes the main one's clock is everybody's, so that all have to ask together.
    """

    def __init__(self, seconds: float, device: torch.device | str = "cpu") -> None:
        self.seconds, self.binding, self._device = seconds, False, torch.device(device)
        self._began = time.monotonic()

    @property
    def spent(self) -> float:
        return parallel.from_main(time.monotonic() - self._began, self._device)

    def allows(self, cost: float) -> bool:
        """Whether ``cost`` more seconds fit."""
        return not self.binding or self.spent + cost <= self.seconds

    def check(self, cost: float = 0.0) -> None:
        """Raise OutOfTime where ``cost`` more seconds do not fit."""
        if not self.allows(cost):
            raise OutOfTime
