"""The compressible Euler equations on a periodic rectangle, by finite volumes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sciml.errors import DivergenceError

_COURANT = 0.5


def compressible_euler(
    initial: Tensor, times: Sequence[float] | Tensor, lengths: tuple[float, float], gamma: float, courant: float = _COURANT
) -> Tensor:
    """Density, velocity and pressure of an ideal gas, periodic in x and y.

    Linear reconstruction of these four in every cell with the monotonised central limiter (van Leer, J. Comput. Phys. 23,
    1977), the HLLC flux (Toro, Spruce & Speares, Shock Waves 4, 1994) and the strongly stable Runge-Kutta method of order
    three (Shu & Osher, J. Comput. Phys. 77, 1988): second order where the flow is smooth, about first at shocks.

    Args:
        initial: (4, ..., n, m), density, u, v and pressure in each of n x m equal cells at ``times[0]``.
        times: increasing (T,).
        lengths: of the rectangle along x (n cells) and y (m cells).
        gamma: ratio of specific heats.
        courant: time step over the time in which the fastest wave crosses a cell.

    Returns:
        The states (T, 4, ..., n, m).

    Raises:
        DivergenceError: density or pressure is no longer positive.
    """
    cells = [length / n for length, n in zip(lengths, initial.shape[-2:], strict=True)]
    now, state, output = float(times[0]), _conserved(initial, gamma), []
    for end in map(float, times):
        while now < end:
            flow = _primitive(state, gamma)
            if not (flow[[0, 3]] > 0).all():
                raise DivergenceError(f"density or pressure is no longer positive at t={now:g}: lower courant={courant:g}")
            step = min(courant / _fastest(flow, cells, gamma), end - now)
            first = state + step * _rate(state, cells, gamma)
            second = (3 * state + first + step * _rate(first, cells, gamma)) / 4
            state = (state + 2 * second + 2 * step * _rate(second, cells, gamma)) / 3
            now = now + step if now + step < end else end
        output.append(_primitive(state, gamma))
    return torch.stack(output)


def _rate(state: Tensor, cells: Sequence[float], gamma: float) -> Tensor:
    """d/dt of the conserved variables (4, ..., n, m): density, momentum along x and y, energy."""
    flow = _primitive(state, gamma)
    along_x = _flux_difference(flow, gamma) / cells[0]
    turned = flow[[0, 2, 1, 3]].transpose(-2, -1)
    along_y = _flux_difference(turned, gamma).transpose(-2, -1)[[0, 2, 1, 3]] / cells[1]
    return -along_x - along_y


def _flux_difference(flow: Tensor, gamma: float) -> Tensor:
    """Of the fluxes through the two ends of every cell along the last axis but one, with the velocity u along it."""
    backward = flow - flow.roll(1, -2)
    forward = backward.roll(-1, -2)
    least = torch.minimum(torch.minimum(2 * backward.abs(), 2 * forward.abs()), (backward + forward).abs() / 2)
    half_slope = torch.where(backward * forward > 0, least * forward.sign() / 2, 0)
    flux = _hllc(flow + half_slope, (flow - half_slope).roll(-1, -2), gamma)
    return flux - flux.roll(1, -2)


def _hllc(left: Tensor, right: Tensor, gamma: float) -> Tensor:
    """The flux between two states (4, ...), with Davis's bounds for the fastest waves."""
    (rho_l, u_l, _, p_l), (rho_r, u_r, _, p_r) = left, right
    sound_l, sound_r = (gamma * p_l / rho_l).sqrt(), (gamma * p_r / rho_r).sqrt()
    slowest = torch.minimum(u_l - sound_l, u_r - sound_r)
    fastest = torch.maximum(u_l + sound_l, u_r + sound_r)
    inflow_l, inflow_r = rho_l * (slowest - u_l), rho_r * (fastest - u_r)
    contact = (p_r - p_l + u_l * inflow_l - u_r * inflow_r) / (inflow_l - inflow_r)
    of_left = _side(left, torch.minimum(slowest, torch.zeros_like(slowest)), slowest, contact, gamma)
    of_right = _side(right, torch.maximum(fastest, torch.zeros_like(fastest)), fastest, contact, gamma)
    return torch.where(contact >= 0, of_left, of_right)


def _side(flow: Tensor, outer: Tensor, wave: Tensor, contact: Tensor, gamma: float) -> Tensor:
    """The flux on one side of the contact: that of ``flow``, and the jump across its wave unless ``outer`` is zero."""
    rho, u, v, p = flow
    state = _conserved(flow, gamma)
    flux = u * state
    flux[1] += p
    flux[3] += u * p
    density = rho * (wave - u) / (wave - contact)
    energy = state[3] / rho + (contact - u) * (contact + p / (rho * (wave - u)))
    return flux + outer * (density * torch.stack([torch.ones_like(u), contact, v, energy]) - state)


def _conserved(flow: Tensor, gamma: float) -> Tensor:
    rho, u, v, p = flow
    return torch.stack([rho, rho * u, rho * v, p / (gamma - 1) + rho * (u * u + v * v) / 2])


def _primitive(state: Tensor, gamma: float) -> Tensor:
    rho, x, y, energy = state
    return torch.stack([rho, x / rho, y / rho, (gamma - 1) * (energy - (x * x + y * y) / (2 * rho))])


def _fastest(flow: Tensor, cells: Sequence[float], gamma: float) -> float:
    """The largest number of cells that a wave crosses in a unit of time, both directions added."""
    rho, u, v, p = flow
    sound = (gamma * p / rho).sqrt()
    return float(((u.abs() + sound) / cells[0] + (v.abs() + sound) / cells[1]).max())
