"""An unknown coefficient of a problem."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.errors import InputError


@dataclass(frozen=True)
class Parameter:
    """An unknown coefficient, fitted together with the solution from ``Observations``.

    Args:
        start: first guess.
        positive: keep it positive by fitting its logarithm.

    Raises:
        InputError: ``start`` is not finite, or not positive although ``positive`` is set.
    """

    start: float
    positive: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.start):
            raise InputError(f"Parameter start={self.start} must be a finite number")
        if self.positive and self.start <= 0:
            raise InputError(f"Parameter start={self.start} must be positive, or drop positive=True")

    def to_raw(self, value: Tensor | float) -> Tensor:
        """The unconstrained number that an optimiser sees."""
        value = torch.as_tensor(value)
        return value.log() if self.positive else value

    def from_raw(self, raw: Tensor) -> Tensor:
        """The coefficient itself, from what an optimiser sees."""
        return raw.exp() if self.positive else raw
