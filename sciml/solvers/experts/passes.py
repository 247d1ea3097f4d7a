"""What one pass of a solve leaves, and the budget it runs in."""

from __future__ import annotations

import time
from dataclasses import dataclass

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
    """

    expansion: Expansion
    tolerance: float
    windows: int = 1
    iterations: int = 0
    rejected: int = 0
    width: float | None = None
    resolved: bool = True


class Clock:
    """Wall-clock seconds since it was made, against a budget that binds once there is something to fall back on."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.binding = seconds, False
        self._began = time.monotonic()

    @property
    def spent(self) -> float:
        return time.monotonic() - self._began

    def allows(self, cost: float) -> bool:
        """Whether ``cost`` more seconds fit."""
        return not self.binding or self.spent + cost <= self.seconds

    def check(self) -> None:
        """Raise OutOfTime once the budget is spent."""
        if not self.allows(0.0):
            raise OutOfTime
