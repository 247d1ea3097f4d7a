"""One stage of training, and how often things happen in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.losses import Sampler, Weighting
from sciml.optim import BudgetSchedule, Configuration, FirstOrder, Schedule

# the type of the weights, and the one that operations are cast to where that is safe
_PRECISIONS = {
    "float32": (torch.float32, None),
    "float64": (torch.float64, None),
    "bfloat16-mixed": (torch.float32, torch.bfloat16),
    "float16-mixed": (torch.float32, torch.float16),
}


@dataclass(frozen=True)
class Phase:
    """One optimiser at work for a budget of steps or seconds.

    Attributes:
        optimiser: its configuration, such as ``Adam(1e-3)``.
        steps, seconds: the phase ends at whichever comes first. Without either it ends with the trainer's seconds.
        schedule: factor of the learning rate by step of the phase, or by the share of its budget; for first-order
            methods.
        weighting: of the loss terms. None keeps the weights with which the previous phase ended (pointwise ones as
            their mean), 1 at the start. A quasi-Newton or least-squares phase is cheapest with None or ``Fixed``.
        sampler: None draws fresh uniform points in every step for a stochastic method, and one batch for the others.
        precision: "float32", "float64" or a dtype that the solver is cast to; "bfloat16-mixed" and "float16-mixed" for
            weights in float32 and ``torch.autocast``; None leaves it.
        compile: evaluate the residuals through ``torch.compile``.
        name: in the history; the optimiser's unless given.

    Raises:
        InputError: a value that cannot be used.
    """

    optimiser: Configuration
    steps: int | None = None
    seconds: float | None = None
    schedule: Schedule | BudgetSchedule | None = None
    weighting: Weighting | None = None
    sampler: Sampler | None = None
    precision: str | torch.dtype | None = None
    compile: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if not callable(getattr(self.optimiser, "build", None)):
            raise InputError(
                f"Phase(optimiser={self.optimiser!r}) has no build(parameters); give a configuration such as "
                "Adam(1e-3), or wrap PyTorch's: Torch(lambda parameters: torch.optim.RAdam(parameters))"
            )
        if self.steps is not None and (not isinstance(self.steps, int) or self.steps < 1):
            raise InputError(f"Phase(steps={self.steps!r}) must be a whole number of at least 1")
        if self.seconds is not None and not self.seconds > 0:
            raise InputError(f"Phase(seconds={self.seconds!r}) must be positive")
        if isinstance(self.precision, str) and self.precision not in _PRECISIONS:
            choices = ", ".join(_PRECISIONS)
            raise InputError(f"Phase(precision={self.precision!r}) must be one of {choices}, or a torch.dtype")
        if self.autocast is torch.float16 and not getattr(self.optimiser, "loss_scaling", False):
            raise InputError(
                f"Phase(precision={self.precision!r}) needs a loss that is scaled, or small gradients become zero; "
                "use AdamW(loss_scaling=True), or precision='bfloat16-mixed'"
            )
        if not self.name:
            object.__setattr__(self, "name", type(self.optimiser).__name__)

    @property
    def dtype(self) -> torch.dtype | None:
        return _PRECISIONS[self.precision][0] if isinstance(self.precision, str) else self.precision

    @property
    def autocast(self) -> torch.dtype | None:
        return _PRECISIONS[self.precision][1] if isinstance(self.precision, str) else None

    @property
    def description(self) -> str:
        """Everything but the budget, as text that is the same in another process."""
        return re.sub(r" at 0x[0-9a-f]+", "", repr(replace(self, steps=None, seconds=None)))

    def check(self, parameters: Sequence[Tensor]) -> None:
        """Raise InputError where the phase cannot train ``parameters``, before any earlier phase has spent its time."""
        optimiser = self.optimiser.build(list(parameters))
        if self.schedule is not None and not isinstance(optimiser, FirstOrder):
            kind = type(self.optimiser).__name__
            raise InputError(f"Phase {self.name!r} has a schedule, but {kind} has no learning rate")


@dataclass(frozen=True)
class Every:
    """How often something is done: every ``steps`` iterations, or after that many ``seconds``.

    Raises:
        InputError: not exactly one of the two, or it is not positive.
    """

    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        interval = self.steps if self.seconds is None else self.seconds
        if (self.steps is None) == (self.seconds is None) or interval is None or not interval > 0:
            raise InputError(f"{self!r} must have either steps or seconds, and positive")

    def due(self, step: int, seconds: float, last_seconds: float) -> bool:
        """Whether it is time after ``step`` iterations and ``seconds``, last done at ``last_seconds``."""
        if self.steps is not None:
            return step % self.steps == 0
        assert self.seconds is not None
        return seconds - last_seconds >= self.seconds
