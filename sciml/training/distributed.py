"""Data-parallel training under torchrun: every process draws its own points; losses and gradients are averaged.

Every process holds all parameters (``averaged_gradients``) or its share of them (``sharded_parameters``).

Everything here does nothing in a single process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sciml.nn.sharding import outline, shard, whole

BUCKET = 2**25  # bytes of gradients that are averaged together


def rank() -> int:
    """Number of this process, 0 in the main one."""
    return dist.get_rank() if _active() else int(os.environ.get("RANK", "0"))


def world_size() -> int:
    return dist.get_world_size() if _active() else 1


def _active() -> bool:
    return dist.is_available() and dist.is_initialized()


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the group that torchrun's environment describes, unless joined already, and leave it at the end."""
    if _active() or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    dist.init_process_group(dist.get_default_backend_for_device(device))
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def averaged_gradients(module: nn.Module) -> Iterator[None]:
    """Start all processes from the main one's parameters, and average every gradient that is computed meanwhile.

    Hooks on the parameters do it, so that optimisers and weightings alike see averages: of ``torch.autograd.grad``, which
    returns when all are complete, while the rest of a backward pass goes on meanwhile.
    """
    if world_size() == 1:
        yield
        return
    _start_alike(module)
    averaging = _Averaging()
    hooks = [p.register_hook(averaging) for p in module.parameters() if p.requires_grad]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def sharded_parameters(module: nn.Module) -> Iterator[None]:
    """Start all processes from the main one's parameters, leave each its share of them meanwhile (FSDP2, which also
    averages the gradients), and in the end put whole modules in the place of the children of ``module``.

    After an exception the shares remain: a process that waited for the others might wait in vain.
    """
    if world_size() == 1:
        yield
        return
    from torch.distributed.device_mesh import init_device_mesh

    _start_alike(module)
    device = next(module.parameters()).device
    children = dict(module.named_children())
    outlines = {name: outline(child) for name, child in children.items()}
    with torch.accelerator.device_index(device.index):
        mesh = init_device_mesh(device.type, (world_size(),))
        for child in children.values():
            shard(child, mesh)
        yield
        for name, child in children.items():
            values = {key: whole(tensor) for key, tensor in child.state_dict().items()}
            outlines[name].load_state_dict(values, assign=True)
            setattr(module, name, outlines[name])


class _Averaging:
    """A hook that averages gradients over the processes in the background, until the end of the backward pass.

    They travel together, ``BUCKET`` bytes at a time: every exchange costs a wait of its own.
    """

    def __init__(self) -> None:
        self.bucket: list[Tensor] = []
        self.filled = 0  # bytes
        self.pending: list[tuple[Any, Tensor, list[Tensor]]] = []

    def __call__(self, gradient: Tensor) -> Tensor:
        share = gradient.detach().clone(memory_format=torch.contiguous_format)
        # By every hook, not the first: a pass that failed leaves something pending.
        torch.autograd.Variable._execution_engine.queue_callback(self._finish)
        if self.bucket and self.bucket[0].dtype != share.dtype:
            self._send()
        self.bucket.append(share)
        self.filled += share.nbytes
        if self.filled >= BUCKET:
            self._send()
        return share

    def _send(self) -> None:
        flat = torch.cat([share.flatten() for share in self.bucket])
        self.pending.append((dist.all_reduce(flat, async_op=True), flat, self.bucket))
        self.bucket, self.filled = [], 0

    def _finish(self) -> None:
        if self.bucket:
            self._send()
        for work, flat, shares in self.pending:
            work.wait()
            flat /= world_size()
            parts = flat.split([share.numel() for share in shares])
            for share, part in zip(shares, parts, strict=True):
                share.copy_(part.view_as(share))
        self.pending.clear()


def _start_alike(module: nn.Module) -> None:
    for tensor in [*module.parameters(), *module.buffers()]:
        dist.broadcast(tensor.detach(), 0)


def average(tensor: Tensor) -> Tensor:
    """Mean over the processes, without a graph."""
    if world_size() == 1:
        return tensor.detach()
    total = tensor.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total / world_size()


def with_average_value(loss: Tensor) -> Tensor:
    """The mean of ``loss`` over the processes as value, this process's share as gradient."""
    return loss if world_size() == 1 else loss + (average(loss) - loss.detach())


def from_main(values: Sequence[float], device: torch.device) -> list[float]:
    """The main process's ``values``, so that all processes decide alike."""
    if world_size() == 1:
        return list(values)
    tensor = torch.tensor(values, dtype=torch.float32, device=device)
    dist.broadcast(tensor, 0)
    return tensor.tolist()


def gather(value: Any) -> list[Any]:
    """Every process's ``value`` by rank; complete on the main process only."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    dist.gather_object(value, values if rank() == 0 else None)
    return values
