"""What an optimiser is: the trainer hands it an objective, it takes one iteration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from sciml.nn.sharding import is_share


@dataclass(frozen=True)
class Step:
    """What one iteration did.

    Attributes:
        loss: at the accepted parameters, or at those before the update for first-order methods. A number where the
            method needed it as one; otherwise a detached tensor (), so that reading it, which would wait for the
            device, is left to whoever wants it.
        stop_reason: why no further iteration makes sense, None while one does.
        info: further numbers of the iteration by name.
    """

    loss: float | Tensor
    stop_reason: str | None = None
    info: dict[str, float] = field(default_factory=dict)


class Objective(Protocol):
    """A sum of squares of the current points and weights, as a function of the parameters' current values.

    Attributes:
        parameters: what is optimised, leaves that require a gradient.
        names: their names, in the same order; the keys of ``residual_vector``'s argument.
        version: another number once the function has changed (new points or weights), so that a method may carry its
            last loss and gradient from one iteration to the next.
    """

    parameters: list[Tensor]
    names: list[str]
    version: int

    def loss(self) -> Tensor:
        """The loss (), with its graph."""

    def residual_vector(self, parameters: dict[str, Tensor] | None = None) -> Tensor:
        """The residuals (M,) times sqrt(weight / N of their term): the loss is their sum of squares."""


class Optimiser(ABC):
    """An optimisation method at work on ``parameters``, changed in place.

    ``stochastic`` says that the method takes gradients of fresh points; the others model one fixed function.
    """

    stochastic: ClassVar[bool] = False

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)

    @abstractmethod
    def step(self, objective: Objective) -> Step:
        """Take one iteration."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything the next iteration depends on: tensors, numbers, texts, lists and dicts."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from ``state``."""


class Configuration(Protocol):
    """A frozen dataclass of an optimiser's settings."""

    def build(self, parameters: list[Tensor]) -> Optimiser:
        """The optimiser for ``parameters``."""


def loss_and_gradient(objective: Objective) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The loss (), detached, and its gradient by parameter; zero for a parameter that the loss does not contain."""
    loss = objective.loss()
    return loss.detach(), gradient_of(loss, objective.parameters)


def gradient_of(loss: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The gradient of ``loss`` by parameter; zero for a parameter that the loss does not contain."""
    if not any(map(is_share, parameters)):
        return torch.autograd.grad(loss, parameters, materialize_grads=True)
    # shares are not in the graph: each gets its part of the processes' average when a backward pass has it
    for parameter in parameters:
        parameter.grad = None
    loss.backward()
    return tuple(torch.zeros_like(p) if p.grad is None else p.grad for p in parameters)


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """One real vector (n,) of all entries."""
    return torch.cat([_real(tensor.detach()).reshape(-1) for tensor in tensors])


@torch.no_grad()
def assign(parameters: Sequence[Tensor], vector: Tensor) -> None:
    """Set ``parameters`` to the entries of ``vector`` (n,)."""
    for parameter, piece in zip(parameters, _pieces(parameters, vector), strict=True):
        parameter.copy_(piece)


@torch.no_grad()
def shift(parameters: Sequence[Tensor], vector: Tensor, scale: float) -> None:
    """Add ``scale`` times the entries of ``vector`` (n,) to ``parameters``."""
    torch._foreach_add_(list(parameters), _pieces(parameters, vector), alpha=scale)


def _pieces(parameters: Sequence[Tensor], vector: Tensor) -> list[Tensor]:
    real = [_real(parameter) for parameter in parameters]
    pieces = vector.split([tensor.numel() for tensor in real])
    return [
        torch.view_as_complex(piece.view_as(tensor)) if parameter.is_complex() else piece.view_as(tensor)
        for parameter, tensor, piece in zip(parameters, real, pieces, strict=True)
    ]


def _real(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor
