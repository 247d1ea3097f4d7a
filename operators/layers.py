"""Building blocks on grids with channels last, (B, H, W, C), so that linear layers need no permutation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from operators.grids import Padding


class ConditionalLayerNorm(nn.Module):
    """Normalisation over channels, then a scale and a shift that are affine in the lead time.

    The scale starts near one, whatever the time; the published networks let it start proportional to the time.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Linear(1, channels)
        self.shift = nn.Linear(1, channels)

    def draw_weights(self, generator: torch.Generator) -> None:
        self.scale.bias.fill_(1.0)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """``x`` (B, ..., C), ``time`` (B, 1)."""
        over_grid = (x.shape[0],) + (1,) * (x.ndim - 2) + (x.shape[-1],)
        scale, shift = self.scale(time).reshape(over_grid), self.shift(time).reshape(over_grid)
        return torch.addcmul(shift, scale, functional.layer_norm(x, x.shape[-1:]))


class Convolution(nn.Conv2d):
    """A convolution of odd ``width`` that keeps the grid, across the edges of a periodic one, too."""

    def __init__(
        self, in_channels: int, out_channels: int, width: int, padding: Padding, groups: int = 1, bias: bool = True
    ) -> None:
        super().__init__(in_channels, out_channels, width, groups=groups, bias=bias)
        self.reach = width // 2
        self.periodic = padding == "periodic"

    def forward(self, x: Tensor) -> Tensor:
        x = wrap(x, self.reach) if self.periodic else x
        reach = 0 if self.periodic else self.reach
        y = functional.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, padding=reach, groups=self.groups)
        return y.permute(0, 2, 3, 1)


def wrap(x: Tensor, reach: int) -> Tensor:
    """Extend the periodic grid of ``x`` (B, H, W, C) by ``reach`` points on every side."""
    for axis in (1, 2):
        turns = -(-reach // x.shape[axis])  # more than one where the grid is smaller than the reach
        around = torch.cat([x] * turns, axis) if turns > 1 else x
        before = around.narrow(axis, around.shape[axis] - reach, reach)
        x = torch.cat([before, x, around.narrow(axis, 0, reach)], axis)
    return x


class FeedForward(nn.Sequential):
    """Two linear layers with a GELU between, four times wider inside."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))


class ConvNeXtBlock(nn.Module):
    """x + scale * feed-forward(norm(depthwise 7x7 convolution of x)) (Liu et al., arXiv 2201.03545, figure 4)."""

    def __init__(self, channels: int, padding: Padding) -> None:
        super().__init__()
        self.convolution = Convolution(channels, channels, 7, padding, groups=channels)
        self.norm = ConditionalLayerNorm(channels)
        self.feed_forward = FeedForward(channels)
        self.layer_scale = nn.Parameter(torch.empty(channels))

    def draw_weights(self, generator: torch.Generator) -> None:
        self.layer_scale.fill_(1e-6)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return x + self.layer_scale * self.feed_forward(self.norm(self.convolution(x), time))


class Chain(nn.ModuleList):
    """Modules that each take a grid and a time, one after the other."""

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        for module in self:
            x = module(x, time)
        return x
