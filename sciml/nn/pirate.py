"""Physics-informed residual adaptive network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from sciml.nn.activation import activation_factory
from sciml.nn.linear import LinearFactory, default_generator, glorot_linear
from sciml.nn.mlp import check_sizes


class PirateNet(nn.Module):
    """Gated residual blocks ``x <- alpha F(x) + (1 - alpha) x`` with a trainable alpha that starts at 0.

    The network starts as an affine map of its input and grows nonlinear, and deep, as it is trained. The input is
    meant to be an embedding: ``nn.Sequential(FourierFeatures(2, 256), PirateNet(256, 1, width=256))``.

    Source: Wang, Li, Chen, Perdikaris, arXiv 2402.00326.

    Args:
        in_features: features of the embedding, kept by every block.
        out_features: number of fields.
        width: neurons of the gates and of the first two layers of a block.
        blocks: number of residual blocks, of three layers each.
        activation: name, or a module of which every layer gets a copy.
        linear: makes the affine layers, e.g. ``RandomWeightFactorization``.
        generator: source of the initial weights; without one, a fresh generator with seed 0.

    Raises:
        InputError: a size is not positive, or the activation is unknown.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        width: int = 256,
        blocks: int = 3,
        activation: str | nn.Module = "tanh",
        *,
        linear: LinearFactory = glorot_linear,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        check_sizes(in_features=in_features, out_features=out_features, width=width, blocks=blocks)
        self.in_features, self.out_features = in_features, out_features
        new_linear = partial(linear, generator=default_generator(generator), dtype=dtype, device=device)
        new_activation = activation_factory(activation)

        def dense(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(new_linear(inputs, outputs), new_activation())

        self.gate_u, self.gate_v = dense(in_features, width), dense(in_features, width)
        alpha = torch.zeros((), dtype=dtype, device=device)
        self.blocks = nn.ModuleList(_Block(in_features, width, dense, alpha.clone()) for _ in range(blocks))
        self.output = new_linear(in_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        v = self.gate_v(x)
        difference = self.gate_u(x) - v
        for block in self.blocks:
            x = block(x, v, difference)
        return self.output(x)


class _Block(nn.Module):
    def __init__(self, size: int, width: int, dense: Callable[[int, int], nn.Module], alpha: Tensor) -> None:
        super().__init__()
        self.first, self.second, self.third = dense(size, width), dense(width, width), dense(width, size)
        self.alpha = nn.Parameter(alpha)

    def forward(self, x: Tensor, v: Tensor, difference: Tensor) -> Tensor:
        z = v + self.first(x) * difference
        z = v + self.second(z) * difference
        return x + self.alpha * (self.third(z) - x)
