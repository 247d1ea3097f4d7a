"""Every item of the training data once an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from sciml.errors import InputError
from sciml.losses import Batch, Sampler
from sciml.training import distributed


@dataclass(eq=False, kw_only=True)
class Epochs(Sampler):
    """Batches of all items in a new random order every epoch; a rest that does not fill a batch is left out.

    The solver has ``len(solver)`` items and ``solver.batch_of(rows, draws)``, the batch of the items number ``rows`` (N,)
    about which ``draws`` (N,) in [0, 1) is all that is random. Both follow from the seed and the number of the batch
    alone, and the processes of a distributed run share every batch, so their number does not change it.

    Attributes:
        size: items a step, in all processes together.
        seed: of the order.
        drawn: batches so far.

    Raises:
        InputError: ``size`` is below 1, or (in the first step) the processes cannot share a batch equally.
    """

    size: int = 16
    seed: int = 0
    drawn: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size < 1:
            raise InputError(f"size must be at least 1, got {self.size}")
        self._epoch = -1

    def steps(self, items: int) -> int:
        """Steps of an epoch of so many items."""
        return max(1, items // self.size)

    def draw(self, solver: Any, generator: torch.Generator) -> Batch:
        items = len(solver)
        epoch, number = divmod(self.drawn, self.steps(items))
        if epoch != self._epoch:
            random = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
            self._epoch, self._order = epoch, torch.randperm(items, generator=random)
            self._draws = torch.rand(items, generator=random)
        size, processes = min(self.size, items), distributed.world_size()
        if size % processes:
            raise InputError(f"a batch of {size} items cannot be shared by {processes} processes; take a multiple of that")
        share = size // processes
        begin = number * size + distributed.rank() * share
        self.drawn += 1
        return solver.batch_of(self._order[begin : begin + share], self._draws[begin : begin + share])

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": self.drawn}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.drawn = state["drawn"]
