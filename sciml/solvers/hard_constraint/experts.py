"""The residual rows of experts: jets of the bases at the experts' points, and the problem's equations on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import sqrt

import torch
from torch import Tensor

from sciml.jets import Field, Jet
from sciml.problem import Points, Problem
from sciml.solvers.hard_constraint.layer import Rows
from sciml.solvers.hard_constraint.terms import Group


@dataclass(frozen=True)
class ExpertTerm:
    """One group of terms at points of all experts of all instances.

    Attributes:
        group: the equations, or a condition.
        points: where, in the order of ``places``.
        places: numbers of these grid points, (B, K, m), or (B, 1, m) where all experts have the same.
        scales: factor (N,) of every term's residuals at these points, or a number, by name.
    """

    group: Group
    points: Points
    places: Tensor
    scales: Mapping[str, Tensor | float]

    def rows(
        self,
        instances: slice,
        experts: slice,
        problems: Sequence[Problem],
        bases: Mapping[str, Jet],
        offsets: Mapping[str, Jet],
    ) -> Rows:
        """The rows of some experts of some instances.

        Args:
            bases, offsets: jets of the bases (B, N, G) and of what is added to their combination (B, G), by unknown.
        """
        same = self.places.shape[1] == 1
        places = self.places[instances, slice(0, 1) if same else experts]
        count, flat = places.shape[1], places.flatten(1)

        def entry(name: str, index: tuple[int, ...]) -> Tensor:
            values = bases[name].partial(index)[instances]
            taken = values.gather(2, flat[:, None].expand(-1, values.shape[1], -1))
            return taken.mT.unflatten(1, (count, -1))

        def offset(name: str, index: tuple[int, ...]) -> Tensor:
            return offsets[name].partial(index)[instances].gather(1, flat).unflatten(1, (count, -1))

        entries = torch.stack([entry(*e) for e in self.group.entries])
        offset_entries = torch.stack([offset(*e) for e in self.group.entries])
        evaluate = _Evaluator(self, instances, experts, problems)
        return Rows(entries, offset_entries, evaluate, affine=same and self.group.affine)


class _Evaluator:
    """The residuals at the points of some experts, which are numbered by instance first."""

    def __init__(self, term: ExpertTerm, instances: slice, experts: slice, problems: Sequence[Problem]) -> None:
        self.term, self.problems = term, problems
        self.first, self.count = (instances.start, experts.start), experts.stop - experts.start
        self.slots = {entry: row for row, entry in enumerate(term.group.entries)}
        self.last: tuple[list[int], list[_Run]] = ([], [])

    def __call__(self, values: Tensor, experts: Tensor) -> Tensor:
        group, found = self.term.group, []
        for run in self._runs(experts.tolist(), values.device):
            flat = values[:, run.part].flatten(1)
            fields = {name: self._field(name, flat, run.problem) for name in run.problem.unknowns}
            residuals = group.evaluate(run.problem, fields, run.points).values()
            scaled = [scale * residual for scale, residual in zip(run.scales, residuals, strict=True)]
            found.append(torch.stack(scaled).unflatten(1, (-1, values.shape[2])))
        return torch.cat(found, 1)

    def _runs(self, experts: list[int], device: torch.device) -> list[_Run]:
        """What is evaluated at once: the experts of one instance."""
        if experts != self.last[0]:
            runs, start = [], 0
            for instance, members in groupby(experts, lambda expert: expert // self.count):
                own = [expert % self.count for expert in members]
                runs.append(self._run(self.first[0] + instance, torch.tensor(own, device=device), start))
                start += len(own)
            self.last = experts, runs
        return self.last[1]

    def _run(self, instance: int, own: Tensor, start: int) -> _Run:
        _, count, m = self.term.places.shape
        blocks = instance * count + (own + self.first[1] if count > 1 else torch.zeros_like(own))
        places = (blocks[:, None] * m + torch.arange(m, device=own.device)).flatten()
        scales = [scale[places] if isinstance(scale, Tensor) else scale for scale in self.term.scales.values()]
        part = slice(start, start + len(own))
        return _Run(part, self.problems[instance], self.term.points[places], [scale / sqrt(m) for scale in scales])

    def _field(self, name: str, values: Tensor, problem: Problem) -> Jet:
        return Field(problem.coordinates, lambda index: values[self.slots[name, index]])


@dataclass(frozen=True)
class _Run:
    part: slice
    problem: Problem
    points: Points
    scales: list[Tensor | float]
