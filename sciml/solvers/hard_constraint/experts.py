"""The residual rows of experts: jets of the bases at the experts' points, and the problem's equations on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import sqrt

import torch
from torch import Tensor

from sciml.jets import Field, Jet
from sciml.problem import Points, Problem
from sciml.solvers.hard_constraint.layer import Rows
from sciml.solvers.hard_constraint.terms import Entry, Group


@dataclass(frozen=True)
class ExpertTerm:
    """One group of terms at the points of all experts of all instances.

    Attributes:
        group: the equations, or a condition.
        points: where, in the order of (B, K, m).
        places: numbers (B, K, m) of these grid points.
        scales: factor (N,) of every term's residuals at these points, or a number, by name.
    """

    group: Group
    points: Points
    places: Tensor
    scales: Mapping[str, Tensor | float]

    def rows(
        self, part: slice, coupled: bool, problems: Sequence[Problem], bases: Mapping[str, Jet], offsets: Mapping[str, Jet]
    ) -> Rows:
        """The rows of the least-squares problems in ``part``: of single experts, or of all K of an instance if ``coupled``.

        Args:
            bases, offsets: jets of the bases (B, N, G) and of what is added to their combination (B, G), by unknown.
        """
        b, k, m = self.places.shape
        lead = (b, k) if coupled else (b * k, 1)
        places = self.places.reshape(b, 1, k * m)

        def entry(name: str, index: tuple[int, ...]) -> Tensor:
            values = bases[name].partial(index)
            return values.gather(2, places.expand(-1, values.shape[1], -1)).mT.reshape(*lead, m, -1)[part]

        def offset(name: str, index: tuple[int, ...]) -> Tensor:
            return offsets[name].partial(index).gather(1, places[:, 0]).reshape(*lead, m)[part]

        entries = torch.stack([entry(*e) for e in self.group.entries])
        offset_entries = torch.stack([offset(*e) for e in self.group.entries])
        return Rows(entries, offset_entries, self._evaluator(part, lead, problems))

    def _evaluator(self, part: slice, lead: tuple[int, int], problems: Sequence[Problem]) -> Callable[[Tensor], Tensor]:
        m, group = self.places.shape[2], self.group
        slots = {entry: row for row, entry in enumerate(group.entries)}
        chunk = lead[1] * m
        instances = [e * len(problems) // lead[0] for e in range(lead[0])][part]
        runs, start = [], 0
        for instance, members in groupby(instances):
            count = len(list(members))
            first = (part.start + start) * chunk
            places = slice(first, first + count * chunk)
            scales = [s[places] if isinstance(s := self.scales[term], Tensor) else s for term in group.terms]
            runs.append((problems[instance], slice(start, start + count), self.points[places], scales))
            start += count

        def evaluate(values: Tensor) -> Tensor:
            found = []
            for problem, run, points, scales in runs:
                flat = values[:, run].flatten(1)
                fields = {name: _field(name, flat, slots, problem) for name in problem.unknowns}
                residuals = group.evaluate(problem, fields, points).values()
                scaled = [scale / sqrt(m) * residual for scale, residual in zip(scales, residuals, strict=True)]
                found.append(torch.stack(scaled).unflatten(1, values[0, run].shape))
            return torch.cat(found, 1)

        return evaluate


def _field(name: str, values: Tensor, slots: Mapping[Entry, int], problem: Problem) -> Jet:
    return Field(problem.coordinates, lambda index: values[slots[name, index]])
