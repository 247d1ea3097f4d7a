"""What every operator on grids checks and prepares: channels, grid, lead time, a grid that divides evenly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from sciml.errors import InputError, nearest
from sciml.nn.spectral import fourier_resample

Padding = Literal["periodic", "zeros"]


def check_padding(padding: str) -> None:
    """Raise InputError unless ``padding`` is known."""
    if padding not in ("periodic", "zeros"):
        raise InputError(f"padding = {padding!r} is not known; {nearest(padding, ('periodic', 'zeros'))}")


def check_positive(**numbers: int | Sequence[int]) -> None:
    """Raise InputError unless every number, or every entry of a sequence, is at least one."""
    for name, value in numbers.items():
        if min([value] if isinstance(value, int) else [*value, 1]) < 1:
            raise InputError(f"{name} = {value} must be at least 1")


def check_fields(x: Tensor, channels: int, dimensions: int, smallest: int) -> None:
    """Raise InputError unless ``x`` is (B, ``channels``, *grid), ``dimensions`` axes of ``smallest`` points or more."""
    if x.ndim != dimensions + 2:
        expected = "(batch, channels, " + ", ".join(["points"] * dimensions) + ")"
        raise InputError(f"x has shape {tuple(x.shape)}, expected {expected}")
    if x.shape[1] != channels:
        raise InputError(f"x has {x.shape[1]} channels, but the network was built with in_channels={channels}")
    if min(x.shape[2:]) < smallest:
        raise InputError(
            f"x has a grid of {tuple(x.shape[2:])} points, but this network needs at least {smallest} along each axis; "
            "use a finer grid, a smaller patch_size or a network with fewer levels"
        )


def lead_time(time: Tensor | float | None, x: Tensor) -> Tensor:
    """The lead time as a column (B, 1) in the precision of ``x``; None stands for one. InputError unless it is (B,) or one
    number for all samples."""
    if not isinstance(time, Tensor):
        return x.new_full((x.shape[0], 1), 1.0 if time is None else time)
    if time.ndim == 0:
        time = time.expand(x.shape[0])
    if time.shape != x.shape[:1]:
        raise InputError(f"time has shape {tuple(time.shape)}, expected one lead time a sample: ({x.shape[0]},)")
    return time.to(x)[:, None]


def fit(x: Tensor, multiple: int, padding: Padding) -> Tensor:
    """Enlarge the grid of ``x`` (B, C, H, W) to the next multiple: periodic fields are resampled, others extended."""
    rows, columns = (-(-n // multiple) * multiple for n in x.shape[2:])
    if (rows, columns) == tuple(x.shape[2:]):
        return x
    if padding == "periodic":
        return fourier_resample(x, (rows, columns))
    return functional.pad(x, (0, columns - x.shape[3], 0, rows - x.shape[2]), mode="replicate")


def restore(y: Tensor, shape: Sequence[int], padding: Padding) -> Tensor:
    """Bring the grid of ``y`` back to ``shape``: the inverse of :func:`fit`."""
    if padding == "periodic":
        return fourier_resample(y, shape)
    return y[:, :, : shape[0], : shape[1]]


def unit_coordinates(shape: Sequence[int], like: Tensor) -> Tensor:
    """Coordinates i/n of a regular grid on the unit cube, shape (*shape, axes)."""
    axes = [torch.arange(n, dtype=like.dtype, device=like.device) / n for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
