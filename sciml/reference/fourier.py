"""Fourier pseudo-spectral tools on periodic boxes of any dimension."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.errors import InputError


@dataclass(frozen=True)
class FourierGrid:
    """Uniform grid of ``shape`` points on the periodic box [low, high), and the transform of real fields on it.

    A field is a real tensor (..., *shape). Its coefficients are those of ``torch.fft.rfftn``: a complex tensor
    (..., *modes) whose last axis is halved. Leading dimensions are a batch.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if not len(self.low) == len(self.high) == len(self.shape):
            raise InputError(f"low={self.low}, high={self.high}, shape={self.shape}: give each one entry a dimension")

    def points(self, *, dtype: torch.dtype = torch.float64, device: torch.device | None = None) -> tuple[Tensor, ...]:
        """One coordinate tensor (*shape) a dimension."""
        axes = [
            low + (high - low) / n * torch.arange(n, dtype=dtype, device=device)
            for low, high, n in zip(self.low, self.high, self.shape, strict=True)
        ]
        return torch.meshgrid(*axes, indexing="ij")

    def forward(self, field: Tensor) -> Tensor:
        """The coefficients (..., *modes) of a field (..., *shape)."""
        return torch.fft.rfftn(field, dim=self._axes)

    def inverse(self, coefficients: Tensor) -> Tensor:
        """The field (..., *shape) with these coefficients (..., *modes)."""
        return torch.fft.irfftn(coefficients, s=self.shape, dim=self._axes)

    def derivative(
        self, *orders: int, dtype: torch.dtype = torch.float64, device: torch.device | None = None
    ) -> Tensor:
        """What a partial derivative multiplies the coefficients by, (*modes): real when the total order is even.

        An odd derivative of the highest mode of an even grid is zero on the grid, so it is dropped.
        """
        if len(orders) != len(self.shape):
            raise InputError(f"orders={orders}: give one order for each of the {len(self.shape)} dimensions")
        symbol = torch.ones((), dtype=dtype, device=device)
        for axis, order in enumerate(orders):
            n = self.shape[axis]
            k = self._indices(axis, dtype, device)
            factor = (2 * math.pi / (self.high[axis] - self.low[axis]) * k) ** order
            if order % 2:
                factor = torch.where(2 * k.abs() == n, 0, factor)
            symbol = symbol.unsqueeze(-1) * factor
        return symbol * (1, 1j, -1, -1j)[sum(orders) % 4]

    def inverse_laplacian(self, *, dtype: torch.dtype = torch.float64, device: torch.device | None = None) -> Tensor:
        """What multiplies the coefficients of a field into those of the field of mean zero with that Laplacian, (*modes)."""
        symbol = torch.zeros((), dtype=dtype, device=device)
        for axis in range(len(self.shape)):
            k = 2 * math.pi / (self.high[axis] - self.low[axis]) * self._indices(axis, dtype, device)
            symbol = symbol.unsqueeze(-1) - k**2
        return torch.where(symbol == 0, 0, 1 / symbol)

    def dealias(self, *, device: torch.device | None = None) -> Tensor:
        """Orszag's two-thirds rule, (*modes): True for the modes that keep a quadratic product free of aliases."""
        keep = torch.ones((), dtype=torch.bool, device=device)
        for axis, n in enumerate(self.shape):
            keep = keep.unsqueeze(-1) & (3 * self._indices(axis, torch.float64, device).abs() < n)
        return keep

    def evaluate(self, coefficients: Tensor, *axes: Tensor) -> Tensor:
        """The trigonometric interpolant at the product of ``axes``, (n_1,) to (n_d,): a tensor (..., n_1, ..., n_d)."""
        values = coefficients / math.prod(self.shape)
        for axis, points in enumerate(axes):
            n, last = self.shape[axis], axis == len(self.shape) - 1
            k = self._indices(axis, points.dtype, points.device)
            phase = 2 * math.pi / (self.high[axis] - self.low[axis]) * (points - self.low[axis]).unsqueeze(-1) * k
            waves = torch.polar(torch.ones_like(phase), phase)
            highest = 2 * k.abs() == n
            waves = torch.where(highest, waves.real, waves)
            if last:  # the halved axis stands for both signs of a wavenumber
                waves = torch.where((k == 0) | highest, waves, 2 * waves)
            values = torch.tensordot(values, waves.to(values.dtype), dims=([axis - len(self.shape)], [1]))
            values = values.movedim(-1, axis - len(self.shape))
        return values.real

    @property
    def _axes(self) -> tuple[int, ...]:
        return tuple(range(-len(self.shape), 0))

    def _indices(self, axis: int, dtype: torch.dtype, device: torch.device | None) -> Tensor:
        n = self.shape[axis]
        frequencies = torch.fft.rfftfreq if axis == len(self.shape) - 1 else torch.fft.fftfreq
        return frequencies(n, d=1 / n, dtype=dtype, device=device).round()
