"""Which derivatives an equation needs: found by running it once on jets that record what they are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from sciml.jets.jet import Field, Jet
from sciml.jets.multi_index import MultiIndex


def record(
    function: Callable[[list[Jet]], Any], names: Sequence[str], fields: int, like: Tensor
) -> list[set[MultiIndex]]:
    """The multi-indices that ``function`` asks of each of its ``fields`` jets.

    Args:
        function: called with one jet for every field; its residuals must be evaluated inside (a jet is lazy).
        names: coordinates.
        fields: number of unknowns.
        like: tensor (N,) whose shape, type and device the recorded values take.
    """
    asked: list[set[MultiIndex]] = [set() for _ in range(fields)]

    def field(row: int) -> Jet:
        def partial(index: MultiIndex) -> Tensor:
            asked[row].add(index)
            # Positive and away from zero: logarithms and quotients of unknowns stay finite.
            return torch.linspace(0.5, 1.5, len(like), dtype=like.dtype, device=like.device) / (1 + sum(index))

        return Field(names, partial)

    function([field(row) for row in range(fields)])
    return asked
