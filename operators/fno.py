"""The Fourier neural operator (Li et al., arXiv 2010.08895), with the argument names of `neuraloperator`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from operators.grids import check_fields, check_positive, lead_time, unit_coordinates
from operators.weights import ComplexWeight, drawn_from
from sciml.errors import InputError
from sciml.nn.spectral import (
    at_least_single,
    from_half_modes,
    from_modes,
    lowest_half_modes,
    lowest_modes,
    without_autocast,
)


class SpectralConvolution(nn.Module):
    """Multiplies the lowest modes of a field (B, *grid, C) by one complex matrix a mode and drops the others.

    ``n_modes`` counts both signs of the wave number along each axis. A grid that has fewer uses those it has, so the
    same weights act alike at every resolution.
    """

    def __init__(self, in_channels: int, out_channels: int, n_modes: Sequence[int]) -> None:
        super().__init__()
        self.n_modes = (*n_modes[:-1], n_modes[-1] // 2 + 1)
        self.weight = ComplexWeight(
            *self.n_modes, in_channels, out_channels, deviation=1 / math.sqrt(in_channels + out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        last = x.ndim - 2
        half, others = min(x.shape[last] // 2 + 1, self.n_modes[-1]), range(1, last)
        with without_autocast(x):
            modes, weight = lowest_half_modes(at_least_single(x), last, half), self.weight().narrow(last - 1, 0, half)
            for axis in others:
                used = min(x.shape[axis], self.n_modes[axis - 1])
                modes, weight = lowest_modes(modes, axis, used), _of_lowest(weight, axis - 1, used)
            modes = torch.einsum("b...i,...io->b...o", modes, weight)
            for axis in others:
                modes = from_modes(modes, axis, x.shape[axis])
            return from_half_modes(modes, last, x.shape[last])


def _of_lowest(weight: Tensor, axis: int, count: int) -> Tensor:
    """The weights of the ``count`` modes nearest to zero along ``axis``."""
    n, negative = weight.shape[axis], count // 2
    return torch.cat([weight.narrow(axis, 0, count - negative), weight.narrow(axis, n - negative, negative)], axis)


class FNOBlock(nn.Module):
    """gelu(spectral convolution + linear), scaled and shifted by the lead time, then a pointwise network with a gated
    skip; the last block of a network ends without an activation."""

    def __init__(self, channels: int, n_modes: Sequence[int], expansion: float | None, last: bool) -> None:
        super().__init__()
        self.last = last
        self.spectral = SpectralConvolution(channels, channels, n_modes)
        self.linear = nn.Linear(channels, channels)
        self.modulation = nn.Linear(1, 2 * channels)
        self.channel_mlp = None
        if expansion is not None:
            inner = max(1, round(expansion * channels))
            self.channel_mlp = nn.Sequential(nn.Linear(channels, inner), nn.GELU(), nn.Linear(inner, channels))
            self.skip_gate = nn.Parameter(torch.empty(channels))

    def draw_weights(self, generator: torch.Generator) -> None:
        self.modulation.weight.zero_()
        self.modulation.bias.zero_()
        if self.channel_mlp is not None:
            self.skip_gate.fill_(1.0)

    def activate(self, x: Tensor) -> Tensor:
        return x if self.last else functional.gelu(x)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.modulation(time).reshape(x.shape[0], *[1] * (x.ndim - 2), -1).chunk(2, dim=-1)
        y = self.activate((1 + scale) * (self.spectral(x) + self.linear(x)) + shift)
        return y if self.channel_mlp is None else self.activate(self.channel_mlp(y) + self.skip_gate * x)


class FNO(nn.Module):
    """Neural operator on regular grids of one to three dimensions, ``len(n_modes)`` of them.

    ``n_modes`` counts both signs of the wave number along each axis. ``positional_embedding`` "grid" appends the
    coordinates i/n as channels; with None a periodic shift of the input shifts the output. ``domain_padding`` extends
    a grid that is not periodic by this fraction with zeros, or every axis by its own (0 where it is periodic).
    ``use_channel_mlp=False`` gives the original paper's blocks. ``generator`` draws the weights (None: seed 0).
    Raises InputError for arguments out of range.
    """

    def __init__(
        self,
        n_modes: Sequence[int],
        in_channels: int,
        out_channels: int,
        hidden_channels: int = 64,
        n_layers: int = 4,
        *,
        lifting_channel_ratio: float = 2,
        projection_channel_ratio: float = 2,
        positional_embedding: Literal["grid"] | None = "grid",
        use_channel_mlp: bool = True,
        channel_mlp_expansion: float = 0.5,
        domain_padding: float | Sequence[float] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_positive(
            n_modes=n_modes,
            in_channels=in_channels,
            out_channels=out_channels,
            hidden_channels=hidden_channels,
            n_layers=n_layers,
        )
        if not 1 <= len(n_modes) <= 3:
            raise InputError(f"n_modes = {tuple(n_modes)} must have one entry a dimension of the grid: one to three")
        if positional_embedding not in ("grid", None):
            raise InputError(f"positional_embedding = {positional_embedding!r} is not known; choose 'grid' or None")
        fractions = domain_padding or 0.0
        padding = (fractions,) * len(n_modes) if isinstance(fractions, int | float) else tuple(fractions)
        if len(padding) != len(n_modes) or min(padding) < 0:
            raise InputError(f"domain_padding = {domain_padding} must be a fraction of the grid, 0 or more, or one an axis")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.dimensions = len(n_modes)
        self.positional_embedding = positional_embedding
        self.domain_padding = padding
        expansion = channel_mlp_expansion if use_channel_mlp else None
        lifting = round(lifting_channel_ratio * hidden_channels)
        projection = round(projection_channel_ratio * hidden_channels)
        embedded = in_channels + (self.dimensions if positional_embedding else 0)
        with drawn_from(generator, self):
            self.lifting = nn.Sequential(nn.Linear(embedded, lifting), nn.GELU(), nn.Linear(lifting, hidden_channels))
            self.blocks = nn.ModuleList(
                FNOBlock(hidden_channels, n_modes, expansion, last=layer == n_layers - 1) for layer in range(n_layers)
            )
            self.projection = nn.Sequential(
                nn.Linear(hidden_channels, projection), nn.GELU(), nn.Linear(projection, out_channels)
            )

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """``x`` (B, in_channels, *grid), lead time ``time`` (B,), one if None; returns (B, out_channels, *grid).

        Raises InputError for other channels, another number of dimensions, or times that are not one a sample.
        """
        check_fields(x, self.in_channels, self.dimensions, smallest=2)
        column = lead_time(time, x)
        grid = x.shape[2:]
        y = x.movedim(1, -1)
        if self.positional_embedding:
            y = torch.cat([y, unit_coordinates(grid, x).expand(x.shape[0], *grid, -1)], dim=-1)
        y = self.lifting(y)
        extra = [round(fraction * n) for fraction, n in zip(self.domain_padding, grid, strict=True)]
        y = functional.pad(y, (0, 0, *(edge for n in reversed(extra) for edge in (0, n))))
        for block in self.blocks:
            y = block(y, column)
        for axis, n in enumerate(grid, start=1):
            y = y.narrow(axis, 0, n)
        return self.projection(y).movedim(-1, 1)
