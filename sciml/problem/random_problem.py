"""Problems with random data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

import torch
from torch import Tensor

from sciml.problem.problem import Problem


@dataclass(frozen=True)
class RandomProblem(Problem):
    """A family of problems: the data of each one, such as its initial values, are drawn from the seed in its settings.

    So every instance is a problem like any other, which its settings bring back. A subclass is a frozen dataclass too. Data
    sets of a problem that is periodic in space and of first order in time are computed from its equations; any other one
    gives ``simulate(instances, points, times, refine, device) -> Simulation``.

    Args:
        seed: of the random data.

    Attributes:
        channels: the fields that data sets hold, with the group of each: errors are relative by group.
            All unknowns by default, each a group of its own.
        warm_up: the time at which trajectories begin, for flows that have to forget how they started.
        courant: bounds the time step, see ``sciml.reference.solve_periodic``.
    """

    seed: int = field(default=0, kw_only=True)

    channels: ClassVar[Mapping[str, str]] = {}
    warm_up = 0.0
    courant: ClassVar[float] = 1.0

    def sample(self, generator: torch.Generator) -> Self:
        """Another instance, drawn with ``generator``."""
        seed = torch.randint(2**31, (), generator=generator, device=generator.device)
        return dataclasses.replace(self, seed=int(seed))

    def generator(self) -> torch.Generator:
        """A generator that draws this instance's data, always the same ones."""
        return torch.Generator().manual_seed(self.seed)


@dataclass(frozen=True)
class Simulation:
    """Instances of a problem, solved together on a grid.

    Attributes:
        fields: by channel (instances, times, *grid); one time when the problem is steady.
        axes: coordinates (n,) of the grid by name.
        periodic: for every axis, whether the fields repeat along it.
        inputs: of a steady map, by channel (instances, *grid).
    """

    fields: Mapping[str, Tensor]
    axes: Mapping[str, Tensor]
    periodic: tuple[bool, ...]
    inputs: Mapping[str, Tensor] = field(default_factory=dict)
