"""An unknown coefficient of a problem."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

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

    def _unbound(self, *_: Any) -> Any:
        raise InputError(
            f"{self!r} has no value of its own: give the problem a number, or bind(...) its parameters, "
            "to evaluate an exact solution or a reference"
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _unbound
    __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __neg__ = __abs__ = __float__ = _unbound
    __lt__ = __le__ = __gt__ = __ge__ = _unbound
