"""What the quasi-Newton methods share: one line search an iteration, recovery from a failed one, reasons to stop."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.optim.line_search import Trial, strong_wolfe
from sciml.optim.optimiser import Objective, Optimiser, Step, assign, flatten, loss_and_gradient

_POSITIVE = 1e-10  # cosine between step and gradient change from which a pair is learned


@dataclass(frozen=True, kw_only=True)
class QuasiNewtonSettings:
    """When a quasi-Newton method stops.

    Args:
        gradient_tolerance: once no entry of the gradient is larger.
        loss_tolerance, patience: once so many iterations together lowered the loss by this fraction or less.
        evaluations: the most losses and gradients that one line search may take.

    Raises:
        InputError: ``patience`` or ``evaluations`` is below 1.
    """

    gradient_tolerance: float = 1e-12
    loss_tolerance: float = 1e-9
    patience: int = 50
    evaluations: int = 25

    def __post_init__(self) -> None:
        for name in ("patience", "evaluations"):
            if getattr(self, name) < 1:
                raise InputError(f"{type(self).__name__}({name}={getattr(self, name)!r}) must be at least 1")


class QuasiNewton(Optimiser):
    """Steps along ``-H gradient``, where H is learned from the steps s and the gradient changes y.

    When the line search fails, or the direction does not descend, H is forgotten and steepest descent is tried; only
    if that fails too does the method stop. Between iterations on one function the last loss and gradient are carried.
    """

    def __init__(self, parameters: Sequence[Tensor], settings: QuasiNewtonSettings) -> None:
        super().__init__(parameters)
        self._settings = settings
        self._losses: deque[float] = deque(maxlen=settings.patience + 1)
        self._current: Trial | None = None
        self._version: int | None = None

    @abstractmethod
    def _direction(self, gradient: Tensor) -> Tensor:
        """``-H gradient`` (n,)."""

    @abstractmethod
    def _learn(self, s: Tensor, y: Tensor, gradient: Tensor, length: float) -> None:
        """Update H from the step s = length * direction from where the gradient was ``gradient``, y its change."""

    @abstractmethod
    def _forget(self) -> None:
        """Reset H to the identity."""

    @property
    @abstractmethod
    def _informed(self) -> bool:
        """Whether H is something else than the identity."""

    def step(self, objective: Objective) -> Step:
        start = self._start(objective)
        if not math.isfinite(start.loss):
            return Step(start.loss, "the loss or its gradient is not finite")
        largest, tolerance = float(start.gradient.abs().max()), self._settings.gradient_tolerance
        if largest <= tolerance:
            return Step(start.loss, f"gradient below tolerance ({largest:.1e} <= {tolerance:.1e})")

        direction = self._direction(start.gradient)
        trial = self._search(objective, start, direction)
        if trial is None and self._informed:
            self._forget()
            direction = -start.gradient
            trial = self._search(objective, start, direction)
        if trial is None:
            return Step(start.loss, "line search found no decrease along steepest descent")

        s, y = trial.length * direction, trial.gradient - start.gradient
        if s @ y > _POSITIVE * s.norm() * y.norm():
            self._learn(s, y, start.gradient, trial.length)
        self._current = trial
        self._losses.append(trial.loss)
        return Step(trial.loss, self._stagnation(), {"step_length": trial.length})

    def _start(self, objective: Objective) -> Trial:
        if self._current is None or self._version != objective.version:
            self._current = _evaluate(objective, None, 0.0)
            self._version = objective.version
            self._losses.clear()
            self._losses.append(self._current.loss)
        return self._current

    def _search(self, objective: Objective, start: Trial, direction: Tensor) -> Trial | None:
        """Leaves the parameters, and the objective's latest evaluation, at the step that it returns."""
        slope = float(start.gradient @ direction)
        if not slope < 0:
            return None
        origin = flatten(self.parameters)
        last = start

        def evaluate(length: float) -> Trial:
            nonlocal last
            assign(self.parameters, torch.add(origin, direction, alpha=length))
            last = _evaluate(objective, direction, length)
            return last

        beginning = Trial(0.0, start.loss, slope, start.gradient)
        found = strong_wolfe(evaluate, beginning, self._first_length(direction, slope), self._settings.evaluations)
        if found is None:
            assign(self.parameters, origin)
        return found if found is None or found is last else evaluate(found.length)

    def _first_length(self, direction: Tensor, slope: float) -> float:
        return 1.0 if self._informed else min(1.0, 1.0 / float(direction.abs().sum()))

    def _stagnation(self) -> str | None:
        if len(self._losses) <= self._settings.patience:
            return None
        fall = self._losses[0] - self._losses[-1]
        if fall > self._settings.loss_tolerance * abs(self._losses[0]):
            return None
        return f"loss change below tolerance over {len(self._losses) - 1} iterations"

    def state_dict(self) -> dict[str, Any]:
        current = None if self._current is None else [self._current.loss, self._current.gradient]
        return {"current": current, "version": self._version, "losses": list(self._losses)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        loss, gradient = state["current"] or (0.0, None)
        self._current = None if gradient is None else Trial(0.0, loss, 0.0, gradient.to(self.parameters[0]))
        self._version = state["version"]
        self._losses.clear()
        self._losses.extend(state["losses"])


def _evaluate(objective: Objective, direction: Tensor | None, length: float) -> Trial:
    loss, gradients = loss_and_gradient(objective)
    gradient = flatten(gradients)
    slope = gradient @ (gradient if direction is None else direction)
    loss, slope = torch.stack([loss, slope]).tolist()
    return Trial(length, loss if math.isfinite(slope) else math.inf, slope, gradient)
