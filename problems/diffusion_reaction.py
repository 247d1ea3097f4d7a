"""Diffusion with a source of several scales."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciml.geometry import Interval, Time
from sciml.jets import Jet
from sciml.problem import Condition, Dirichlet, Initial, Problem

_AMPLITUDES = {1: 1.0, 2: 1 / 2, 3: 1 / 3, 4: 1 / 4, 8: 1 / 8}  # by wavenumber


@dataclass(frozen=True)
class DiffusionReaction(Problem):
    """u_t = u_xx + f on x in [-pi, pi], t in [0, 1], u(-pi, t) = u(pi, t) = 0.

    Exact: exp(-t) (sin x + sin(2x)/2 + sin(3x)/3 + sin(4x)/4 + sin(8x)/8), so
    f = exp(-t) (3 sin(2x)/2 + 8 sin(3x)/3 + 15 sin(4x)/4 + 63 sin(8x)/8).

    Source: DeepXDE's examples (Lu et al., SIAM Review 63, 2021).
    """

    coordinates = ("x", "t")
    unknowns = ("u",)
    domain = Interval("x", -math.pi, math.pi) * Time("t", 0, 1)

    def equations(self, u: Jet, x: Any, t: Any) -> dict[str, Jet]:
        source: Any = sum((k**2 - 1) * a * torch.sin(k * x) for k, a in _AMPLITUDES.items())
        return {"diffusion_reaction": u.t - u.xx - torch.exp(-t) * source}

    def conditions(self) -> list[Condition]:
        return [Initial(u=_initial), Dirichlet(u=0.0)]

    def exact(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        return {"u": torch.exp(-t) * _initial(x)}


def _initial(x: Tensor) -> Tensor:
    return torch.stack([a * torch.sin(k * x) for k, a in _AMPLITUDES.items()]).sum(0)
