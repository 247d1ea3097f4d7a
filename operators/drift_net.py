"""DRIFT-Net (Li & Salim, arXiv 2509.24868): the scOT trunk with a Fourier mixer in place of attention."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn

from operators.drift import DRIFTMixer, PublishedDRIFTMixer
from operators.grids import Padding
from operators.trunk import Size, Trunk, size_of
from operators.weights import drawn_from
from sciml.errors import InputError, nearest

PARTS = ("mixing", "gate", "image")


class DRIFTNet(Trunk):
    """Neural operator on two-dimensional grids that mixes low Fourier modes and gates bands of them.

    ``size`` "tiny", "T", "S", "B", "L" or a :class:`Size`; ``padding`` "periodic" or "zeros" beyond the edges of the
    grid. With "periodic", shifting the input by whole coarsest patches shifts the output.

    ``paper_exact=True`` builds the network released with the paper: one-sided masks, bands by row index, cut-offs and
    layers that never receive a gradient, zeros padding, square grids resampled to 128x128. Size T with four channels
    then has 17,531,236 parameters, complex ones counted once (19,097,956 real numbers). The default has symmetric
    masks and bands, smooth learnable cut-offs, and no unused parameters.

    ``without`` leaves out "mixing", "gate" or "image" (the image branch) for ablations.
    ``generator`` draws the weights (None: seed 0). Raises InputError for arguments out of range.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: str | Size = "T",
        *,
        paper_exact: bool = False,
        padding: Padding = "periodic",
        patch_size: int = 4,
        without: Collection[str] = (),
        generator: torch.Generator | None = None,
    ) -> None:
        dimensions = size_of(size)
        for part in without:
            if part not in PARTS:
                raise InputError(f"without = {part!r} is not a part of DRIFTNet; {nearest(part, PARTS)}")
        if {"mixing", "gate"} <= set(without):
            raise InputError("without both 'mixing' and 'gate' nothing is left of the Fourier branch; keep one")
        if paper_exact and (without or patch_size != 4):
            raise InputError("paper_exact=True fixes the network: leave `without` and `patch_size` at their defaults")

        def mixer(channels: int, level: int, index: int) -> nn.Module:
            return PublishedDRIFTMixer(channels) if paper_exact else DRIFTMixer(channels, padding, without=without)

        with drawn_from(generator, self):
            super().__init__(
                in_channels,
                out_channels,
                dimensions,
                mixer,
                patch_size,
                padding="zeros" if paper_exact else padding,
                published=paper_exact,
            )
            if paper_exact:
                # the gate's teacher, which the released training never switches on
                widths = [dimensions.channels * 2**level for level in range(len(dimensions.depths))]
                self.unused = nn.ModuleList(nn.Conv2d(out_channels, width, 1) for width in widths)
                self.unused.extend(nn.Linear(out_channels, width) for width in widths)
