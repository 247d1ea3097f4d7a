"""The residuals of one training step, as a weighting sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Terms:
    """Named residual vectors, not reduced, with their graph.

    The loss of the step is the sum over terms of ``mean(weight * |residual|**power)``.

    Attributes:
        residuals: vector (N_i,) of every term.
        points: where each was evaluated, (N_i, d).
        kinds: "equation" or "condition" for every term.
        parameters: what is trained; those that do not require a gradient are left out of every statistic.
        generator: source of the random draws of a weighting.
        step: number of the step, from 0.
        time_axis: column of ``points`` that is time, if there is one.
        powers: of the terms where it is not 2.
    """

    residuals: Mapping[str, Tensor]
    points: Mapping[str, Tensor]
    kinds: Mapping[str, str]
    parameters: Sequence[Tensor]
    generator: torch.Generator
    step: int = 0
    time_axis: int | None = None
    powers: Mapping[str, float] = field(default_factory=dict)

    @property
    def equations(self) -> list[str]:
        return [name for name in self.residuals if self.kinds[name] == "equation"]

    @property
    def conditions(self) -> list[str]:
        return [name for name in self.residuals if self.kinds[name] == "condition"]

    def loss(self, name: str) -> Tensor:
        """Mean of the term's residuals, raised to its power."""
        return raised(self.residuals[name], self.powers.get(name, 2)).mean()

    def gradient(self, *names: str) -> Tensor:
        """Gradient (P,) of the sum of the terms' losses with respect to all P trainable weights."""
        return self.pullback({name: self._slope(name) / len(self.residuals[name]) for name in names})

    def pullback(self, cotangents: Mapping[str, Tensor]) -> Tensor:
        """``sum_i J_i^T v_i`` (P,), J_i the Jacobian (N_i, P) of term i and v_i (N_i,) its cotangent.

        The graph is kept. Weights that a term does not depend on contribute zeros.
        """
        trainable = [parameter for parameter in self.parameters if parameter.requires_grad]
        names = [name for name in cotangents if self.residuals[name].requires_grad]
        if not trainable:
            return next(iter(self.residuals.values())).new_zeros(0)
        if not names:
            return torch.cat([torch.zeros_like(parameter).flatten() for parameter in trainable])
        outputs, vectors = [self.residuals[name] for name in names], [cotangents[name] for name in names]
        slopes = torch.autograd.grad(
            outputs, trainable, vectors, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return torch.cat([slope.flatten() for slope in slopes])

    def weighted(self, weights: Mapping[str, Tensor]) -> Terms:
        """These terms with losses and gradients weighted: every residual times the power's root of its weight."""
        with torch.enable_grad():  # weightings run without one, and others read gradients off the result
            residuals = {n: weights[n] ** (1 / self.powers.get(n, 2)) * r for n, r in self.residuals.items()}
            return replace(self, residuals=residuals)

    def _slope(self, name: str) -> Tensor:
        residual, power = self.residuals[name].detach(), self.powers.get(name, 2)
        return 2 * residual if power == 2 else power * residual.sign() * residual.abs() ** (power - 1)


def raised(residual: Tensor, power: float) -> Tensor:
    """|residual|^power."""
    return residual.square() if power == 2 else residual.abs() ** power
