"""Between the levels of a U: fields to patches, 2x2 patches to one and back, patches to fields."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from operators.grids import Padding
from operators.layers import ConditionalLayerNorm, Convolution


class PatchEmbedding(nn.Module):
    """Fields (B, C, H, W) to one vector a square patch, (B, H/p, W/p, channels)."""

    def __init__(self, in_channels: int, channels: int, patch_size: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(in_channels, channels, patch_size, stride=patch_size)
        self.norm = ConditionalLayerNorm(channels)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.norm(self.projection(x).permute(0, 2, 3, 1), time)


class PatchMerging(nn.Module):
    """The vectors of 2x2 patches become one of twice the channels (normalised after, as in Swin v2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)
        self.norm = ConditionalLayerNorm(2 * channels)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        quarters = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.norm(self.reduction(torch.cat(quarters, dim=-1)), time)


class PatchUnmerging(nn.Module):
    """One vector becomes those of 2x2 patches with half the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expansion = nn.Linear(channels, 2 * channels, bias=False)
        self.norm = ConditionalLayerNorm(channels // 2)
        self.mixing = nn.Linear(channels // 2, channels // 2, bias=False)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        batch, rows, columns, channels = x.shape
        x = self.expansion(x).reshape(batch, rows, columns, 2, 2, channels // 2)
        x = x.permute(0, 1, 3, 2, 4, 5).reshape(batch, 2 * rows, 2 * columns, channels // 2)
        return self.mixing(self.norm(x, time))


class PatchRecovery(nn.Module):
    """One vector a patch back to fields (B, C, H, W), smoothed across patch edges by a 5x5 convolution."""

    def __init__(self, channels: int, out_channels: int, patch_size: int, padding: Padding) -> None:
        super().__init__()
        self.projection = nn.ConvTranspose2d(channels, out_channels, patch_size, stride=patch_size)
        self.smoothing = Convolution(out_channels, out_channels, 5, padding, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        fields = self.projection(x.permute(0, 3, 1, 2))
        return self.smoothing(fields.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
