"""Random smooth fields that families of problems start from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sciml.errors import InputError

Function = Callable[..., Tensor]
"""Maps coordinates, each (N,), to values (N,)."""
Spectrum = Literal["periodic_kernel", "power_law"]
_MODES = {"periodic_kernel": 16, "power_law": 32}  # the first have decayed to 1e-8 by then, the second to 5e-4


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


@dataclass(frozen=True)
class FourierSeries:
    """The real part of sum_kl c_kl exp(2 pi i (k x + l y) / length), k and l from -m to m.

    Attributes:
        coefficients: complex (2 m + 1, 2 m + 1).
    """

    coefficients: Tensor
    length: float

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Values (N,) at points x, y (N,), in their type and on their device."""
        m = len(self.coefficients) // 2
        k = torch.arange(-m, m + 1, dtype=x.dtype, device=x.device)
        in_x, in_y = (torch.exp(2j * math.pi / self.length * axis[:, None] * k) for axis in (x, y))
        return ((in_x @ self.coefficients.to(in_x)) * in_y).sum(1).real


def random_field(seed: int, spectrum: Spectrum = "periodic_kernel", length: float = 1.0) -> FourierSeries:
    """A Gaussian random field of mean zero, of period ``length`` in x and y; the same for the same ``seed``.

    - "periodic_kernel": covariance exp(-2 (sin^2(pi dx) + sin^2(pi dy)) / 0.8^2) for displacements in units of the
      period, less its mean (Chalapathi, Du & Krishnapriyan, ICLR 2024, 2402.13412).
    - "power_law": eigenvalues 2 * 7^3 (4 pi^2 |k|^2 + 49)^(-5/2) of the covariance, as the code published with the
      Fourier neural operator has them (Li et al., 2010.08895, whose text says 7^(3/2) in place of 2 * 7^3).

    Raises:
        InputError: another spectrum.
    """
    if spectrum not in _MODES:
        raise InputError(f"spectrum={spectrum!r} must be one of {', '.join(_MODES)}")
    m = _MODES[spectrum]
    k = torch.arange(-m, m + 1, dtype=torch.float64)
    variance = _kernel(k) if spectrum == "periodic_kernel" else _power_law(k)
    variance[m, m] = 0
    noise = torch.randn(2 * m + 1, 2 * m + 1, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return FourierSeries(variance.sqrt() * torch.view_as_complex(noise), length)


def _kernel(k: Tensor, length_scale: float = 0.8) -> Tensor:
    """exp(-2 sin^2(pi d) / s^2) = exp(-1/s^2) exp(cos(2 pi d) / s^2), whose Fourier coefficients are Bessel functions."""
    from scipy.special import ive

    axis = torch.from_numpy(ive(k.numpy(), 1 / length_scale**2))
    return torch.outer(axis, axis)


def _power_law(k: Tensor) -> Tensor:
    squares = k.square()[:, None] + k.square()
    return 2 * 7**3 * (4 * math.pi**2 * squares + 49) ** -2.5
