"""Reaction and diffusion on an interval: Chebyshev collocation in space, an implicit Runge-Kutta method in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from sciml.errors import DivergenceError
from sciml.reference.chebyshev import differentiation_matrix

Boundary = tuple[float, float, float]
"""(a, b, value) of a u + b u_x = value at one end."""


def reaction_diffusion(
    nodes: Tensor,
    diffusion: float,
    reaction: Callable[[Tensor], Tensor],
    initial: Tensor,
    times: Sequence[float],
    *,
    left: Boundary,
    right: Boundary,
    capacity: Callable[[Tensor], Tensor] = torch.ones_like,
    tolerance: float = 1e-10,
) -> Tensor:
    """Solve capacity(u) u_t = diffusion u_xx + reaction(u).

    Args:
        nodes: Chebyshev points (n + 1,), see ``chebyshev_nodes``.
        reaction: a pointwise function of u.
        initial: u at ``nodes`` and ``times[0]``.
        times: increasing output times (T,).
        left, right: the boundary condition at either end.
        capacity: a positive pointwise function of u.
        tolerance: relative error allowed in a step of Radau IIA (order 5); the absolute one is a hundredth of it.

    Returns:
        u at ``times`` and ``nodes``, (T, n + 1), float64 on the CPU.

    Raises:
        DivergenceError: the integrator gave up.
    """
    from scipy.integrate import solve_ivp

    derivative = differentiation_matrix(nodes)
    ends = [0, len(nodes) - 1]
    conditions = torch.zeros(2, len(nodes), dtype=torch.float64)
    for row, (end, (a, b, _)) in enumerate(zip(ends, (left, right), strict=True)):
        conditions[row] = b * derivative[end]
        conditions[row, end] += a
    # The two end values follow from the others: u = extend @ interior + offset.
    solve = torch.linalg.inv(conditions[:, ends])
    extend = torch.zeros(len(nodes), len(nodes) - 2, dtype=torch.float64)
    extend[1:-1] = torch.eye(len(nodes) - 2, dtype=torch.float64)
    extend[ends] = -solve @ conditions[:, 1:-1]
    offset = torch.zeros(len(nodes), dtype=torch.float64)
    offset[ends] = solve @ torch.tensor([left[2], right[2]], dtype=torch.float64)
    second = derivative @ derivative
    linear = diffusion * (second @ extend)[1:-1]
    source = diffusion * (second @ offset)[1:-1]

    def rate(_: float, u: np.ndarray) -> np.ndarray:
        interior = torch.from_numpy(u)
        return ((linear @ interior + source + reaction(interior)) / capacity(interior)).numpy()

    def jacobian(_: float, u: np.ndarray) -> np.ndarray:
        interior = torch.from_numpy(u)
        # Newton's method needs few digits. Where the reaction ends, its steps fail and Radau takes smaller ones.
        local = (_slope(reaction, interior) - _slope(capacity, interior) * torch.from_numpy(rate(0.0, u))).nan_to_num()
        return ((linear + torch.diag(local)) / capacity(interior).unsqueeze(1)).numpy()

    result = solve_ivp(
        rate, (times[0], times[-1]), initial[1:-1].numpy(), method="Radau", t_eval=times, jac=jacobian,
        rtol=tolerance, atol=tolerance / 100,
    )  # fmt: skip
    if not result.success:
        raise DivergenceError(f"reaction_diffusion did not reach t={times[len(result.t)]:g}: {result.message}")
    return torch.from_numpy(result.y.T) @ extend.T + offset


def _slope(function: Callable[[Tensor], Tensor], u: Tensor) -> Tensor:
    return (function(u + 1e-6) - function(u - 1e-6)) / 2e-6
