"""Training pairs: a snapshot of a trajectory, and a later one that is to be predicted from it."""

from __future__ import annotations

import torch
from torch import Tensor

from sciml.data import Trajectories
from sciml.errors import InputError

IN_MEMORY = 2**32  # bytes up to which all fields are read once and for all


class Pairs:
    """All pairs of snapshots of ``samples`` trajectories that are at most ``lead_steps`` apart (None: any), numbered.

    Steady fields have a single snapshot, paired with itself.

    Raises:
        InputError: ``lead_steps`` is out of range.
    """

    def __init__(self, samples: int, times: int, lead_steps: int | None = None) -> None:
        furthest = times - 1 if lead_steps is None else lead_steps
        if times > 1 and not 1 <= furthest < times:
            raise InputError(f"lead_steps must be between 1 and {times - 1}, the steps of a trajectory, got {lead_steps}")
        start, end = torch.meshgrid(torch.arange(times), torch.arange(times), indexing="ij")
        kept = (end - start >= min(1, times - 1)) & (end - start <= furthest)
        self.start, self.end = start[kept], end[kept]
        self.samples, self.furthest = samples, furthest

    def __len__(self) -> int:
        return self.samples * len(self.start)

    def __getitem__(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Number of the sample, and of the first and the second snapshot, of the pairs number ``rows``; each (N,)."""
        kind = rows % len(self.start)
        return rows // len(self.start), self.start[kind], self.end[kind]


class Snapshots:
    """Single snapshots of the first ``samples`` of ``data``: from memory where they fit, otherwise from the file."""

    def __init__(self, data: Trajectories, samples: int, memory: int = IN_MEMORY) -> None:
        self.data = data
        size = 4 * samples * len(data.times) * len(data.channels)
        for axis in data.grid.values():
            size *= len(axis)
        self.stored = data.read(slice(0, samples)) if size <= memory else None
        self.inputs = data.inputs(slice(0, samples)) if data.input_channels and size <= memory else None

    def __call__(self, samples: Tensor, times: Tensor) -> Tensor:
        """The fields (N, channels, *grid) of trajectory ``samples`` (N,) at snapshot ``times`` (N,)."""
        if self.stored is not None:
            return self.stored[samples, times]
        found = [self.data.read([s], [t])[0, 0] for s, t in zip(samples.tolist(), times.tolist(), strict=True)]
        return torch.stack(found)

    def input_fields(self, samples: Tensor) -> Tensor:
        """The inputs (N, input channels, *grid)."""
        return self.data.inputs(samples) if self.inputs is None else self.inputs[samples]
