"""Test functions with known minima, as objectives."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sciml.optim import Configuration, Optimiser, Step


class Function:
    """``value(x)`` as an objective of one vector."""

    def __init__(self, value: Callable[[Tensor], Tensor], start: Tensor) -> None:
        self.parameters: list[Tensor] = [start.clone().requires_grad_()]
        self.names = ["x"]
        self.version = 0
        self.value, self.evaluations = value, 0

    @property
    def x(self) -> Tensor:
        return self.parameters[0].detach()

    def loss(self) -> Tensor:
        self.evaluations += 1
        return self.value(self.parameters[0])

    def residual_vector(self, parameters: dict[str, Tensor] | None = None) -> Tensor:
        raise NotImplementedError


def rosenbrock(x: Tensor) -> Tensor:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def ill_conditioned(x: Tensor) -> Tensor:
    """A quadratic of condition 1e8 with its minimum at 1."""
    return (torch.logspace(0, 8, len(x), dtype=x.dtype) * (x - 1) ** 2).sum() / 2


def run(function: Function, configuration: Configuration, steps: int) -> tuple[Optimiser, list[Step]]:
    optimiser = configuration.build(function.parameters)
    taken = []
    for _ in range(steps):
        taken.append(optimiser.step(function))
        if taken[-1].stop_reason is not None:
            break
    return optimiser, taken
