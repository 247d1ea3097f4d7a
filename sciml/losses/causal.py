"""Weights that make training respect the direction of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.losses.terms import Terms
from sciml.losses.weighting import Weighting


@dataclass(eq=False)
class Causal(Weighting):
    """Pointwise weights of the equations: late times count once early ones are solved; conditions weigh 1.

    The batch's time span is cut into ``chunks`` of one length; a point in chunk i weighs
    ``exp(-tolerance * sum of L_k over k < i)``, L_k the mean square residual in chunk k. Each equation has its own.

    Source: Wang, Sankaran, Perdikaris, arXiv 2203.07404.

    Attributes:
        tolerance: one number (per unit of squared residual), or an increasing schedule of which the next is taken once
            all weights exceed ``threshold``.
        chunks: number of time intervals.
        threshold: see ``tolerance``.
        minimum: smallest weight of the last step; near 1 when every time is trained.

    Raises:
        InputError: a value is out of its range, or (in the first step) the problem has no time.
    """

    tolerance: float | Sequence[float] = 1.0
    chunks: int = 32
    threshold: float = 0.99
    minimum: Tensor | None = field(default=None, init=False, repr=False)
    stage: int = field(default=0, init=False, repr=False)
    learned: ClassVar[tuple[str, ...]] = ("stage",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self._tolerances or min(self._tolerances) <= 0:
            raise InputError(f"tolerance must be positive, got {self.tolerance}")
        if self.chunks < 1:
            raise InputError(f"chunks must be at least 1, got {self.chunks}")

    @property
    def _tolerances(self) -> Sequence[float]:
        return (self.tolerance,) if isinstance(self.tolerance, (int, float)) else self.tolerance

    def update(self, terms: Terms) -> dict[str, Tensor]:
        if terms.time_axis is None:
            raise InputError("Causal needs a problem with a time coordinate: multiply its domain by Time(...)")
        weights = {name: terms.residuals[name].new_ones(()) for name in terms.conditions}
        for name in terms.equations:
            weights[name] = self._pointwise(terms.residuals[name], terms.points[name][:, terms.time_axis])
        self.minimum = torch.stack([weight.min() for weight in weights.values()]).min()
        if self.stage + 1 < len(self._tolerances) and self.minimum > self.threshold:
            self.stage += 1
        return weights

    def _pointwise(self, residual: Tensor, time: Tensor) -> Tensor:
        span = (time.max() - time.min()).clamp(min=torch.finfo(time.dtype).tiny)
        chunk = ((time - time.min()) / span * self.chunks).long().clamp(max=self.chunks - 1)
        sums = residual.new_zeros(self.chunks).index_add_(0, chunk, residual.square())
        counts = residual.new_zeros(self.chunks).index_add_(0, chunk, torch.ones_like(residual))
        losses = sums / counts.clamp(min=1)
        earlier = losses.cumsum(0) - losses
        return torch.exp(-self._tolerances[self.stage] * earlier)[chunk]
