"""The DRIFT mixer (Li & Salim, arXiv 2509.24868): low Fourier modes mixed, gated by band, beside an image branch."""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn import functional

from operators.grids import Padding
from operators.layers import ConditionalLayerNorm, Convolution
from operators.weights import ComplexWeight
from sciml.nn.spectral import (
    at_least_single,
    multiplicity,
    radial_bands,
    relative_radius,
    relative_wavenumbers,
    without_autocast,
)

DEVIATION = 0.02
CUTOFF = 0.25
"""Where the cut-offs start: the sigmoid of this, 0.562, of the highest wave number along an axis."""
SOFTNESS = 0.05
"""Width of the mended mask's flank, as a fraction of the highest wave number: about one mode of a 32x32 grid."""


class BandGate(nn.Module):
    """Shares of the low and of the high modes in the output: one number in (0, 1) a radial band, sample and channel.

    It is computed from each band's mean of | |(1 - m) X| - |m X| |, with m the mask of the low modes.
    """

    def __init__(self, bands: int, width: int) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(bands, width), nn.ReLU(), nn.Linear(width, bands), nn.Sigmoid())

    def forward(self, modes: Tensor, mask: Tensor, bands: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """gate * m and (1 - gate) * (1 - m), each the shape of ``modes`` X (B, H, W', C), from ``mask`` m (H, W'),
        ``bands`` (K, H, W') of ones and zeros and the ``weight`` (W',) of each column in the means."""
        share = bands * weight
        share = share / share.sum((1, 2), keepdim=True).clamp(min=1) * (1 - 2 * mask).abs()
        means = share.flatten(1) @ modes.abs().flatten(1, 2)
        gate = self.network(means.transpose(1, 2)).transpose(1, 2)
        low, high = (bands * mask).flatten(1).T @ gate, (bands * (1 - mask)).flatten(1).T @ (1 - gate)
        return low.reshape(modes.shape), high.reshape(modes.shape)


class ImageBranch(nn.Module):
    """Depthwise 3x3 convolution plus a pointwise linear layer."""

    def __init__(self, channels: int, padding: Padding) -> None:
        super().__init__()
        self.convolution = Convolution(channels, channels, 3, padding, groups=channels, bias=False)
        self.linear = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(x) + self.linear(x)


class DRIFTMixer(nn.Module):
    """norm(irfft2(gate * W low + (1 - gate) * high) + image branch), with low = mask * rfft2(x) and high the rest.

    The mask and the bands depend on |k| along each axis only, so that both signs of a wave number are treated alike;
    the mask has a smooth flank at a learnable cut-off. ``without`` removes parts for ablations: "mixing" (W = 1),
    "gate" (W low + high) or "image" (no image branch).
    """

    def __init__(
        self, channels: int, padding: Padding, bands: int = 6, gate_width: int = 128, without: Collection[str] = ()
    ) -> None:
        super().__init__()
        self.bands = bands
        self.cutoff = nn.Parameter(torch.empty(2))
        self.mixing = None if "mixing" in without else ComplexWeight(channels, channels, deviation=DEVIATION)
        self.gate = None if "gate" in without else BandGate(bands, gate_width)
        self.image = None if "image" in without else ImageBranch(channels, padding)
        self.norm = ConditionalLayerNorm(channels)

    def draw_weights(self, generator: torch.Generator) -> None:
        self.cutoff.fill_(CUTOFF)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """``x`` (B, H, W, C), ``time`` (B, 1)."""
        with without_autocast(x):
            y = self.spectral(at_least_single(x))
        return self.norm(y if self.image is None else y + self.image(x), time)

    def spectral(self, x: Tensor) -> Tensor:
        """The Fourier branch."""
        grid = x.shape[1:3]
        modes = torch.fft.rfft2(x, dim=(1, 2), norm="forward")
        mask = self.low_pass(grid, x)
        mixed = modes if self.mixing is None else functional.linear(modes, self.mixing())
        if self.gate is None:
            low, high = mask[..., None], 1 - mask[..., None]
        else:
            low, high = self.gate(modes, mask, *self.rings(grid, x))
        return torch.fft.irfft2(scaled(low, mixed) + scaled(high, modes), s=grid, dim=(1, 2), norm="forward")

    def low_pass(self, grid: torch.Size, like: Tensor) -> Tensor:
        """Smooth mask over the half plane, near one where |k| is below the cut-off along both axes."""
        rows, columns = relative_wavenumbers(grid, like)
        cutoff = self.cutoff.sigmoid()
        return ((cutoff[0] - rows) / SOFTNESS).sigmoid() * ((cutoff[1] - columns) / SOFTNESS).sigmoid()

    def rings(self, grid: torch.Size, like: Tensor) -> tuple[Tensor, Tensor]:
        """The radial bands, and how much each column of the half plane counts in the mean over a band."""
        return radial_bands(relative_radius(grid, like), self.bands), multiplicity(grid, like)


class PublishedDRIFTMixer(DRIFTMixer):
    """The mixer as released with the paper, its peculiarities included.

    The mask is a corner of the array, so that low negative wave numbers count as high ones; the bands are rings around
    that corner by row index; the two cut-offs and ``unused_norm`` never receive a gradient.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, "zeros")
        self.unused_norm = ConditionalLayerNorm(channels)

    def low_pass(self, grid: torch.Size, like: Tensor) -> Tensor:
        """Ones in the corner of the half plane, as far as the cut-offs' starting value reaches."""
        half_plane = grid[0], grid[1] // 2 + 1
        # rounded down to whole modes, which is why the released cut-offs cannot learn and stay where they start
        rows, columns = (int(n / (1 + math.exp(-CUTOFF))) for n in half_plane)
        mask = like.new_zeros(half_plane)
        mask[:rows, :columns] = 1
        return mask

    def rings(self, grid: torch.Size, like: Tensor) -> tuple[Tensor, Tensor]:
        """Bands by distance from the corner of the array, each column counting once."""
        half_plane = grid[0], grid[1] // 2 + 1
        row, column = (torch.arange(n, dtype=like.dtype, device=like.device) / max(n - 1, 1) for n in half_plane)
        radius = torch.sqrt(row[:, None] ** 2 + column**2)
        return radial_bands(radius / (radius.max() + 1e-8), self.bands), torch.ones_like(column)


def scaled(factor: Tensor, modes: Tensor) -> Tensor:
    """Real ``factor`` times complex ``modes``, without making the factor complex."""
    return torch.view_as_complex(factor[..., None] * torch.view_as_real(modes))
