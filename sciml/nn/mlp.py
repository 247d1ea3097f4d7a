"""Fully connected networks: the plain one, and the gated one of Wang, Teng and Perdikaris."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from sciml.errors import InputError
from sciml.nn.activation import activation_factory
from sciml.nn.linear import LinearFactory, default_generator, draw_normal, glorot_linear


class MLP(nn.Module):
    """Fully connected network, (..., in_features) to (..., out_features).

    Args:
        in_features: number of coordinates, or of features of the embedding in front.
        out_features: number of fields.
        width: neurons of each hidden layer.
        depth: number of hidden layers.
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
        width: int = 50,
        depth: int = 3,
        activation: str | nn.Module = "tanh",
        *,
        linear: LinearFactory = glorot_linear,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        check_sizes(in_features=in_features, out_features=out_features, width=width, depth=depth)
        self.in_features, self.out_features = in_features, out_features
        new_linear = partial(linear, generator=default_generator(generator), dtype=dtype, device=device)
        new_activation = activation_factory(activation)
        layers: list[nn.Module] = []
        for size in (in_features, *[width] * (depth - 1)):
            layers += [new_linear(size, width), new_activation()]
        self.layers = nn.Sequential(*layers, new_linear(width, out_features))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class ModifiedMLP(nn.Module):
    """MLP whose hidden layers are gated by two encoders U, V of the input: ``H <- (1 - Z) U + Z V``.

    Source: Wang, Teng, Perdikaris, arXiv 2001.04536. The paper leaves the first hidden layer ungated; the code that
    made its tables gates every layer (``gate_first_layer=True``). The encoders' biases are drawn, as in that code.

    Args:
        in_features: number of coordinates, or of features of the embedding in front.
        out_features: number of fields.
        width: neurons of each hidden layer and of the encoders.
        depth: number of hidden layers, gated or not.
        activation: name, or a module of which every layer gets a copy.
        gate_first_layer: gate the first hidden layer too.
        linear: makes the affine layers, e.g. ``RandomWeightFactorization``.
        generator: source of the initial weights; without one, a fresh generator with seed 0.

    Raises:
        InputError: a size is not positive, or the activation is unknown.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        width: int = 50,
        depth: int = 3,
        activation: str | nn.Module = "tanh",
        *,
        gate_first_layer: bool = True,
        linear: LinearFactory = glorot_linear,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        check_sizes(in_features=in_features, out_features=out_features, width=width, depth=depth)
        self.in_features, self.out_features, self.gate_first_layer = in_features, out_features, gate_first_layer
        generator = default_generator(generator)
        new_linear = partial(linear, generator=generator, dtype=dtype, device=device)
        new_activation = activation_factory(activation)

        def encoder() -> nn.Sequential:
            layer = new_linear(in_features, width)
            bias = layer.get_parameter("bias").data
            bias.copy_(draw_normal(width, std=(2 / (1 + width)) ** 0.5, generator=generator, dtype=dtype))
            return nn.Sequential(layer, new_activation())

        self.encoder_u, self.encoder_v = encoder(), encoder()
        sizes = (in_features, *[width] * (depth - 1))
        self.hidden = nn.ModuleList(nn.Sequential(new_linear(size, width), new_activation()) for size in sizes)
        self.output = new_linear(width, out_features)

    def forward(self, x: Tensor) -> Tensor:
        u = self.encoder_u(x)
        difference = self.encoder_v(x) - u
        for i, layer in enumerate(self.hidden):
            x = layer(x)
            if i > 0 or self.gate_first_layer:
                x = u + x * difference
        return self.output(x)

    def extra_repr(self) -> str:
        return f"gate_first_layer={self.gate_first_layer}"


def check_sizes(**sizes: int) -> None:
    """Raises InputError for a size that is no whole number or below 1."""
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise InputError(f"{name} must be a whole number of at least 1, got {size!r}")
