"""Relative loss balancing with random lookback."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.losses.terms import Terms
from sciml.losses.weighting import Weighting


@dataclass(eq=False, kw_only=True)
class ReLoBRaLo(Weighting):
    """Terms whose loss has fallen less than the others' weigh more; needs no gradients.

    With ``b_i(t, s) = m softmax_i(L_i(t) / (temperature L_i(s)))`` over the m terms,
    ``w(t) = smoothing (rho w(t-1) + (1 - rho) b(t, 0)) + (1 - smoothing) b(t, t-1)``, rho a random 0 or 1.

    Source: Bischof, Kraus, arXiv 2110.09813.

    Attributes:
        smoothing: share of the history, in [0, 1].
        lookback: probability that the history is the last weight and not the comparison with the first step.
        temperature: large ones even the weights out.

    Raises:
        InputError: an attribute is out of its range.
    """

    smoothing: float = 0.999
    lookback: float = 0.999
    temperature: float = 1.0
    first: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)
    previous: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)
    learned: ClassVar[tuple[str, ...]] = ("weights", "first", "previous")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("smoothing", "lookback"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        if not self.temperature > 0:
            raise InputError(f"temperature must be positive, got {self.temperature}")

    def update(self, terms: Terms) -> dict[str, Tensor]:
        losses = {name: terms.loss(name) for name in terms.residuals}
        if self.first.keys() != losses.keys():
            self.first = self.previous = losses
            return {name: torch.ones_like(loss) for name, loss in losses.items()}
        since_first, since_previous = self._balance(losses, self.first), self._balance(losses, self.previous)
        draw = torch.rand((), generator=terms.generator, device=terms.generator.device)
        self.previous = losses
        weights = {}
        for name, loss in losses.items():
            keep = (draw < self.lookback).to(loss.device)
            history = torch.where(keep, self.weights[name].to(loss), since_first[name])
            weights[name] = self.smoothing * history + (1 - self.smoothing) * since_previous[name]
        return weights

    def _balance(self, losses: dict[str, Tensor], reference: dict[str, Tensor]) -> dict[str, Tensor]:
        tiny = 1e-12  # as in the published code: a loss that was zero
        ratios = [loss / (self.temperature * reference[name].to(loss) + tiny) for name, loss in losses.items()]
        return dict(zip(losses, len(losses) * torch.softmax(torch.stack(ratios), dim=0), strict=True))
