"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024, arXiv 2409.11321, algorithm 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciml.optim.first_order import FirstOrder


@dataclass(frozen=True)
class SOAP:
    """Adam in the slowly changing eigenbasis of the gradients' second moments.

    Args:
        betas: averaging of the gradient, and of its squares and second moments.
        frequency: iterations between two refinements of the basis; 2 suits physics-informed losses (Wang et al. 2025,
            arXiv 2502.00604), at about twice the cost of Adam.
        largest: sides of a weight beyond this size keep the identity basis. Vectors always do, so that they see Adam.
    """

    learning_rate: float = 3e-3
    betas: tuple[float, float] = (0.95, 0.95)
    epsilon: float = 1e-8
    frequency: int = 10
    largest: int = 4096

    def build(self, parameters: list[Tensor]) -> FirstOrder:
        return FirstOrder(parameters, _SOAP(parameters, self))


class _SOAP(torch.optim.Optimizer):
    def __init__(self, parameters: list[Tensor], settings: SOAP) -> None:
        super().__init__(parameters, {"lr": settings.learning_rate})
        self.settings = settings

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        with torch.enable_grad():
            loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                self._update(parameter, self.state[parameter], group["lr"])
        return loss

    def _update(self, parameter: Tensor, state: dict[str, Any], learning_rate: float) -> None:
        gradient = parameter.grad
        assert gradient is not None
        first, second = self.settings.betas
        if not state:
            sides = [self._moment(gradient, side) for side in range(2)] if gradient.ndim == 2 else []
            state["step"] = 0
            state["average"], state["squares"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
            state["moments"] = [(1 - second) * moment for moment in sides]
            state["bases"] = [torch.linalg.eigh(moment).eigenvectors for moment in sides]
            if sides:
                return  # the basis of the first gradient says nothing about that gradient
        state["step"] += 1
        bases = state["bases"]
        average = state["average"].lerp_(gradient, 1 - first)
        squares = state["squares"].lerp_(_rotate(gradient, bases).square(), 1 - second)
        corrected = (squares / (1 - second ** state["step"])).sqrt().add_(self.settings.epsilon)
        direction = _rotate(average, bases) / corrected
        direction = _rotate(direction, [basis.mT for basis in bases])
        parameter.sub_(direction, alpha=learning_rate / (1 - first ** state["step"]))

        for side, moment in enumerate(state["moments"]):
            moment.lerp_(self._moment(gradient, side), 1 - second)
        if state["step"] % self.settings.frequency == 0:  # one power iteration keeps up with the slow change
            state["bases"] = [torch.linalg.qr(m @ basis).Q for m, basis in zip(state["moments"], bases, strict=True)]

    def _moment(self, gradient: Tensor, side: int) -> Tensor:
        """Second moment over one side of the weight; the empty matrix where it would be too large."""
        if gradient.shape[side] > self.settings.largest:
            return gradient.new_zeros(0, 0)
        return gradient @ gradient.mT if side == 0 else gradient.mT @ gradient


def _rotate(matrix: Tensor, bases: list[Tensor]) -> Tensor:
    """Entries of ``matrix`` in the basis of its rows and of its columns."""
    if not bases:
        return matrix
    rows, columns = bases
    matrix = rows.mT @ matrix if rows.numel() else matrix
    return matrix @ columns if columns.numel() else matrix
