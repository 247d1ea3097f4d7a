"""Learnable encodings of points in about [-1, 1]: frequencies, and features on grids."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sciml.nn.linear import default_generator

SPREAD = 0.1  # of the features at first
GAIN = 10.0  # features are stored so many times smaller: Adam moves them that much faster than weights


class LearnedFrequencies(nn.Module):
    """The coordinates with their cosines and sines at learnable frequencies, at first 1, 2, 4, ...

    Cosines and sines have frequencies of their own (Sawdayee, Vaxman, Bermano, arXiv 2211.12886).
    """

    def __init__(self, in_features: int, frequencies: int) -> None:
        super().__init__()
        self.out_features = in_features * (1 + 2 * frequencies)
        powers = 2.0 ** torch.arange(frequencies)
        self.cosines, self.sines = nn.Parameter(powers), nn.Parameter(powers.clone())

    def forward(self, points: Tensor) -> Tensor:
        """(N, in_features) to (N, out_features)."""
        phases = [(points[:, :, None] * frequencies).flatten(1) for frequencies in (self.cosines, self.sines)]
        return torch.cat([points, phases[0].cos(), phases[1].sin()], dim=1)


class FeatureGrids(nn.Module):
    """The coordinates of space with features that are interpolated, with a continuous slope, on grids from coarse to fine.

    Source: Mueller, Evans, Schied, Keller, ACM Trans. Graph. 41 (2022), without hashing.

    Args:
        cells: of every grid along each side of the cube [-reach, reach]^3.
        features: on every grid.
    """

    corners: Tensor

    def __init__(
        self,
        cells: Sequence[int] = (8, 16, 32, 64),
        features: int = 2,
        reach: float = 1.25,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        generator = default_generator(generator)
        self.cells, self.reach = tuple(cells), reach
        self.out_features = 3 + features * len(self.cells)
        self.register_buffer("corners", torch.cartesian_prod(*[torch.arange(2)] * 3), persistent=False)
        draws = [torch.rand((n + 1) ** 3, features, generator=generator, device=generator.device) for n in self.cells]
        self.grids = nn.ParameterList([((2 * draw - 1) * SPREAD / GAIN).to(self.corners.device) for draw in draws])

    def forward(self, points: Tensor) -> Tensor:
        """(N, 3) to (N, out_features)."""
        encoded = [points]
        unit = (points / (2 * self.reach) + 0.5).clamp(0, 1)
        for cells, grid in zip(self.cells, self.grids, strict=True):
            place = unit * cells
            first = place.detach().floor().clamp(max=cells - 1)
            share = place - first
            share = (share * share * (3 - 2 * share))[:, None]
            weights = torch.where(self.corners.bool(), share, 1 - share).prod(2)
            x, y, z = (first.long()[:, None] + self.corners).unbind(2)
            encoded.append(GAIN * (weights[:, :, None] * grid[(x * (cells + 1) + y) * (cells + 1) + z]).sum(1))
        return torch.cat(encoded, dim=1)

    def extra_repr(self) -> str:
        return f"cells={self.cells}, reach={self.reach}"
