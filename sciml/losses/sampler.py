"""Where the equations and conditions are evaluated: what a sampler is, and the plain ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.problem import Points

Batch = dict[str, Points]


class Sampled(Protocol):
    """What a sampler needs of a solver."""

    term_kinds: dict[str, str]
    term_points: dict[str, str]

    def sample(self, generator: torch.Generator, method: str = "uniform", scale: int = 1) -> Batch: ...

    def residuals(self, batch: Batch) -> dict[str, Tensor]: ...

    def parameters(self) -> Iterator[torch.nn.Parameter]: ...


@dataclass(eq=False, kw_only=True)
class Sampler(ABC):
    """Gives the batch of every step; a new one is drawn in steps that are a multiple of ``every``, and at first.

    Attributes:
        every: steps between two draws; None keeps the first batch for good.
        method: "uniform", "sobol" or "latin_hypercube".

    Raises:
        InputError: ``every`` is below 1.
    """

    every: int | None = 1
    method: str = "uniform"
    batch: Batch | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise InputError(f"every must be at least 1 step, got {self.every}")

    def __call__(self, solver: Sampled, step: int, generator: torch.Generator) -> Batch:
        if self.batch is None or (self.every is not None and step % self.every == 0):
            self.batch = self.draw(solver, generator)
        return self.batch

    @abstractmethod
    def draw(self, solver: Sampled, generator: torch.Generator) -> Batch:
        """The next batch; ``self.batch`` still holds the last one."""

    def state_dict(self) -> dict[str, Any]:
        """The current batch, as tensors by key and attribute."""
        return {"batch": {key: points.state_dict() for key, points in (self.batch or {}).items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.batch = {key: Points(**points) for key, points in state["batch"].items()} or None


@dataclass(eq=False, kw_only=True)
class Uniform(Sampler):
    """A fresh batch every ``every`` steps."""

    def draw(self, solver: Sampled, generator: torch.Generator) -> Batch:
        return solver.sample(generator, self.method)


@dataclass(eq=False, kw_only=True)
class FixedPoints(Sampler):
    """One batch, drawn in the first step and kept."""

    every: None = field(default=None, init=False, repr=False)

    def draw(self, solver: Sampled, generator: torch.Generator) -> Batch:
        return solver.sample(generator, self.method)
