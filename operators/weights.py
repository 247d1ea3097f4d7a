"""Weights: drawn from a generator that the caller passes in (never from torch's global random state), and counted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

LINEAR_MAPS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


@runtime_checkable
class DrawsWeights(Protocol):
    """A module with parameters of its own, or with a say over those of its children, which are drawn before it."""

    def draw_weights(self, generator: torch.Generator) -> None: ...


@contextmanager
def drawn_from(generator: torch.Generator | None, network: nn.Module) -> Iterator[None]:
    """Layers of ``network`` created in this block are laid out without values, then drawn by :func:`initialise`."""
    with torch.device("meta"):
        yield
    network.to_empty(device=torch.get_default_device())
    initialise(network, generator)


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draw every weight of ``network`` anew, as its constructor does; the same generator state gives the same network
    on any device. ``generator`` None: a fresh one with seed 0. Parameters on the meta device are left alone.

    Linear layers and convolutions are uniform within 1/sqrt(fan in), torch's own rule; if the network has a
    ``weight_deviation``, they are normal with that standard deviation and zero bias, transposed convolutions excepted.
    """
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    deviation: float | None = getattr(network, "weight_deviation", None)
    for module in reversed(list(network.modules())):
        if isinstance(module, DrawsWeights):
            module.draw_weights(generator)
        elif isinstance(module, LINEAR_MAPS):
            bound = 1 / math.sqrt(module.weight[0].numel())
            if deviation is None or isinstance(module, nn.ConvTranspose2d):
                draw_uniform(module.weight, bound, generator)
                if module.bias is not None:
                    draw_uniform(module.bias, bound, generator)
            else:
                draw_normal(module.weight, deviation, generator)
                if module.bias is not None:
                    module.bias.zero_()


def draw_normal(parameter: Tensor, deviation: float, generator: torch.Generator) -> None:
    """Fill ``parameter`` in place from a normal distribution of mean zero."""
    if not parameter.is_meta:
        parameter.copy_(_where_drawn(parameter, generator).normal_(0.0, deviation, generator=generator))


def draw_uniform(parameter: Tensor, bound: float, generator: torch.Generator) -> None:
    """Fill ``parameter`` in place uniformly between ``-bound`` and ``bound``."""
    if not parameter.is_meta:
        parameter.copy_(_where_drawn(parameter, generator).uniform_(-bound, bound, generator=generator))


def _where_drawn(parameter: Tensor, generator: torch.Generator) -> Tensor:
    # on the generator's device, so that a network does not depend on the device it is built on
    return torch.empty(parameter.shape, dtype=parameter.dtype, device=generator.device)


class ComplexWeight(nn.Module):
    """A complex tensor stored as ``pairs`` of reals (trailing dimension 2), which optimisers, data-parallel reductions
    and file formats all treat correctly; calling it gives the complex view.

    Real and imaginary parts start normal with standard deviation ``deviation``.
    """

    def __init__(self, *shape: int, deviation: float) -> None:
        super().__init__()
        self.pairs = nn.Parameter(torch.empty(*shape, 2))
        self.deviation = deviation

    def draw_weights(self, generator: torch.Generator) -> None:
        draw_normal(self.pairs, self.deviation, generator)

    def forward(self) -> Tensor:
        return torch.view_as_complex(self.pairs)


def count_parameters(network: nn.Module, complex_as_one: bool = True) -> int:
    """Number of parameters of ``network``; a complex one counts once or, with ``complex_as_one=False``, twice."""
    reals = sum(parameter.numel() for parameter in network.parameters())
    pairs = sum(module.pairs.numel() // 2 for module in network.modules() if isinstance(module, ComplexWeight))
    return reals - pairs if complex_as_one else reals
