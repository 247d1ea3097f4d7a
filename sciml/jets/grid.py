"""Jets of a field that is known on a uniform grid: by Fourier series, or by finite differences."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.jets.jet import Field, Jet
from sciml.jets.multi_index import MultiIndex


def fourier(values: Tensor, lengths: Sequence[float], names: Sequence[str]) -> Jet:
    """Jet of a periodic field by differentiation of its Fourier series.

    Args:
        values: shape (..., n_1, ..., n_d), the last point of a period left out; partial derivatives have that shape.
        lengths: period along each of the d grid axes.
        names: coordinates of the grid axes.
    """
    _check(values, lengths, names)
    d = len(names)
    axes = tuple(range(-d, 0))
    spectrum = torch.fft.fftn(values, dim=axes)

    def partial(index: MultiIndex) -> Tensor:
        if not any(index):
            return values
        result = spectrum
        for axis, order, length in zip(axes, index, lengths, strict=True):
            if order:
                n = values.shape[axis]
                wave_numbers = 2 * torch.pi * torch.fft.fftfreq(n, length / n, dtype=values.dtype, device=values.device)
                symbol = (1j * wave_numbers) ** order
                if n % 2 == 0 and order % 2:
                    symbol[n // 2] = 0  # the Nyquist mode has no odd derivative on the grid
                result = result * symbol.reshape(-1, *(1,) * (-axis - 1))
        return torch.fft.ifftn(result, dim=axes).real

    return Field(names, partial)


def finite_difference(
    values: Tensor, spacings: Sequence[float], names: Sequence[str], accuracy: int = 4, periodic: Sequence[str] = ()
) -> Jet:
    """Jet of a field on a uniform grid by central differences, one-sided near the ends.

    Args:
        values: shape (..., n_1, ..., n_d); partial derivatives have that shape.
        spacings: grid spacing along each of the d axes.
        names: coordinates of the grid axes.
        accuracy: order of accuracy of every one-dimensional stencil.
        periodic: coordinates along which the field repeats, the last point of a period left out.

    Raises:
        InputError: fewer points along an axis than a stencil needs.
    """
    _check(values, spacings, names)
    d = len(names)

    def partial(index: MultiIndex) -> Tensor:
        result = values
        for axis, order, spacing, name in zip(range(-d, 0), index, spacings, names, strict=True):
            if order:
                rule = difference_matrix(values.shape[axis], order, accuracy, name in periodic)
                matrix = torch.as_tensor(rule, dtype=values.dtype, device=values.device) / spacing**order
                result = torch.movedim(torch.movedim(result, axis, -1) @ matrix.T, -1, axis)
        return result

    return Field(names, partial)


@lru_cache(maxsize=64)
def difference_matrix(n: int, order: int, accuracy: int, periodic: bool = False) -> np.ndarray:
    """Differentiation matrix (n, n) on unit spacing from central stencils, one-sided near ends that do not repeat.

    Raises:
        InputError: fewer points than a stencil needs.
    """
    width = order + accuracy - (order % 2 == 0)  # a central stencil of an even derivative gains one order
    width += width % 2 == 0
    if n < width + 1:
        raise InputError(f"derivative of order {order} with accuracy {accuracy} needs {width + 1} grid points, got {n}")
    matrix = np.zeros((n, n))
    for row in range(n):
        start = row - width // 2
        size = width
        if not (periodic or 0 <= start <= n - width):
            size = width + 1
            start = min(max(start, 0), n - size)
        offsets = np.arange(start, start + size) - row
        powers = np.vander(offsets, size, increasing=True).T.astype(float)
        right = np.zeros(size)
        right[order] = float(np.prod(np.arange(1, order + 1)))
        matrix[row, np.arange(start, start + size) % n] = np.linalg.solve(powers, right)
    return matrix


def _check(values: Tensor, scales: Sequence[float], names: Sequence[str]) -> None:
    if len(scales) != len(names) or values.ndim < len(names):
        raise InputError(f"{len(names)} coordinates {tuple(names)} need as many lengths and grid axes, got {list(scales)}")
