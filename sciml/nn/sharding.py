"""Networks of whose weights every process holds a share (FSDP2: ``torch.distributed.fsdp.fully_shard``).

A share is a ``DTensor``, a class that takes half a second to import: only what shards a network does.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


def is_share(tensor: Tensor) -> bool:
    """Whether this process holds a part of ``tensor`` only."""
    return hasattr(tensor, "full_tensor")


def shard(network: nn.Module, mesh: DeviceMesh) -> None:
    """Leave every process of ``mesh`` its share of each parameter; each block is gathered while it computes.

    All processes must call the network equally often, and differentiate its parameters by ``backward``.
    """
    from torch.distributed.fsdp import fully_shard

    for block in blocks(network):
        fully_shard(block, mesh=mesh, reshard_after_forward=True)
    # the root too, by default gathered until a backward pass, which an evaluation does not have
    fully_shard(network, mesh=mesh, reshard_after_forward=True)


def blocks(network: nn.Module) -> Iterator[nn.Module]:
    """What the lists of modules in ``network`` hold, lists in lists opened."""
    for child in network.children():
        if isinstance(network, nn.ModuleList) and not isinstance(child, nn.ModuleList):
            yield child
        else:
            yield from blocks(child)


def outline(network: nn.Module) -> nn.Module:
    """A copy of ``network`` whose parameters have shapes and no values."""
    empty = {id(p): nn.Parameter(p.detach().to("meta"), p.requires_grad) for p in network.parameters()}
    return copy.deepcopy(network, empty)


def whole(tensor: Tensor) -> Tensor:
    """The full tensor of a share, for which all processes must ask; any other tensor is whole already."""
    return tensor.detach().full_tensor() if is_share(tensor) else tensor  # type: ignore[attr-defined]


def held(tensor: Tensor) -> Tensor:
    """What this process holds of ``tensor``."""
    return tensor.to_local() if is_share(tensor) else tensor  # type: ignore[attr-defined]


def share_like(value: Any, parameter: Tensor) -> Any:
    """This process's share of ``value``, the same part as it holds of ``parameter``. What is not a tensor of the
    parameter's shape is returned as it is, and so is everything where the parameter is whole."""
    if not (is_share(parameter) and isinstance(value, Tensor) and value.shape == parameter.shape):
        return value
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(parameter, DTensor)
    # every process has the value; a clone, or the full tensor would live as long as its part
    return distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None).clone()
