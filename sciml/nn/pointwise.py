"""Networks of points on grids."""

from __future__ import annotations

from torch import Tensor, nn


class Pointwise(nn.Module):
    """Applies a network (..., features) -> (..., outputs) at every point: (B, features, *grid) -> (B, outputs, *grid)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x.movedim(1, -1)).movedim(-1, 1)
