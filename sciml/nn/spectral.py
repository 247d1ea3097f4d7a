"""Fourier analysis of grid fields: wave numbers, radial bands, lowest modes, resampling.

A half plane is what ``torch.fft.rfft2`` returns for a grid of ``rows`` x ``columns``: wave numbers of either sign along
the rows, from zero to the Nyquist frequency along the columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """A block in which mixed precision is off: Fourier transforms need at least single precision."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


def at_least_single(x: Tensor) -> Tensor:
    """Half precision raised to single; double stays double."""
    return x if x.dtype == torch.float64 else x.float()


def relative_wavenumbers(shape: Sequence[int], like: Tensor) -> tuple[Tensor, ...]:
    """|k| / max |k| along each axis of the half space of a grid of ``shape``, each shaped to broadcast over it."""
    last = len(shape) - 1
    axes = []
    for axis, n in enumerate(shape):
        frequencies = torch.fft.rfftfreq if axis == last else torch.fft.fftfreq
        k = frequencies(n, d=1 / n, dtype=like.dtype, device=like.device).abs() / max(n // 2, 1)
        axes.append(k.reshape([-1 if i == axis else 1 for i in range(len(shape))]))
    return tuple(axes)


def relative_radius(shape: Sequence[int], like: Tensor) -> Tensor:
    """Distance from the zero wave number over the half space of a grid of ``shape``, one at its farthest corner."""
    squares = torch.stack(torch.broadcast_tensors(*relative_wavenumbers(shape, like))).square()
    return squares.mean(0).sqrt()


def radial_bands(radius: Tensor, bands: int) -> Tensor:
    """Members of ``bands`` rings of equal width, shape (bands, *radius.shape), ones and zeros; radius at most one."""
    # a hair outwards, so that rounding cannot split the modes that lie on an edge between two bands
    index = (radius * bands * (1 + 1e-5)).floor().clamp(max=bands - 1)
    return torch.stack([(index == band).to(radius.dtype) for band in range(bands)])


def multiplicity(shape: Sequence[int], like: Tensor) -> Tensor:
    """How many modes of the full plane each column of the half plane stands for, shape (columns // 2 + 1,)."""
    columns = shape[-1]
    twice = torch.full((columns // 2 + 1,), 2.0, dtype=like.dtype, device=like.device)
    twice[0] = 1
    if columns % 2 == 0:
        twice[-1] = 1
    return twice


def fourier_resample(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Trigonometric interpolation of a periodic field (B, C, *grid) to another grid of ``shape``.

    Exact for fields that both grids resolve; refining and coming back gives the field itself.
    """
    with without_autocast(x):
        resampled = at_least_single(x)
        for axis, n in enumerate(shape, start=2):
            old = x.shape[axis]
            if n == old:
                continue
            spectrum = torch.fft.rfft(resampled, dim=axis, norm="forward").narrow(axis, 0, min(n, old) // 2 + 1)
            if min(n, old) % 2 == 0:
                # the coarser grid's Nyquist mode is two modes of the finer grid
                scale = torch.ones(spectrum.shape[axis], dtype=resampled.dtype, device=x.device)
                scale[-1] = 0.5 if n > old else 2.0
                spectrum = spectrum * scale.reshape([-1 if i == axis else 1 for i in range(x.ndim)])
            resampled = torch.fft.irfft(spectrum, n=n, dim=axis, norm="forward")
    return resampled.to(x.dtype)


# The modes nearest to zero along an axis, by products with matrices: a few of them cost less than all by a fast transform,
# and the results lie in memory as the fields do. The axis is neither the first nor the last; factors as with norm="forward".
def lowest_half_modes(x: Tensor, axis: int, count: int) -> Tensor:
    """The modes (B, ..., count, ..., C) with wave numbers from 0 along ``axis`` of a real field (B, ..., n, ..., C)."""
    n = x.shape[axis]
    cos, sin = waves(torch.arange(count, device=x.device), n, x)
    modes = _along(torch.cat([cos, -sin]) / n, x, axis).unflatten(axis, (2, count))
    return torch.view_as_complex(modes.movedim(axis, -1).contiguous())


def from_half_modes(modes: Tensor, axis: int, n: int) -> Tensor:
    """The real field (B, ..., n, ..., C) with the modes of ``lowest_half_modes`` and their conjugates."""
    pairs, count = torch.view_as_real(modes), modes.shape[axis]
    wavenumbers = torch.arange(count, device=pairs.device)
    cos, sin = waves(wavenumbers, n, pairs)
    twice = torch.where(2 * wavenumbers % n == 0, 1, 2)[:, None]  # all but these are one of two
    return _along(torch.cat([twice * cos, -twice * sin]).T, pairs.movedim(-1, axis).flatten(axis, axis + 1), axis)


def lowest_modes(x: Tensor, axis: int, count: int) -> Tensor:
    """The modes (B, ..., count, ..., C) with ``signed_wavenumbers`` along ``axis`` of a complex field (B, ..., n, ..., C)."""
    n = x.shape[axis]
    cos, sin = waves(signed_wavenumbers(count, x.real.device), n, x.real)
    return _along(torch.view_as_complex(torch.stack([cos, -sin], -1) / n), x, axis)


def from_modes(modes: Tensor, axis: int, n: int) -> Tensor:
    """The complex field (B, ..., n, ..., C) with the modes of ``lowest_modes``."""
    cos, sin = waves(signed_wavenumbers(modes.shape[axis], modes.real.device), n, modes.real)
    return _along(torch.view_as_complex(torch.stack([cos.T, sin.T], -1).contiguous()), modes, axis)


def signed_wavenumbers(count: int, device: torch.device) -> Tensor:
    """The ``count`` wave numbers nearest to zero (count,), in the order of torch.fft; of an even count one more is negative."""
    negative = count // 2
    return torch.cat([torch.arange(count - negative, device=device), torch.arange(-negative, 0, device=device)])


def waves(wavenumbers: Tensor, n: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """cos and sin of 2 pi k j / n, (wave numbers, n)."""
    turns = wavenumbers[:, None] * torch.arange(n, device=like.device) % n  # whole numbers: large angles lose digits
    angle = 2 * math.pi / n * turns.to(like.dtype)
    return angle.cos(), angle.sin()


def _along(matrix: Tensor, x: Tensor, axis: int) -> Tensor:
    """``matrix`` (m, n) times a field with n entries along ``axis``."""
    columns = x.flatten(0, axis - 1).flatten(2)
    product = torch.bmm(matrix.expand(columns.shape[0], -1, -1), columns)
    return product.unflatten(2, x.shape[axis + 1 :]).unflatten(0, x.shape[:axis])
