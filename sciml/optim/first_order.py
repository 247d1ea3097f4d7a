"""Methods that take one gradient an iteration, which is what torch.optim offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from sciml.optim.optimiser import Objective, Optimiser, Step, loss_and_gradient


class FirstOrder(Optimiser):
    """Any ``torch.optim.Optimizer``, with a learning rate that a schedule may scale."""

    stochastic: ClassVar[bool] = True

    def __init__(self, parameters: Sequence[Tensor], optimizer: torch.optim.Optimizer) -> None:
        super().__init__(parameters)
        self.optimizer = optimizer
        self._learning_rates = [group["lr"] for group in optimizer.param_groups]

    def scale_learning_rate(self, factor: float) -> None:
        """Set the learning rate to ``factor`` times the configured one."""
        for group, learning_rate in zip(self.optimizer.param_groups, self._learning_rates, strict=True):
            group["lr"] = factor * learning_rate

    def step(self, objective: Objective) -> Step:
        def closure() -> Tensor:
            loss, gradients = loss_and_gradient(objective)
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                parameter.grad = gradient
            return loss

        return Step(self.optimizer.step(closure))  # type: ignore[arg-type]

    def state_dict(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state)


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015)."""

    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def build(self, parameters: list[Tensor]) -> FirstOrder:
        def adam(fused: bool) -> torch.optim.Optimizer:
            return torch.optim.Adam(parameters, self.learning_rate, self.betas, self.epsilon, fused=fused)

        try:
            return FirstOrder(parameters, adam(fused=True))  # one kernel instead of a dozen for every tensor
        except RuntimeError:  # no such kernel for this device
            return FirstOrder(parameters, adam(fused=False))


@dataclass(frozen=True)
class Torch:
    """Any optimiser of PyTorch's interface: ``Torch(lambda parameters: torch.optim.RAdam(parameters, lr=1e-3))``."""

    create: Callable[[list[Tensor]], torch.optim.Optimizer]

    def build(self, parameters: list[Tensor]) -> FirstOrder:
        return FirstOrder(parameters, self.create(parameters))
