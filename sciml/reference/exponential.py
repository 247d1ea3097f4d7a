"""Exponential time differencing for stiff systems whose linear part is diagonal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sciml.errors import DivergenceError, InputError

_CONTOUR_POINTS = 32


def etdrk4(
    symbol: Tensor,
    nonlinear: Callable[[Tensor], Tensor],
    initial: Tensor,
    times: Sequence[float] | Tensor,
    steps: int,
) -> Tensor:
    """Integrate v' = symbol * v + nonlinear(v) by the fourth-order exponential Runge-Kutta method of Cox and Matthews.

    Args:
        symbol: the linear part, real or complex, broadcastable to ``initial``.
        nonlinear: the rest, mapping coefficients (..., modes) to coefficients of the same shape.
        initial: coefficients v at ``times[0]``, (..., modes), on the device and in the precision of the computation.
        times: increasing output times (T,).
        steps: equal steps between two successive output times.

    Returns:
        The coefficients at ``times``: (T, ..., modes).

    Raises:
        InputError: times that do not increase, or no step.
        DivergenceError: the coefficients are no longer finite.

    Source: Cox & Matthews, J. Comput. Phys. 176 (2002), with the contour means of Kassam & Trefethen, SIAM J. Sci.
    Comput. 26 (2005), over a full circle since the symbol may be complex (KdV). A step adds its change to v, with
    exp(h symbol) - 1 as a mean too: rounding then does not grow with the number of steps.
    """
    times = [float(t) for t in times]
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise InputError(f"times={times} must increase")
    if steps < 1:
        raise InputError(f"steps={steps} must be at least 1 between two output times")
    v, output = initial, [initial]
    factors: tuple[Tensor, ...] = ()
    previous = 0.0
    for start, end in pairwise(times):
        step = (end - start) / steps
        if not math.isclose(step, previous, rel_tol=1e-12):
            factors, previous = _factors(symbol, step, initial.dtype), step
        for _ in range(steps):
            v = v + _change(v, nonlinear, *factors)
        if not torch.isfinite(v).all():
            raise DivergenceError(
                f"etdrk4 diverged before t={end:g} with a time step of {step:.3g}: raise steps={steps}"
            )
        output.append(v)
    return torch.stack(output)


def _change(
    v: Tensor,
    nonlinear: Callable[[Tensor], Tensor],
    half: Tensor,
    stage: Tensor,
    change: Tensor,
    outer: Tensor,
    middle: Tensor,
    last: Tensor,
) -> Tensor:
    n_v = nonlinear(v)
    decayed = half * v
    a = decayed + stage * n_v
    n_a = nonlinear(a)
    n_b = nonlinear(decayed + stage * n_a)
    n_c = nonlinear(half * a + stage * (2 * n_b - n_v))
    return change * v + outer * n_v + middle * (n_a + n_b) + last * n_c


def _factors(symbol: Tensor, step: float, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """The factors of ``_change``: means over the unit circle about h * symbol, where their formulas do not cancel."""
    centre = step * symbol.to(torch.complex128)
    means = torch.zeros(5, *centre.shape, dtype=centre.dtype, device=centre.device)
    for j in range(_CONTOUR_POINTS):
        angle = 2 * math.pi * (j + 0.5) / _CONTOUR_POINTS
        z = centre + complex(math.cos(angle), math.sin(angle))
        e = torch.exp(z)
        means[0] += (torch.exp(z / 2) - 1) / z
        means[1] += symbol * (e - 1) / z
        means[2] += (-4 - z + e * (4 - 3 * z + z**2)) / z**3
        means[3] += 2 * (2 + z + e * (z - 2)) / z**3
        means[4] += (-4 - 3 * z - z**2 + e * (4 - z)) / z**3
    factors = (torch.exp(centre / 2), *(step / _CONTOUR_POINTS * means))
    if symbol.is_complex():
        return tuple(factor.to(dtype.to_complex()) for factor in factors)
    return tuple(factor.real.to(dtype) for factor in factors)
