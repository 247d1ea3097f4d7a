"""Labelling characteristics anew at a later time, before they cluster."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.jets import Coordinate, Jet, MultiIndexSet
from sciml.problem import Problem
from sciml.solvers.characteristics import Characteristics
from sciml.solvers.quasilinear import pulled_back

_FRESH = 0.1  # share of evenly spread labels on a circle: J starts above it


@dataclass(frozen=True)
class Relabelling:
    """What characteristics start with that go on where those of ``family`` have got to at its last time.

    The new label is the position. On a circle, new characteristics stay dense where the old ones had become so, which is
    where the solution is steep, but less dense: they start at a mean of the position that the label had reached and of
    the label itself, drifted along.
    """

    family: Characteristics

    def origin(self, labels: Tensor, indices: MultiIndexSet) -> list[Jet]:
        """Jets in the labels of where the new characteristics start."""
        family = self.family
        fresh: list[Jet] = [Coordinate(family.names, axis, labels[:, axis]) for axis in family.space]
        if len(fresh) > 1 or not family.periods:
            return fresh
        end = self._at_end(labels)
        (old,) = family.position_jets(end, indices)
        (axis,) = family.space
        corner = end[:1].clone()
        corner[:, axis] = family.low[axis]
        drift = family.motion(corner)[0][:, 0].detach() - corner[:, axis]
        return [(1 - _FRESH) * old + _FRESH * (fresh[0] + drift.sum())]

    def start(self, labels: Tensor, indices: MultiIndexSet) -> list[Jet]:
        """Jets in the labels of what the new characteristics carry at first."""
        origin, places = self.origin(labels, indices), self._at_end(labels)
        places[:, self.family.space] = torch.stack([place.value.detach() for place in origin], dim=-1)
        space = [self.family.names[axis] for axis in self.family.space]
        return [pulled_back(jet, origin, space) for jet in self.family.eulerian_jets(places, indices)]

    def _at_end(self, labels: Tensor) -> Tensor:
        end = labels.clone()
        end[:, self.family.time] = self.family.high[self.family.time]
        return end


def window_ends(problem: Problem, windows: int | Sequence[float]) -> list[float]:
    """The ends of ``windows`` equal time windows, or of those between given times; raises InputError for others."""
    time = problem.domain.time
    if isinstance(windows, int):
        if windows < 1:
            raise InputError(f"windows={windows} must be at least 1")
        return torch.linspace(time.low, time.high, windows + 1, dtype=torch.float64).tolist()
    ends = [time.low, *map(float, windows), time.high]
    if any(later <= earlier for earlier, later in itertools.pairwise(ends)):
        raise InputError(f"windows={list(windows)} must be increasing times between {time.low:g} and {time.high:g}")
    return ends
