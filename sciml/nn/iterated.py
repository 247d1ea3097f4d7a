"""A network that refines its own estimate step by step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sciml.errors import InputError
from sciml.nn.linear import default_generator
from sciml.nn.mlp import MLP


class IteratedNetwork(nn.Module):
    """Estimates of fields of the coordinates: one network, applied over and over, corrects them and a hidden state.

    In every step the network sees the encoded coordinates, the last estimate and the hidden state with a code of the
    step; it adds to the estimate and replaces the hidden state. The correction is zero before training.

    Source: Sawdayee, Vaxman, Bermano, OReX, arXiv 2211.12886.

    Args:
        encoding: of the coordinates, a module with ``out_features``.
        out_features: number of fields.
        steps: estimates after the first one.
        hidden: size of the hidden state, even.
        width, depth, activation: of the network, see ``MLP``.
        scale: of a correction; about the size of what there is to correct.
        generator: source of the initial weights; without one, a fresh generator with seed 0.

    Raises:
        InputError: a size is not positive, or ``hidden`` is odd.
    """

    code: Tensor

    def __init__(
        self,
        encoding: nn.Module,
        out_features: int,
        steps: int = 3,
        hidden: int = 16,
        width: int = 64,
        depth: int = 3,
        activation: str | nn.Module = "silu",
        *,
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if min(steps, hidden) < 1 or hidden % 2:
            raise InputError(f"steps and an even hidden must be positive, got {steps} and {hidden}")
        generator = default_generator(generator)
        self.steps, self.scale, self.encoding = steps, scale, encoding
        start = torch.rand(hidden, generator=generator, device=generator.device)
        self.start = nn.Parameter(start.to(torch.get_default_device()))
        features = int(encoding.out_features) + out_features + hidden  # type: ignore[arg-type]
        self.network = MLP(features, out_features + hidden, width, depth, activation, generator=generator)
        with torch.no_grad():
            self.network.layers[-1].get_parameter("weight")[:out_features] = 0
        angles = torch.arange(steps)[:, None] / 2.0 ** torch.arange(hidden // 2)
        self.register_buffer("code", torch.cat([angles.cos(), angles.sin()], dim=1))

    def forward(self, points: Tensor, estimate: Tensor) -> list[Tensor]:
        """The estimates (N, out_features) after every step.

        Args:
            points: (N, coordinates).
            estimate: the first one (N, out_features).
        """
        encoded = self.encoding(points)
        state = self.start.expand(len(points), -1)
        estimates = []
        for code in self.code:
            output = self.network(torch.cat([encoded, estimate, state + code], dim=1))
            correction, state = output.split([estimate.shape[1], len(code)], dim=1)
            estimate = estimate + self.scale * correction
            estimates.append(estimate)
        return estimates

    def extra_repr(self) -> str:
        return f"steps={self.steps}, scale={self.scale}"
