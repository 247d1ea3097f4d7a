"""What one pass of a solve leaves, and the budget it runs in."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sciml.solvers.experts import parallel
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.expansion import Expansion
from sciml.solvers.experts.journal import Journal
from sciml.solvers.experts.terms import Solved


class OutOfTime(Exception):
    """The budget is spent before a pass is finished."""


@dataclass(frozen=True)
class Pass:
    """One solution of the whole problem.

    Attributes:
        expansion: over all boxes, of all windows.
        tolerance: what the boxes were cut for; its tails are below where ``resolved``.
        sizes: number of boxes in each time window.
        iterations, rejected: Gauss-Newton iterations, windows that had to be tried again.
        width: of the first window.
        shared: the problem's unknown coefficients and the amplitudes of singular functions (P,), as in ``State``.
    """

    expansion: Expansion
    tolerance: float
    sizes: tuple[int, ...]
    iterations: int = 0
    rejected: int = 0
    width: float | None = None
    resolved: bool = True
    shared: Tensor = field(default_factory=lambda: torch.zeros(0))

    @property
    def windows(self) -> int:
        return len(self.sizes)


class Clock:
    """Wall-clock seconds since it was made, against a budget that binds once there is something to fall back on.

    Of several processes the main one's clock is everybody's, so that all have to ask together. While the journal repeats
    an earlier run, the clock shows what it showed then, and all that was done fits.
    """

    def __init__(self, seconds: float, device: torch.device | str = "cpu", journal: Journal | None = None) -> None:
        self.seconds, self.binding, self._device = seconds, False, torch.device(device)
        self.journal = journal or Journal()
        self._began, self._rate = time.monotonic(), 0.0

    @property
    def spent(self) -> float:
        return parallel.from_main(time.monotonic() - self._began, self._device)

    def note(self, boxes: Boxes, basis: Legendre, seconds: float) -> None:
        """Remember that a solve on ``boxes`` took ``seconds``."""
        self._rate = seconds / _work(boxes, basis)

    def expects(self, boxes: Boxes, basis: Legendre) -> float:
        """Seconds of a solve on ``boxes``, by the last one that was noted; zero before any."""
        return self._rate * _work(boxes, basis)

    def allows(self, cost: float) -> bool:
        """Whether ``cost`` more seconds fit."""
        return not self.binding or self.journal.ahead or self.spent + cost <= self.seconds

    def check(self, cost: float = 0.0) -> None:
        """Raise OutOfTime where ``cost`` more seconds do not fit."""
        if not self.allows(cost):
            raise OutOfTime

    def recall(self, boxes: Boxes, basis: Legendre) -> Solved | None:
        """The journal's next solve, None once there are no more."""
        entry = self.journal.recall(boxes, basis)
        if entry is None:
            return None
        self._began = time.monotonic() - entry.seconds
        return entry.solved

    def keep(self, boxes: Boxes, basis: Legendre, solved: Solved) -> None:
        """Enter a solve that just ended in the journal."""
        self.journal.keep(boxes, basis, solved, self.spent)


def _work(boxes: Boxes, basis: Legendre) -> float:
    """What a solve costs, up to a factor: eliminations of the experts and of the faces between them, as measured."""
    return len(boxes) ** 1.3 * len(basis) ** 2
