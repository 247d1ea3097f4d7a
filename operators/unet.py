"""A U-Net of ConvNeXt blocks (Ronneberger et al., arXiv 1505.04597; Liu et al., arXiv 2201.03545)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from operators.grids import Padding, check_fields, check_padding, check_positive, fit, lead_time, restore
from operators.layers import Chain, ConvNeXtBlock, Convolution
from operators.patches import PatchMerging, PatchUnmerging
from operators.weights import drawn_from


class UNet(nn.Module):
    """Convolutional encoder and decoder on two-dimensional grids, joined level by level by concatenation.

    Level i of ``n_levels`` has ``hidden_channels * 2**i`` channels and ``n_blocks`` blocks on each side. ``padding``
    "periodic" or "zeros" beyond the edges of the grid. Grids that ``2**(n_levels - 1)`` does not divide are resampled
    (periodic) or extended (zeros). ``generator`` draws the weights (None: seed 0). Raises InputError for arguments out
    of range.
    """

    name = "unet"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        hidden_channels: int = 48,
        n_levels: int = 4,
        n_blocks: int = 2,
        *,
        padding: Padding = "periodic",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_padding(padding)
        check_positive(
            in_channels=in_channels,
            out_channels=out_channels,
            hidden_channels=hidden_channels,
            n_levels=n_levels,
            n_blocks=n_blocks,
        )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.padding: Padding = padding
        self.multiple = 2 ** (n_levels - 1)
        widths = [hidden_channels * 2**level for level in range(n_levels)]

        def stage(width: int) -> Chain:
            return Chain(ConvNeXtBlock(width, padding) for _ in range(n_blocks))

        with drawn_from(generator, self):
            self.lifting = Convolution(in_channels, hidden_channels, 3, padding)
            self.encoder = nn.ModuleList(stage(width) for width in widths)
            self.merging = nn.ModuleList(PatchMerging(width) for width in widths[:-1])
            self.unmerging = nn.ModuleList(PatchUnmerging(width) for width in widths[1:])
            self.joining = nn.ModuleList(nn.Linear(2 * width, width) for width in widths[:-1])
            self.decoder = nn.ModuleList(stage(width) for width in widths[:-1])
            self.projection = nn.Linear(hidden_channels, out_channels)

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """``x`` (B, in_channels, H, W), lead time ``time`` (B,), one if None; returns (B, out_channels, H, W).

        Raises InputError for other channels, a grid that is too small, or times that are not one a sample.
        """
        check_fields(x, self.in_channels, 2, smallest=self.multiple)
        column = lead_time(time, x)
        y = self.lifting(fit(x, self.multiple, self.padding).permute(0, 2, 3, 1))
        across = []
        for level, stage in enumerate(self.encoder):
            y = stage(y, column)
            if level < len(self.merging):
                across.append(y)
                y = self.merging[level](y, column)
        for level in reversed(range(len(self.decoder))):
            y = torch.cat([across[level], self.unmerging[level](y, column)], dim=-1)
            y = self.decoder[level](self.joining[level](y), column)
        return restore(self.projection(y).permute(0, 3, 1, 2), x.shape[2:], self.padding)
