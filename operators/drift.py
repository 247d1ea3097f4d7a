"""The DRIFT mixer (Li & Salim, arXiv 2509.24868): low Fourier modes mixed, gated by band, beside an image branch."""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn import functional

from operators.grids import Padding
from operators.layers import ConditionalLayerNorm, Convolution
from operators.spectral import (
    at_least_single,
    multiplicity,
    radial_bands,
    relative_radius,
    relative_wavenumbers,
    without_autocast,
)
from operators.weights import ComplexWeight

DEVIATION = 0.02
CUTOFF = 0.25
"""Where the cut-offs start: the sigmoid of this, 0.562, of the highest wave number along an axis."""
SOFTNESS = 0.05
"""Width of the mended mask's flank, as a fraction of the highest wave number: about one mode of a 32x32 grid."""


class BandGate(nn.Module):
    """One number in (0, 1) a band, sample and channel, computed from the mean spectral amplitude in each band."""

    def __init__(self, bands: int, width: int) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(bands, width), nn.ReLU(), nn.Linear(width, bands), nn.Sigmoid())

    def forward(self, amplitude: Tensor, bands: Tensor, weight: Tensor) -> Tensor:
        """``amplitude`` (B, H, W', C) over the half plane, ``bands`` (K, H, W') ones and zeros, ``weight`` (W',) of a
        column in the mean; returns the gate of every mode, (B, H, W', C)."""
        share = bands * weight
        share = share / share.sum((1, 2), keepdim=True).clamp(min=1)
        means = torch.einsum("bhwc,khw->bck", amplitude, share)
        return torch.einsum("bck,khw->bhwc", self.network(means), bands)


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
        y = self.spectral(x)
        return self.norm(y if self.image is None else y + self.image(x), time)

    def spectral(self, x: Tensor) -> Tensor:
        """The Fourier branch, in single precision or better."""
        grid = x.shape[1:3]
        with without_autocast(x):
            x = at_least_single(x)
            modes = torch.fft.rfft2(x, dim=(1, 2), norm="forward")
            mask = self.low_pass(grid, x)[..., None]
            low, high = mask * modes, (1 - mask) * modes
            mixed = low if self.mixing is None else functional.linear(low, self.mixing())
            if self.gate is None:
                fused = mixed + high
            else:
                bands = radial_bands(relative_radius(grid, x), self.bands)
                gate = self.gate((high.abs() - low.abs()).abs(), bands, multiplicity(grid, x))
                fused = gate * mixed + (1 - gate) * high
            return torch.fft.irfft2(fused, s=grid, dim=(1, 2), norm="forward")

    def low_pass(self, grid: torch.Size, like: Tensor) -> Tensor:
        """Smooth mask over the half plane, near one where |k| is below the cut-off along both axes."""
        rows, columns = relative_wavenumbers(grid, like)
        cutoff = self.cutoff.sigmoid()
        return ((cutoff[0] - rows) / SOFTNESS).sigmoid() * ((cutoff[1] - columns) / SOFTNESS).sigmoid()


class PublishedDRIFTMixer(nn.Module):
    """The mixer as released with the paper, its peculiarities included.

    The mask is a corner of the array, so that low negative wave numbers count as high ones; the bands are rings around
    that corner by row index; the two cut-offs and ``unused_norm`` never receive a gradient.
    """

    def __init__(self, channels: int, bands: int = 6, gate_width: int = 128) -> None:
        super().__init__()
        self.bands = bands
        self.cutoff = nn.Parameter(torch.empty(2))
        self.mixing = ComplexWeight(channels, channels, deviation=DEVIATION)
        self.gate = BandGate(bands, gate_width)
        self.image = ImageBranch(channels, "zeros")
        self.norm = ConditionalLayerNorm(channels)
        self.unused_norm = ConditionalLayerNorm(channels)

    def draw_weights(self, generator: torch.Generator) -> None:
        self.cutoff.fill_(CUTOFF)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """``x`` (B, H, W, C), ``time`` (B, 1)."""
        with without_autocast(x):
            fields = at_least_single(x)
            modes = torch.fft.rfft2(fields, dim=(1, 2), norm="forward")
            # rounded down to whole modes, which is why the cut-offs cannot learn and stay where they start
            rows, columns = (int(n / (1 + math.exp(-CUTOFF))) for n in modes.shape[1:3])
            mask = fields.new_zeros(*modes.shape[1:3], 1)
            mask[:rows, :columns] = 1
            low = mask * modes
            ones = fields.new_ones(modes.shape[2])
            gate = self.gate(modes.abs(), radial_bands(self.radius(modes.shape[1:3], fields), self.bands), ones)
            fused = gate * functional.linear(low, self.mixing()) + (1 - gate) * (modes - low)
            y = torch.fft.irfft2(fused, s=x.shape[1:3], dim=(1, 2), norm="forward")
        return self.norm(y + self.image(x), time)

    @staticmethod
    def radius(half_plane: torch.Size, like: Tensor) -> Tensor:
        """Distance of each array entry from the first, one at the opposite corner."""
        row, column = (torch.arange(n, dtype=like.dtype, device=like.device) / max(n - 1, 1) for n in half_plane)
        radius = torch.sqrt(row[:, None] ** 2 + column**2)
        return radius / (radius.max() + 1e-8)
