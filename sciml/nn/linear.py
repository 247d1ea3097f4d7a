"""Affine layers whose initial weights come from the generator that is passed in, never from the global one."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

LinearFactory = Callable[..., nn.Module]
"""``factory(in_features, out_features, generator=..., dtype=..., device=...)`` makes an affine layer with ``bias``."""


def default_generator(generator: torch.Generator | None) -> torch.Generator:
    """``generator`` itself, or a fresh one with seed 0: a network built twice without one has the same weights."""
    return torch.Generator().manual_seed(0) if generator is None else generator


def draw_normal(
    *shape: int,
    std: float,
    generator: torch.Generator,
    mean: float = 0.0,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Normal tensor drawn on the generator's device and then moved, so that any pair of devices works."""
    draw = torch.empty(shape, dtype=dtype, device=generator.device)
    return draw.normal_(mean, std, generator=generator).to(device or torch.get_default_device())


def glorot_linear(
    in_features: int,
    out_features: int,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> nn.Linear:
    """``torch.nn.Linear`` with weights of standard deviation ``sqrt(2 / (in + out))`` and zero bias.

    Source: Wang, Teng, Perdikaris, arXiv 2001.04536 (Glorot-normal initialisation).
    """
    # skip_init: the constructor of nn.Linear would draw from the global generator.
    device = device or torch.get_default_device()
    layer = nn.utils.skip_init(nn.Linear, in_features, out_features, dtype=dtype, device=device)
    with torch.no_grad():
        layer.weight.copy_(_glorot(in_features, out_features, default_generator(generator), dtype, device))
        layer.bias.zero_()
    return layer


class RandomWeightFactorization(nn.Module):
    """Affine layer with the weight ``diag(exp(s)) V``, both factors trained.

    ``s ~ N(mean, std^2)`` has one entry an output; ``V`` starts so that the product is the Glorot-normal weight.
    Use it through the ``linear`` argument of the networks; ``functools.partial`` sets ``mean`` and ``std``.

    Source: Wang, Wang, Seidman, Perdikaris, arXiv 2210.01274.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        mean: float = 1.0,
        std: float = 0.1,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        generator = default_generator(generator)
        weight = _glorot(in_features, out_features, generator, dtype, device)
        scale = draw_normal(out_features, mean=mean, std=std, generator=generator, dtype=dtype, device=device)
        self.log_scale = nn.Parameter(scale)
        self.direction = nn.Parameter(weight / scale.exp().unsqueeze(-1))
        self.bias = nn.Parameter(torch.zeros_like(scale))

    @property
    def weight(self) -> Tensor:
        """The weight matrix (out_features, in_features) that the two factors stand for."""
        return self.log_scale.exp().unsqueeze(-1) * self.direction

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        out_features, in_features = self.direction.shape
        return f"in_features={in_features}, out_features={out_features}"


def _glorot(
    in_features: int,
    out_features: int,
    generator: torch.Generator,
    dtype: torch.dtype | None,
    device: torch.device | str | None,
) -> Tensor:
    std = math.sqrt(2 / (in_features + out_features))
    return draw_normal(out_features, in_features, std=std, generator=generator, dtype=dtype, device=device)
