"""How far computed fields on a grid are from true ones: every figure about operators is defined here, once.

Fields have shape (samples, times, channels, *grid), in the units of the data; a figure keeps the samples apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sciml.errors import InputError

FLOOR = 1e-10  # of what errors are divided by
CORRELATED = 0.8
DIVERGED = 10.0  # times the largest norm of the true trajectory


def members(groups: Sequence[str]) -> dict[str, list[int]]:
    """Channel numbers by name of their group, from the group of every channel."""
    return {name: [i for i, group in enumerate(groups) if group == name] for name in dict.fromkeys(groups)}


def relative_l1(computed: Tensor, true: Tensor, groups: Sequence[str]) -> Tensor:
    """sum |computed - true| / sum |true| over the grid and the channels of a group: (samples, times, groups).

    Source: Herde et al., arXiv 2405.19101.
    """
    return _relative(computed, true, groups, lambda values: values.abs().sum(-1))


def relative_l2(computed: Tensor, true: Tensor, groups: Sequence[str]) -> Tensor:
    """||computed - true|| / ||true|| over the grid and the channels of a group: (samples, times, groups)."""
    return _relative(computed, true, groups, lambda values: values.norm(dim=-1))


def vrmse(computed: Tensor, true: Tensor) -> Tensor:
    """Root mean square error over the standard deviation of the true field: (samples, times, channels).

    Predicting the mean scores 1. Source: Ohana et al., arXiv 2412.00568.
    """
    _check(computed, true)
    error, true = (computed - true).flatten(3), true.flatten(3)
    return (error.square().mean(-1) / (true.var(-1, correction=0) + FLOOR)).sqrt()


def spectrum(fields: Tensor) -> Tensor:
    """Energy, the sum over channels of |Fourier coefficient|^2, in shells of wave numbers |k| rounded: (samples, times,
    shells), as far as every axis resolves them."""
    grid = fields.shape[3:]
    axes = tuple(range(3, fields.ndim))
    energy = torch.fft.fftn(fields, dim=axes, norm="forward").abs().square().sum(2)
    squares = torch.zeros(grid, device=fields.device)
    for axis, n in enumerate(grid):
        shape = [n if i == axis else 1 for i in range(len(grid))]
        squares = squares + torch.fft.fftfreq(n, 1 / n, device=fields.device).square().reshape(shape)
    shell = squares.sqrt().round().long().flatten()
    count = min(grid) // 2 + 1
    kept = shell < count
    sums = energy.new_zeros(*energy.shape[:2], count)
    return sums.index_add_(2, shell[kept], energy.flatten(2)[..., kept])


def spectrum_error(computed: Tensor, true: Tensor) -> Tensor:
    """|E - E_true| / E_true, the energies in shells of wave numbers: (samples, times, shells)."""
    _check(computed, true)
    energy, expected = spectrum(computed), spectrum(true)
    return (energy - expected).abs() / (expected + FLOOR * expected.sum(-1, keepdim=True))


def energy_drift(computed: Tensor, true: Tensor) -> Tensor:
    """sum of squares of the computed over that of the true fields, less one: (samples, times)."""
    _check(computed, true)
    energy, expected = (fields.square().flatten(2).sum(-1) for fields in (computed, true))
    return energy / (expected + FLOOR) - 1


def correlation(computed: Tensor, true: Tensor, groups: Sequence[str]) -> Tensor:
    """Pearson's correlation over the grid and the channels of a group, each less its mean: (samples, times, groups)."""
    _check(computed, true)
    a, b = (fields.flatten(3) - fields.flatten(3).mean(-1, keepdim=True) for fields in (computed, true))
    found = []
    for index in members(groups).values():
        x, y = a[:, :, index].flatten(2), b[:, :, index].flatten(2)
        found.append((x * y).sum(-1) / (x.norm(dim=-1) * y.norm(dim=-1) + FLOOR))
    return torch.stack(found, dim=-1)


def time_to_correlation(
    computed: Tensor, true: Tensor, groups: Sequence[str], times: Sequence[float], threshold: float = CORRELATED
) -> Tensor:
    """The last of ``times`` before the correlation, mean over groups, first falls below ``threshold``, 0 when it is never
    above: (samples,)."""
    above = (correlation(computed, true, groups).mean(-1) >= threshold).int().cumprod(1).sum(1)
    return torch.tensor([0.0, *times], device=computed.device)[above]


def diverged(computed: Tensor, true: Tensor) -> Tensor:
    """Whether a rollout left the finite numbers, or ten times the largest norm of the true one: (samples,)."""
    _check(computed, true)
    size, largest = computed.flatten(2).norm(dim=-1).amax(1), true.flatten(2).norm(dim=-1).amax(1)
    return ~(size <= DIVERGED * largest)


def rollout_figures(
    computed: Tensor, true: Tensor, groups: Sequence[str], times: Sequence[float], periodic: bool = True
) -> dict[str, Tensor]:
    """Every figure of rollouts by name, one row a sample; the spectrum for ``periodic`` fields only."""
    figures = {
        "relative_l1": relative_l1(computed, true, groups),
        "relative_l2": relative_l2(computed, true, groups),
        "vrmse": vrmse(computed, true),
        "energy_drift": energy_drift(computed, true),
        "time_to_correlation": time_to_correlation(computed, true, groups, times),
        "diverged": diverged(computed, true).float(),
    }
    return figures | ({"spectrum_error": spectrum_error(computed, true)} if periodic else {})


def summary(figures: Mapping[str, Tensor]) -> dict[str, Any]:
    """What a report says of ``rollout_figures``: lists by step.

    Relative errors are the median over samples, then the mean over groups; with ``_mean`` the mean over samples. The
    spectrum's error is by shell, at the last step.
    """
    told: dict[str, Any] = {}
    for name in ("relative_l1", "relative_l2"):
        told[name] = median(figures[name]).mean(-1).tolist()
        told[f"{name}_mean"] = figures[name].mean((0, -1)).tolist()
    told["vrmse"] = median(figures["vrmse"]).mean(-1).tolist()
    told["energy_drift"] = median(figures["energy_drift"]).tolist()
    told["time_to_correlation"] = float(median(figures["time_to_correlation"]))
    told["diverged"] = float(figures["diverged"].mean())
    if "spectrum_error" in figures:
        told["spectrum_error"] = median(figures["spectrum_error"])[-1].tolist()
    return told


def median(values: Tensor) -> Tensor:
    """Over the first axis, the mean of the middle two for an even number; what is not a number counts as infinite."""
    ordered = torch.where(values.isnan(), torch.inf, values).sort(0).values
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _relative(computed: Tensor, true: Tensor, groups: Sequence[str], size: Callable[[Tensor], Tensor]) -> Tensor:
    _check(computed, true)
    if len(groups) != true.shape[2]:
        raise InputError(f"groups must name one group a channel, got {len(groups)} for {true.shape[2]} channels")
    error = computed - true
    ratios = [
        size(error[:, :, index].flatten(2)) / (size(true[:, :, index].flatten(2)) + FLOOR) for index in members(groups).values()
    ]
    return torch.stack(ratios, dim=-1)


def _check(computed: Tensor, true: Tensor) -> None:
    if computed.shape != true.shape or true.ndim < 4:
        raise InputError(
            f"computed {tuple(computed.shape)} and true {tuple(true.shape)} must both be (samples, times, channels, *grid)"
        )
