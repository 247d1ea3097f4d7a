"""Experts spread over the processes that torchrun started; everything here does nothing in a single one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
import torch.distributed as dist
from torch import Tensor

from sciml.optim.block_sparse import Rows

_ALONE: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def alone() -> Iterator[None]:
    """Let this process do within the block all by itself what the others may not take part in."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def _active() -> bool:
    return not _ALONE.get() and dist.is_available() and dist.is_initialized()


def rank() -> int:
    return dist.get_rank() if _active() else 0


def size() -> int:
    return dist.get_world_size() if _active() else 1


def summed(values: Tensor) -> Tensor:
    """The sum of all processes' ``values``."""
    if size() > 1:
        dist.all_reduce(values)
    return values


def from_main(value: float, device: torch.device) -> float:
    """The main process's ``value``, so that all decide alike."""
    if size() == 1:
        return value
    tensor = torch.tensor(value, dtype=torch.float64, device=device)
    dist.broadcast(tensor, 0)
    return float(tensor)


def gathered(rows: Sequence[Rows], like: Tensor) -> list[Rows]:
    """The rows of all processes, the same list on each."""
    if size() == 1:
        return list(rows)
    layouts: list[list[tuple[int, dict[int, int]]]] = [[] for _ in range(size())]
    own = [(len(group.right), {block: m.shape[1] for block, m in group.matrices.items()}) for group in rows]
    dist.all_gather_object(layouts, own)
    parts = [torch.cat([*group.matrices.values(), group.right], dim=1).flatten() for group in rows]
    lengths = [sum(height * (sum(widths.values()) + 1) for height, widths in layout) for layout in layouts]
    packed = like.new_zeros(max(lengths))
    packed[: lengths[rank()]] = torch.cat([like.new_zeros(0), *parts])
    received = [torch.empty_like(packed) for _ in layouts]
    dist.all_gather(received, packed)
    return [group for values, layout in zip(received, layouts, strict=True) for group in _unpacked(values, layout)]


def _unpacked(values: Tensor, layout: list[tuple[int, dict[int, int]]]) -> list[Rows]:
    result, place = [], 0
    for height, widths in layout:
        width = sum(widths.values()) + 1
        group = values[place : place + height * width].reshape(height, width)
        place += height * width
        *matrices, right = group.split([*widths.values(), 1], dim=1)
        result.append(Rows(dict(zip(widths, matrices, strict=True)), right))
    return result
