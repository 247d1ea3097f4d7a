"""Which derivatives an equation needs: found by running it once on jets that record what they are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sciml.jets.jet import Field, Jet
from sciml.jets.multi_index import Group, MultiIndex


@dataclass(frozen=True)
class Asked:
    """The derivatives of one field that an equation uses.

    Attributes:
        apart: those used by themselves.
        sums: groups of which only the sum is used.
    """

    apart: set[MultiIndex] = field(default_factory=set)
    sums: set[Group] = field(default_factory=set)

    @property
    def indices(self) -> set[MultiIndex]:
        return self.apart.union(*self.sums)


def record(function: Callable[[list[Jet]], Any], names: Sequence[str], fields: int, like: Tensor) -> list[Asked]:
    """The derivatives that ``function`` asks of each of its ``fields`` jets.

    Args:
        function: called with one jet for every field; its residuals must be evaluated inside (a jet is lazy).
        names: coordinates.
        fields: number of unknowns.
        like: tensor (N,) whose shape, type and device the recorded values take.
    """
    asked = [Asked() for _ in range(fields)]

    def value(order: int) -> Tensor:
        # Positive and away from zero: logarithms and quotients of unknowns stay finite.
        return torch.linspace(0.5, 1.5, len(like), dtype=like.dtype, device=like.device) / (1 + order)

    def recorded(row: int) -> Jet:
        def partial(index: MultiIndex) -> Tensor:
            asked[row].apart.add(index)
            return value(sum(index))

        def partial_sum(group: Group) -> Tensor:
            asked[row].sums.add(group)
            return len(group) * value(sum(group[0]))

        return Field(names, partial, partial_sum)

    function([recorded(row) for row in range(fields)])
    return asked
