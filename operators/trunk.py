"""The U-shaped trunk of scOT (Herde et al., arXiv 2405.19101) around any mixer of neighbouring patches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from operators.grids import Padding, check_fields, check_padding, check_positive, fit, lead_time, restore
from operators.layers import Chain, ConditionalLayerNorm, ConvNeXtBlock, FeedForward
from operators.patches import PatchEmbedding, PatchMerging, PatchRecovery, PatchUnmerging
from sciml.errors import InputError, nearest
from sciml.nn.spectral import fourier_resample


@dataclass(frozen=True)
class Size:
    """Dimensions of a trunk, one entry a level from fine to coarse; level i has ``channels * 2**i`` channels.

    ``depths``: blocks a level, in the encoder and again in the decoder; ``skips``: ConvNeXt blocks on the way across;
    ``heads`` and ``window`` (in patches) matter to attention only.
    """

    channels: int
    depths: tuple[int, ...]
    skips: tuple[int, ...]
    heads: tuple[int, ...]
    window: int = 16

    def __post_init__(self) -> None:
        check_positive(channels=self.channels, depths=self.depths, heads=self.heads, window=self.window)
        if not len(self.depths) == len(self.skips) == len(self.heads) >= 1:
            raise InputError(f"depths, skips and heads of a Size must have one entry a level, but this is {self}")


SIZES = {
    "tiny": Size(32, depths=(2, 2, 2), skips=(1, 1, 0), heads=(2, 4, 8)),
    "T": Size(48, depths=(4, 4, 4, 4), skips=(2, 2, 2, 0), heads=(3, 6, 12, 24)),
    "S": Size(48, depths=(8, 8, 8, 8), skips=(2, 2, 2, 0), heads=(3, 6, 12, 24)),
    "B": Size(96, depths=(8, 8, 8, 8), skips=(2, 2, 2, 0), heads=(3, 6, 12, 24)),
    "L": Size(192, depths=(8, 8, 8, 8), skips=(2, 2, 2, 0), heads=(3, 6, 12, 24)),
}
PUBLISHED_RESOLUTION = 128

Mixer = Callable[[int, int, int], nn.Module]
"""(channels, level, index of the block in its stage) to a module: (B, H, W, C) and time (B, 1) to (B, H, W, C)."""


def size_of(size: str | Size) -> Size:
    """The named size, or the given one. Raises InputError for an unknown name."""
    if isinstance(size, Size):
        return size
    if size not in SIZES:
        raise InputError(f"size = {size!r} is not known; {nearest(str(size), SIZES)}")
    return SIZES[size]


class Block(nn.Module):
    """A mixer across patches, then a feed-forward layer within each, both residual and normalised last (Swin v2)."""

    def __init__(self, channels: int, mixer: nn.Module) -> None:
        super().__init__()
        self.mixer = mixer
        self.feed_forward = FeedForward(channels)
        self.norm = ConditionalLayerNorm(channels)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        x = x + self.mixer(x, time)
        return x + self.norm(self.feed_forward(x), time)


class Trunk(nn.Module):
    """Patches, an encoder and a decoder of blocks with ConvNeXt skips in between, fields again.

    Any grid of at least one coarsest patch (``patch_size * 2**(levels - 1)`` points) a side is accepted; one that does
    not divide evenly is resampled (periodic) or extended (zeros) to the next that does. ``published`` instead brings
    every square grid to 128x128, as the released networks do (which treat the Nyquist modes differently on the way).
    """

    weight_deviation = 0.02

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: Size,
        mixer: Mixer,
        patch_size: int = 4,
        padding: Padding = "periodic",
        published: bool = False,
    ) -> None:
        super().__init__()
        check_padding(padding)
        check_positive(in_channels=in_channels, out_channels=out_channels, patch_size=patch_size)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.padding: Padding = padding
        self.published = published
        self.coarsest_patch = patch_size * 2 ** (len(size.depths) - 1)
        widths = [size.channels * 2**level for level in range(len(size.depths))]

        def stage(level: int, order: range) -> Chain:
            return Chain(Block(widths[level], mixer(widths[level], level, index)) for index in order)

        depths = list(enumerate(size.depths))
        self.embedding = PatchEmbedding(in_channels, widths[0], patch_size)
        self.encoder = nn.ModuleList(stage(level, range(depth)) for level, depth in depths)
        self.merging = nn.ModuleList(PatchMerging(width) for width in widths[:-1])
        self.skips = nn.ModuleList(
            Chain(ConvNeXtBlock(width, padding) for _ in range(n)) for width, n in zip(widths, size.skips, strict=True)
        )
        # the decoder mirrors the encoder, the order of its blocks included
        self.decoder = nn.ModuleList(stage(level, range(depth)[::-1]) for level, depth in depths)
        self.unmerging = nn.ModuleList(PatchUnmerging(width) for width in widths[1:])
        self.recovery = PatchRecovery(widths[0], out_channels, patch_size, padding)

    def draw_weights(self, generator: torch.Generator) -> None:
        for module in self.modules():
            if self.published and isinstance(module, ConditionalLayerNorm):
                module.scale.bias.zero_()

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """``x`` (B, in_channels, H, W), lead time ``time`` (B,), one if None; returns (B, out_channels, H, W).

        Raises InputError for other channels, a grid that is too small, or times that are not one a sample.
        """
        check_fields(x, self.in_channels, 2, smallest=1 if self.published else self.coarsest_patch)
        column = lead_time(time, x)
        grid = x.shape[2:]
        if self.published:
            if grid[0] != grid[1]:
                raise InputError(f"x has a grid of {tuple(grid)} points; paper_exact=True takes square ones only")
            return fourier_resample(self.transform(fourier_resample(x, (PUBLISHED_RESOLUTION,) * 2), column), grid)
        return restore(self.transform(fit(x, self.coarsest_patch, self.padding), column), grid, self.padding)

    def transform(self, x: Tensor, time: Tensor) -> Tensor:
        """The network itself, on a grid that divides evenly; ``time`` (B, 1)."""
        x = self.embedding(x, time)
        across = []
        for level, stage in enumerate(self.encoder):
            y = stage(x, time)
            across.append(self.skips[level](y, time))
            if level < len(self.merging):
                x = self.merging[level](x + y, time)
        y = across[-1]
        for level in reversed(range(len(self.decoder))):
            if level < len(self.unmerging):
                y = self.unmerging[level](y, time) + across[level]
            y = self.decoder[level](y, time)
        return self.recovery(y)
