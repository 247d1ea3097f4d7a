"""Cosine attention in shifted windows with a continuous position bias (Swin v2: Liu et al., arXiv 2111.09883)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional

from operators.grids import Padding
from operators.layers import ConditionalLayerNorm
from sciml.errors import InputError

HIGHEST_LOGIT_SCALE = math.log(100.0)


class WindowAttention(nn.Module):
    """Normalised attention within windows of ``window`` x ``window`` patches, moved by half a window if ``shifted``.

    A window is never larger than the grid, and a grid of one window along an axis is not shifted along it. On a
    periodic grid a shifted window reaches across the edge; with zeros padding the two sides do not see each other.
    """

    def __init__(self, channels: int, heads: int, window: int, shifted: bool, padding: Padding) -> None:
        super().__init__()
        if channels % heads:
            raise InputError(f"heads = {heads} does not divide the {channels} channels of its level")
        self.heads, self.window, self.shifted, self.padding = heads, window, shifted, padding
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels)
        self.output = nn.Linear(channels, channels)
        self.logit_scale = nn.Parameter(torch.empty(heads))
        self.position_bias = nn.Sequential(nn.Linear(2, 512), nn.ReLU(), nn.Linear(512, heads, bias=False))
        self.norm = ConditionalLayerNorm(channels)

    def draw_weights(self, generator: torch.Generator) -> None:
        self.logit_scale.fill_(math.log(10.0))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """``x`` (B, H, W, C), ``time`` (B, 1)."""
        grid = x.shape[1:3]
        window = [min(self.window, n) for n in grid]
        shift = [w // 2 if self.shifted and n > w else 0 for n, w in zip(grid, window, strict=True)]
        missing = [-n % w for n, w in zip(grid, window, strict=True)]
        if any(missing):
            x = functional.pad(x, (0, 0, 0, missing[1], 0, missing[0]))
        x = x.roll([-s for s in shift], (1, 2))
        y = self.attend(x, window, self.mask(grid, window, shift, x.device)).roll(shift, (1, 2))
        return self.norm(y[:, : grid[0], : grid[1]], time)

    def attend(self, x: Tensor, window: list[int], mask: Tensor | None) -> Tensor:
        """Attention within the windows of ``x``; ``mask`` (windows, 1, N, N) is true where a patch sees another."""
        batch, rows, columns, channels = x.shape
        counts = rows // window[0], columns // window[1]

        def split(y: Tensor) -> Tensor:  # (B, windows * heads, N, channels of a head)
            y = y.reshape(batch, counts[0], window[0], counts[1], window[1], self.heads, channels // self.heads)
            return y.permute(0, 1, 3, 5, 2, 4, 6).reshape(batch, -1, window[0] * window[1], channels // self.heads)

        scale = self.logit_scale.clamp(max=HIGHEST_LOGIT_SCALE).exp().repeat(counts[0] * counts[1])[:, None, None]
        query = functional.normalize(split(self.query(x)), dim=-1) * scale
        key = functional.normalize(split(self.key(x)), dim=-1)
        bias = self.bias(window, x).expand(counts[0] * counts[1], -1, -1, -1)
        if mask is not None:
            bias = bias.masked_fill(~mask, -math.inf)
        bias = bias.flatten(0, 1).to(query.dtype)
        if forward_ad.unpack_dual(query).tangent is None:
            y = functional.scaled_dot_product_attention(query, key, split(self.value(x)), attn_mask=bias, scale=1.0)
        else:  # PyTorch cannot differentiate again what it has for the slope of softmax along the lead time
            logits = query @ key.mT + bias
            weight = (logits - logits.amax(-1, keepdim=True)).exp()
            y = weight / weight.sum(-1, keepdim=True) @ split(self.value(x))
        y = y.reshape(batch, *counts, self.heads, *window, -1).permute(0, 1, 4, 2, 5, 3, 6)
        return self.output(y.reshape(batch, rows, columns, channels))

    def bias(self, window: list[int], like: Tensor) -> Tensor:
        """16 sigmoid of a network of the log-spaced offsets between patches, (heads, N, N)."""
        offsets = []
        for w in window:
            offset = torch.arange(1 - w, w, dtype=like.dtype, device=like.device) * (8 / max(w - 1, 1))
            offsets.append(offset.sign() * offset.abs().log1p() / math.log(8))
        table = self.position_bias(torch.stack(torch.meshgrid(*offsets, indexing="ij"), dim=-1))
        row, column = (torch.arange(w, device=like.device) for w in window)
        row, column = (i.flatten() for i in torch.meshgrid(row, column, indexing="ij"))
        table = table[row[:, None] - row + window[0] - 1, column[:, None] - column + window[1] - 1]
        return 16 * table.permute(2, 0, 1).sigmoid()

    def mask(self, grid: torch.Size, window: list[int], shift: list[int], device: torch.device) -> Tensor | None:
        """Which patches of a window may see each other, (windows, 1, N, N), or None if all may."""
        divided = all(n % w == 0 for n, w in zip(grid, window, strict=True))
        if divided and (self.padding == "periodic" or not any(shift)):
            return None
        regions = []
        for n, w, s in zip(grid, window, shift, strict=True):
            position = torch.arange(n + -n % w, device=device).roll(-s)
            across_edge = (position < s) & (self.padding == "zeros")
            regions.append((across_edge + 2 * (position >= n)).reshape(-1, w))
        region = 3 * regions[0][:, None, :, None] + regions[1][None, :, None, :]
        region = region.reshape(-1, window[0] * window[1])
        return (region[:, :, None] == region[:, None, :])[:, None]
