"""Activation functions; all but leaky_relu are smooth, since a residual differentiates the network more than once."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sciml.errors import InputError, nearest


class Sine(nn.Module):
    """``sin(frequency * z)`` (Sitzmann et al., arXiv 2006.09661)."""

    def __init__(self, frequency: float = 1.0) -> None:
        super().__init__()
        self.frequency = frequency

    def forward(self, z: Tensor) -> Tensor:
        return torch.sin(self.frequency * z)

    def extra_repr(self) -> str:
        return f"frequency={self.frequency}"


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "sine": Sine,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}
"""Activations by name."""


def activation_factory(activation: str | nn.Module) -> Callable[[], nn.Module]:
    """Makes a new activation module at every call: by name, or as a copy of ``activation``, which may have weights.

    Raises:
        InputError: the name is unknown.
    """
    if isinstance(activation, nn.Module):
        return lambda: copy.deepcopy(activation)
    if activation not in ACTIVATIONS:
        raise InputError(f"there is no activation {activation!r}; {nearest(str(activation), ACTIVATIONS)}")
    return ACTIVATIONS[activation]
