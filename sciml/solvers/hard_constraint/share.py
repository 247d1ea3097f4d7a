"""Problems spread over the processes of torchrun."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from sciml.problem import Points


def processes() -> tuple[int, int]:
    """Number of this process and of all; (0, 1) outside torchrun."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def shared(total: int, solve: Callable[[slice], Tensor]) -> Tensor:
    """The results (total, ...) of ``solve`` for consecutive parts of ``total`` problems, one part a process.

    What reaches the results backwards is averaged over the processes, and the part of a process's own multiplied by
    their number: the mean over the processes, which the trainer takes, is then the gradient of a loss that every process
    computes alike, though each sees the part of it that its own problems account for. Backwards, too, all must take
    part: what ``solve`` returns has a graph even for no problems.
    """
    rank, world = processes()
    ends = [total * i // world for i in range(world + 1)]
    if world == 1:
        return solve(slice(0, total))
    own = solve(slice(ends[rank], ends[rank + 1]))
    sizes = [end - start for start, end in pairwise(ends)]
    return _Gather.apply(own, sizes, rank)


def draw_alike(generator: torch.Generator, device: torch.device) -> None:
    """Put ``generator`` into the state of the main process's, so that all draw the same; ``device`` is the group's."""
    if processes()[1] > 1:
        state = generator.get_state().to(device)
        dist.broadcast(state, 0)
        generator.set_state(state.cpu())


def own_part(points: Points) -> Points:
    """This process's part (N / processes) of points (N) that divide evenly among all."""
    rank, world = processes()
    size = len(points) // world
    return points[rank * size : (rank + 1) * size]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, sizes: list[int], rank: int) -> Tensor:
        ctx.sizes, ctx.rank = sizes, rank
        largest = max(sizes)
        padded = own.new_zeros(largest, *own.shape[1:])
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        total = upstream.contiguous().clone()  # the mean over the processes times their number
        dist.all_reduce(total)
        return total.split(ctx.sizes)[ctx.rank], None, None
