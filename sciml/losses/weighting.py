"""What a weighting is, and the plain ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from sciml.errors import InputError, nearest
from sciml.losses.terms import Terms


@dataclass(eq=False, kw_only=True)
class Weighting(ABC):
    """Gives every term of the loss a weight, from the residuals of the step.

    The constructor holds the configuration; what is learned goes through ``state_dict``. Weights are recomputed in
    steps that are a multiple of ``period`` (and in the first one) and held in between.
    """

    period: int = field(default=1, init=False, repr=False)
    weights: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)
    learned: ClassVar[tuple[str, ...]] = ("weights",)
    """Attributes that ``state_dict`` holds."""

    def __post_init__(self) -> None:
        if self.period < 1:
            raise InputError(f"period must be at least 1 step, got {self.period}")

    def __call__(self, terms: Terms) -> dict[str, Tensor]:
        """One detached weight a term: a scalar (), or pointwise (N_i,)."""
        if terms.step % self.period == 0 or self.weights.keys() != terms.residuals.keys():
            with torch.no_grad():
                self.weights = self.update(terms)
        return {name: self.weights[name].to(residual) for name, residual in terms.residuals.items()}

    @abstractmethod
    def update(self, terms: Terms) -> dict[str, Tensor]:
        """The weights for this step; ``self.weights`` still holds the last ones."""

    def state_dict(self) -> dict[str, Any]:
        """What has been learned: tensors, numbers and dictionaries of them."""
        return {name: getattr(self, name) for name in self.learned}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name in self.learned:
            setattr(self, name, state[name])


@dataclass(eq=False)
class Fixed(Weighting):
    """Constant weights by term name; a term that is not named weighs 1.

    Raises:
        InputError: a weight is negative, or (in the first step) a name is not that of a term.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    learned: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in self.values.items():
            if not value >= 0:
                raise InputError(f"the weight of {name!r} must not be negative, got {value}")

    def update(self, terms: Terms) -> dict[str, Tensor]:
        for name in self.values:
            if name not in terms.residuals:
                raise InputError(f"Fixed names {name!r}, no term of the loss; {nearest(name, terms.residuals)}")
        return {name: r.new_full((), self.values.get(name, 1.0)) for name, r in terms.residuals.items()}


class Product(Weighting):
    """Weightings one after another, each balancing the terms as weighted by those before: the weights multiply.

    Example:
        >>> Product(Causal(), GradientAnnealing())
    """

    def __init__(self, *factors: Weighting) -> None:
        super().__init__()
        self.factors = factors

    def update(self, terms: Terms) -> dict[str, Tensor]:
        product = {name: residual.new_ones(()) for name, residual in terms.residuals.items()}
        for factor in self.factors:
            weights = factor(terms)
            terms = terms.weighted(weights)
            product = {name: weight * weights[name] for name, weight in product.items()}
        return product

    def state_dict(self) -> dict[str, Any]:
        return {"factors": [factor.state_dict() for factor in self.factors]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for factor, factor_state in zip(self.factors, state["factors"], strict=True):
            factor.load_state_dict(factor_state)

    def __repr__(self) -> str:
        return f"Product({', '.join(map(repr, self.factors))})"
