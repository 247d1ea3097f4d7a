"""Random smooth fields that families of problems start from."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Function = Callable[..., Tensor]
"""Maps coordinates, each (N,), to values (N,)."""


def periodic_field(
    generator: torch.Generator,
    dimension: int,
    waves: int,
    deviation: Callable[[Tensor], Tensor],
    period: float = 1.0,
    mean_square: float | None = None,
    measured: Callable[[Tensor], Tensor] = torch.ones_like,
) -> Function:
    """The Gaussian field sum of deviation(|k|) (xi_k cos(k . x) + eta_k sin(k . x)), in one or two dimensions.

    The sum is over the wave vectors k other than zero with ``waves`` waves a period or fewer along each axis, one of every
    pair k, -k; xi and eta are independent standard normal.

    Args:
        deviation: of |k|; any scale will do when ``mean_square`` is given.
        mean_square: expected mean square of the field, or of what follows from it by the factor ``measured`` of |k|.
    """
    counts = torch.arange(-waves, waves + 1, dtype=torch.float64)
    axes = [counts] * (dimension - 1) + [counts[waves:]]
    vectors = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    one_of_two = (vectors[-1] > 0) | ((vectors[-1] == 0) & (vectors[0] > 0))
    size = 2 * math.pi / period * vectors.norm(dim=0).clamp(min=1)
    scale = torch.where(one_of_two, deviation(size), 0)
    if mean_square is not None:
        scale = scale * math.sqrt(mean_square / (scale * measured(size)).square().sum())
    real, imaginary = torch.randn(2, *scale.shape, dtype=torch.float64, generator=generator) * scale
    coefficients = torch.complex(real, imaginary)

    def waves_at(x: Tensor, axis: Tensor) -> Tensor:
        phase = 2 * math.pi / period * torch.outer(x, axis.to(x))
        return torch.polar(torch.ones_like(phase), phase)

    def line(x: Tensor) -> Tensor:
        first = waves_at(x, axes[0])
        return (first @ coefficients.to(first)).real

    def plane(x: Tensor, y: Tensor) -> Tensor:
        first = waves_at(x, axes[0])
        return (first @ coefficients.to(first) * waves_at(y, axes[1])).sum(1).real

    return plane if dimension == 2 else line
