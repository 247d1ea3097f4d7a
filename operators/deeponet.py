"""DeepONet (Lu et al., arXiv 1910.03193): values at fixed sensors in, values at any scattered points out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from operators.grids import check_positive, lead_time, unit_coordinates
from operators.weights import drawn_from
from sciml.errors import InputError


def layers(in_features: int, hidden: int, out_features: int, depth: int) -> list[nn.Module]:
    """A multilayer perceptron with ``depth`` hidden layers."""
    widths = [in_features, *[hidden] * depth]
    modules: list[nn.Module] = []
    for before, after in pairwise(widths):
        modules += [nn.Linear(before, after), nn.GELU()]
    return [*modules, nn.Linear(widths[-1], out_features)]


class DeepONet(nn.Module):
    """output(y) = bias + sum over k of branch_k(sensor values) trunk_k(y, lead time), for each output channel.

    ``sensors`` is the shape of the input's sensors, always the same ones: (H, W) for a grid, (n,) for scattered ones;
    ``dimensions`` that of the output's points, by default one an axis of ``sensors``. ``n_basis`` terms a channel.
    ``generator`` draws the weights (None: seed 0). Raises InputError for arguments out of range.
    """

    name = "deeponet"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        sensors: Sequence[int],
        dimensions: int | None = None,
        hidden_channels: int = 128,
        n_layers: int = 3,
        n_basis: int = 64,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_positive(
            in_channels=in_channels,
            out_channels=out_channels,
            sensors=sensors,
            hidden_channels=hidden_channels,
            n_layers=n_layers,
            n_basis=n_basis,
        )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.sensors = tuple(sensors)
        self.dimensions = len(self.sensors) if dimensions is None else dimensions
        values = in_channels * math.prod(self.sensors)
        with drawn_from(generator, self):
            self.branch = nn.Sequential(*layers(values, hidden_channels, out_channels * n_basis, n_layers))
            self.trunk = nn.Sequential(
                *layers(self.dimensions + 1, hidden_channels, out_channels * n_basis, n_layers), nn.GELU()
            )
            self.bias = nn.Parameter(torch.empty(out_channels))

    def draw_weights(self, generator: torch.Generator) -> None:
        self.bias.zero_()

    def forward(self, x: Tensor, time: Tensor | None = None, points: Tensor | None = None) -> Tensor:
        """Values ``x`` (B, in_channels, *sensors), lead time ``time`` (B,), one if None, at ``points``, (P, d) for all
        samples or (B, P, d): returns (B, out_channels, P). Without points: at the coordinates i/n of the sensors' own
        grid, (B, out_channels, *sensors).

        Raises InputError for other channels, sensors or point dimensions, or times that are not one a sample.
        """
        if x.shape[1:] != (self.in_channels, *self.sensors):
            expected = ", ".join(str(n) for n in ("batch", self.in_channels, *self.sensors))
            raise InputError(f"x has shape {tuple(x.shape)}, but the network was built for ({expected})")
        column = lead_time(time, x)
        if points is None:
            if self.dimensions != len(self.sensors):
                raise InputError(
                    f"points must be given: the sensors {self.sensors} are not a grid in {self.dimensions} dimensions"
                )
            values = self.at(x, column, unit_coordinates(self.sensors, x).flatten(0, -2))
            return values.reshape(x.shape[0], self.out_channels, *self.sensors)
        every = points.shape[:-2] in ((), (x.shape[0],))
        if points.ndim < 2 or points.shape[-1] != self.dimensions or not every:
            raise InputError(
                f"points has shape {tuple(points.shape)}, expected (points, {self.dimensions}), or the same for each "
                f"of the {x.shape[0]} samples"
            )
        return self.at(x, column, points)

    def at(self, x: Tensor, time: Tensor, points: Tensor) -> Tensor:
        """The output at ``points`` (P, d) or (B, P, d)."""
        located = points.expand(x.shape[0], -1, -1)
        located = torch.cat([located, time[:, None, :].expand(-1, located.shape[1], -1)], dim=-1)
        basis = self.trunk(located).unflatten(-1, (self.out_channels, -1))
        coefficients = self.branch(x.flatten(1)).unflatten(-1, (self.out_channels, -1))
        return torch.einsum("bok,bpok->bop", coefficients, basis) + self.bias[:, None]
