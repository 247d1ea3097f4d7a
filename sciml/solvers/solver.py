"""What the trainer, the weightings and the samplers may assume of a solver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sciml.problem import INTERIOR, Condition, Points, Problem, sample_batch
from sciml.solution import Solution

Batch = dict[str, Points]
"""Points by key: "interior" for the equations, and the name of every condition."""


class Trainable(nn.Module, ABC):
    """What is trained: it draws batches and returns **unreduced** residual vectors by term; it knows nothing of
    optimisers, weights or budgets.

    Attributes:
        problem: the declared problem, None where there is none.
        term_kinds: term name -> "equation" or "condition".
        term_points: term name -> key of the batch whose points the term is evaluated on.
        term_powers: term name -> p, where the term's loss is the mean of |residual|^p; 2 unless given.
        shardable: whether a process may hold a share of the parameters only: all are in children, which are called as
            modules, equally often in every process, and differentiated once by the loss.
    """

    name: ClassVar[str]
    problem: Problem | None
    term_kinds: dict[str, str]
    term_points: dict[str, str]
    term_powers: Mapping[str, float] = MappingProxyType({})
    shardable: bool = False

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @abstractmethod
    def sample(self, generator: torch.Generator, method: str = "uniform", scale: int = 1) -> Batch:
        """Draw a batch; ``scale`` multiplies the number of interior points."""

    @abstractmethod
    def residuals(self, batch: Batch) -> dict[str, Tensor]:
        """Residual vector (N,) of every term, differentiable in ``self.parameters()``."""

    def errors(self) -> dict[str, float] | None:
        """Relative error of every field, None where nothing is known to compare with."""
        return None

    def diagnostics(self) -> dict[str, float]:
        """What else is measured beside the errors, by name."""
        return {}

    @abstractmethod
    def configuration(self) -> dict[str, Any]:
        """Plain numbers and texts from which ``from_configuration`` rebuilds the untrained solver."""


class Solver(Trainable):
    """A trainable representation of the solution of one problem.

    Args:
        problem: what to solve.
        points: number of points of the equations (key "interior") and of every condition, by condition name.
    """

    problem: Problem

    def __init__(self, problem: Problem, points: dict[str, int]) -> None:
        super().__init__()
        self.problem, self.points = problem, points

    def conditions(self, problem: Problem) -> dict[str, Condition]:
        """The conditions that enter the residuals: those that ``points`` names."""
        return {name: c for name, c in problem.named_conditions().items() if name in self.points}

    def sample(self, generator: torch.Generator, method: str = "uniform", scale: int = 1) -> Batch:
        sizes = {**self.points, INTERIOR: scale * self.points[INTERIOR]}
        conditions = self.conditions(self.problem)
        return sample_batch(self.problem, conditions, sizes, generator, method, self.device, self.dtype)

    @abstractmethod
    def fields(self, points: Tensor) -> dict[str, Tensor]:
        """Every unknown and derived field (N,) at ``points`` (N, d), without a graph."""

    def errors(self) -> dict[str, float] | None:
        """Relative L2 error of every field that the exact or reference solution knows; None without either."""
        return Solution(self.problem, self).relative_l2

    def coefficients(self) -> dict[str, Tensor]:
        """Current values of the problem's unknown coefficients."""
        return {}
