"""Two-dimensional incompressible flow on a torus, by its vorticity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.reference.exponential import etdrk4
from sciml.reference.fourier import FourierGrid

_COURANT = 0.5  # grid spacings that the flow may cross in a step


def vorticity_flow(
    initial: Tensor,
    viscosity: float,
    times: Sequence[float] | Tensor,
    *,
    length: float = 1.0,
    forcing: Tensor | None = None,
    steps: int | None = None,
) -> Tensor:
    """Solve w_t + u . grad w = viscosity lap w + forcing, u the velocity of vorticity w, on [0, length)^2, periodic.

    Fourier pseudo-spectral with the two-thirds rule, ETDRK4 in time.

    Args:
        initial: w at ``times[0]``, (..., n, n), a batch of flows on the device and in the precision of the computation.
            Its mean stays as it is, but for that of the forcing, and moves no fluid.
        times: increasing output times (T,).
        forcing: steady, broadcastable to ``initial``.
        steps: equal steps between two output times; None takes as many as stability asks for at the greatest
            speed at the start, and what the forcing may add to it.

    Returns:
        w at ``times``: (T, ..., n, n).

    Raises:
        InputError: ``initial`` is not square, or what ``etdrk4`` refuses.
    """
    n = initial.shape[-1]
    if initial.ndim < 2 or initial.shape[-2] != n:
        raise InputError(f"initial has shape {tuple(initial.shape)}, expected square grids (..., n, n)")
    grid = FourierGrid((0.0, 0.0), (length, length), (n, n))
    dtype, device = initial.dtype, initial.device

    def derivative(*orders: int) -> Tensor:
        return grid.derivative(*orders, dtype=dtype, device=device)

    x, y, laplacian = derivative(1, 0), derivative(0, 1), derivative(2, 0) + derivative(0, 2)
    stream = -grid.inverse_laplacian(dtype=dtype, device=device)
    keep = grid.dealias(device=device)
    source = torch.zeros_like(stream) if forcing is None else keep * grid.forward(forcing)

    def velocity(w: Tensor) -> tuple[Tensor, Tensor]:
        psi = stream * w
        return grid.inverse(y * psi), grid.inverse(-x * psi)

    def transport(w: Tensor) -> Tensor:
        u, v = velocity(w)
        field = grid.inverse(w)
        return source - keep * (x * grid.forward(u * field) + y * grid.forward(v * field))

    start = keep * grid.forward(initial)
    times = [float(t) for t in times]
    if steps is None:
        fastest = torch.stack(velocity(start)).abs().max().item()
        if forcing is not None:
            fastest += (times[-1] - times[0]) * torch.stack(velocity(source)).abs().max().item()
        longest = max((later - earlier for earlier, later in pairwise(times)), default=0.0)
        steps = max(1, math.ceil(longest * fastest * n / length / _COURANT))
    return grid.inverse(etdrk4(viscosity * laplacian, transport, start, times, steps))
