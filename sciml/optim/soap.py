"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024, arXiv 2409.11321, algorithm 3)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciml.optim.first_order import FirstOrder, check_learning_rate
from sciml.optim.optimiser import Objective, Step, loss_and_gradient


@dataclass(frozen=True)
class SOAP:
    """Adam in the slowly changing eigenbasis of the gradients' second moments.

    Args:
        betas: averaging of the gradient, and of its squares and second moments.
        frequency: iterations between two refinements of the basis; 2 suits physics-informed losses (Wang et al. 2025,
            arXiv 2502.00604).
        largest: sides of a weight beyond this size keep the identity basis. Vectors always do, so that they see Adam.

    Raises:
        InputError: a learning rate that is not positive.
    """

    learning_rate: float = 3e-3
    betas: tuple[float, float] = (0.95, 0.95)
    epsilon: float = 1e-8
    frequency: int = 10
    largest: int = 4096

    def __post_init__(self) -> None:
        check_learning_rate(self)

    def build(self, parameters: list[Tensor]) -> FirstOrder:
        return _SOAP(parameters, self)


class _SOAP(FirstOrder):
    def __init__(self, parameters: list[Tensor], settings: SOAP) -> None:
        super().__init__(parameters)
        self._settings, self._learning_rate = settings, settings.learning_rate
        self._states: list[dict[str, Any]] = [{} for _ in parameters]

    def scale_learning_rate(self, factor: float) -> None:
        self._learning_rate = factor * self._settings.learning_rate

    def step(self, objective: Objective) -> Step:
        loss, gradients = loss_and_gradient(objective)
        with torch.no_grad():
            for parameter, gradient, state in zip(self.parameters, gradients, self._states, strict=True):
                self._update(parameter, gradient, state)
        return Step(loss)

    def _update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any]) -> None:
        first, second = self._settings.betas
        if not state:
            moments = [(1 - second) * self._moment(gradient, side) for side in range(2)] if gradient.ndim == 2 else []
            state["count"] = 0
            state["mean"], state["square"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
            state["moments"], state["bases"] = moments, [torch.linalg.eigh(moment).eigenvectors for moment in moments]
            if moments:
                return  # the basis of the first gradient says nothing about that gradient
        state["count"] += 1
        bases = state["bases"]
        mean = state["mean"].lerp_(gradient, 1 - first)
        square = state["square"].lerp_(_rotate(gradient, bases).square(), 1 - second)
        spread = (square / (1 - second ** state["count"])).sqrt().add_(self._settings.epsilon)
        direction = _rotate(_rotate(mean, bases) / spread, [basis.mT for basis in bases])
        parameter.sub_(direction, alpha=self._learning_rate / (1 - first ** state["count"]))

        moments = state["moments"]
        for side, moment in enumerate(moments):
            moment.lerp_(self._moment(gradient, side), 1 - second)
        if state["count"] % self._settings.frequency == 0:  # one power iteration keeps up with the slow change
            state["bases"] = [torch.linalg.qr(m @ basis).Q for m, basis in zip(moments, bases, strict=True)]

    def _moment(self, gradient: Tensor, side: int) -> Tensor:
        """Second moment over one side of the weight; the empty matrix where it would be too large."""
        if gradient.shape[side] > self._settings.largest:
            return gradient.new_zeros(0, 0)
        return gradient @ gradient.mT if side == 0 else gradient.mT @ gradient

    def state_dict(self) -> dict[str, Any]:
        return {"states": self._states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._states = copy.deepcopy(state["states"])


def _rotate(matrix: Tensor, bases: list[Tensor]) -> Tensor:
    """Entries of ``matrix`` in the basis of its rows and of its columns."""
    if not bases:
        return matrix
    rows, columns = bases
    matrix = rows.mT @ matrix if rows.numel() else matrix
    return matrix @ columns if columns.numel() else matrix
