"""Fourier analysis of grid fields: wave numbers, radial bands, resampling.

A half plane is what ``torch.fft.rfft2`` returns for a grid of ``rows`` x ``columns``: wave numbers of either sign along
the rows, from zero to the Nyquist frequency along the columns.
"""

from __future__ import annotations

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
