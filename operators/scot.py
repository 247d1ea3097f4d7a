"""scOT, the scalable operator transformer of Poseidon (Herde et al., arXiv 2405.19101)."""

from __future__ import annotations

import torch
from torch import nn

from operators.grids import Padding
from operators.trunk import Size, Trunk, size_of
from operators.weights import drawn_from
from operators.window_attention import WindowAttention
from sciml.errors import InputError


class ScOT(Trunk):
    """Neural operator on two-dimensional grids with cosine attention in shifted windows: a U-shaped Swin v2.

    ``size`` "tiny", "T", "S", "B", "L" or a :class:`Size`; ``padding`` "periodic" or "zeros" beyond the edges of the
    grid. Size T with four channels has 20,774,444 parameters. ``paper_exact=True`` is the published network: zeros
    padding, normalisation scales that start proportional to the lead time, square grids resampled to 128x128.
    ``generator`` draws the weights (None: seed 0). Raises InputError for arguments out of range.
    """

    name = "scot"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: str | Size = "T",
        *,
        paper_exact: bool = False,
        padding: Padding = "periodic",
        patch_size: int = 4,
        generator: torch.Generator | None = None,
    ) -> None:
        dimensions = size_of(size)
        if paper_exact:
            if patch_size != 4:
                raise InputError("paper_exact=True fixes the network: leave `patch_size` at its default")
            padding = "zeros"

        def mixer(channels: int, level: int, index: int) -> nn.Module:
            shifted = index % 2 == 1
            return WindowAttention(channels, dimensions.heads[level], dimensions.window, shifted, padding)

        with drawn_from(generator, self):
            super().__init__(
                in_channels, out_channels, dimensions, mixer, patch_size, padding=padding, published=paper_exact
            )
