"""The exact solution of the viscous Burgers equation on the line."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sciml.errors import InputError

_POINTS_AT_ONCE = 2**14


def cole_hopf(
    x: Tensor,
    t: Tensor,
    viscosity: float | Tensor,
    initial: Callable[[Tensor], Tensor],
    potential: Callable[[Tensor], Tensor],
    *,
    variation: float,
    steepness: float,
) -> Tensor:
    """The solution at (x, t), each (N,), t >= 0, of u_t + u u_x = viscosity u_xx with u(x, 0) = initial(x).

    With P' = initial, u(x, t) is the mean of initial(x - s) for the density proportional to
    exp(-P(x - s) / (2 viscosity) - s^2 / (4 viscosity t)). Differentiable, and accurate to rounding.

    Args:
        initial, potential: u(., 0) and P, pointwise and entire.
        variation, steepness: bounds of max P - min P and of |initial'|; they set the quadrature's range and spacing.

    Raises:
        InputError: the viscosity is not positive.

    The trapezoidal rule is used: for an entire integrand it converges as fast as Gauss-Hermite, whose weights underflow
    at the nodes that matter once the viscosity is small. Both exponents are added, and their maximum subtracted, before
    any exponential is taken. Source: Cole, Quart. Appl. Math. 9 (1951); Hopf, Comm. Pure Appl. Math. 3 (1950).
    """
    if not float(viscosity) > 0:
        raise InputError(f"viscosity={float(viscosity):g} must be positive")
    reach = math.sqrt(40 + variation / (2 * float(viscosity)))
    spacing = 0.3 / math.sqrt(1 + steepness * float(t.detach().max()) * (1 + 2 * float(viscosity) / variation))
    half = math.ceil(reach / spacing)
    z = spacing * torch.arange(-half, half + 1, dtype=x.dtype, device=x.device)

    def mean(x: Tensor, t: Tensor) -> Tensor:
        width = 2 * torch.sqrt(viscosity * t.clamp(min=torch.finfo(t.dtype).tiny))
        origin = x.unsqueeze(-1) - width.unsqueeze(-1) * z
        density = torch.softmax(-potential(origin) / (2 * viscosity) - z**2, dim=-1)
        return (density * initial(origin)).sum(-1)

    return torch.cat([mean(*chunk) for chunk in zip(x.split(_POINTS_AT_ONCE), t.split(_POINTS_AT_ONCE), strict=True)])
