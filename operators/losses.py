"""Losses on grid fields (B, C, *grid) that the operators' papers train with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from operators.spectral import at_least_single, relative_radius, without_autocast
from sciml.errors import InputError

FLOOR = 1e-10


def relative_l1(prediction: Tensor, target: Tensor, groups: Sequence[Sequence[int]] | None = None) -> Tensor:
    """Mean over ``groups`` of channels of mean |prediction - target| / mean |target| (Herde et al., 2405.19101).

    Each mean is over the batch, the group's channels and the grid. ``groups`` such as [[0], [1, 2], [3]] hold channel
    numbers; None takes all channels as one group. Raises InputError for different shapes or a channel out of range.
    """
    _check_shapes(prediction, target)
    channels = target.shape[1]
    groups = [range(channels)] if groups is None else groups
    if any(not group or not 0 <= min(group) <= max(group) < channels for group in groups):
        raise InputError(f"groups = {groups} must hold channel numbers from 0 to {channels - 1}, none of them empty")
    ratios = []
    for group in groups:
        index = list(group)
        error, size = (prediction[:, index] - target[:, index]).abs().mean(), target[:, index].abs().mean()
        ratios.append(error / (size + FLOOR))
    return torch.stack(ratios).mean()


def high_frequency_loss(prediction: Tensor, target: Tensor, norm: str = "ortho", exponent: float = 1.5) -> Tensor:
    """Mean over modes of (|k| / max |k|)**exponent |E(k)|^2, E the Fourier transform of the error (2509.24868).

    The paper's code takes norm="forward", which divides the loss by the number of grid points and so silences it.
    Raises InputError for different shapes.
    """
    _check_shapes(prediction, target)
    with without_autocast(prediction):
        error = at_least_single(prediction) - at_least_single(target)
        grid = error.shape[2:]
        energy = torch.view_as_real(torch.fft.rfftn(error, dim=tuple(range(2, error.ndim)), norm=norm)).square().sum(-1)
        return (relative_radius(grid, error) ** exponent * energy).mean()


def _check_shapes(prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape:
        raise InputError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape")
