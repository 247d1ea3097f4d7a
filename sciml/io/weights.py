"""Weights as safetensors: no code is run by reading them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from sciml.errors import InputError


def save_weights(module: nn.Module, path: Path) -> None:
    """Write every tensor of ``module.state_dict()``."""
    from safetensors.torch import save_file

    state = module.state_dict()
    save_file({name: value.detach().cpu().contiguous().clone() for name, value in state.items()}, path)


def load_weights(module: nn.Module, path: Path) -> None:
    """Read what ``save_weights`` wrote into ``module``, which takes the floating-point type of the file.

    Raises:
        InputError: no such file, or the file belongs to another network.
    """
    from safetensors.torch import load_file

    if not path.is_file():
        raise InputError(f"there are no weights at {path}; give the folder of a finished run")
    state: dict[str, Tensor] = load_file(path)
    kinds = {value.dtype for value in state.values() if value.is_floating_point()}
    if len(kinds) == 1:
        module.to(kinds.pop())
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        detail = " ".join(str(error).split())
        raise InputError(f"the weights at {path} are of another network: {detail}") from error


def place_of(module: object) -> tuple[torch.device, torch.dtype]:
    """Device and floating-point type that ``module`` computes in; CPU and float64 when it has no tensors."""
    if isinstance(module, nn.Module):
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.float64
