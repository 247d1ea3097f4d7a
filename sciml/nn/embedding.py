"""Maps of the coordinates in front of a network: normalisation, random Fourier features, exact periodicity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sciml.errors import InputError, nearest
from sciml.nn.linear import default_generator, draw_normal


class Normalization(nn.Module):
    """Affine map of the box ``[low, high]``: to zero mean and unit variance, or to ``[-1, 1]``.

    Use it with the bounds of the domain: ``Normalization(*problem.domain.bounds)``. Derivatives of the network stay
    those with respect to the physical coordinates.

    Args:
        low: lower corner, shape (d,).
        high: upper corner, shape (d,).
        method: "standard" subtracts the mean and divides by the standard deviation of the uniform distribution on the
            box (Wang, Teng, Perdikaris, arXiv 2001.04536); "interval" maps to ``[-1, 1]``.

    Raises:
        InputError: a side is empty, or the method is unknown.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        low: Tensor | Sequence[float],
        high: Tensor | Sequence[float],
        method: str = "standard",
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        half_widths = {"standard": math.sqrt(3), "interval": 1.0}  # of the image of a side
        if method not in half_widths:
            raise InputError(f"there is no normalization {method!r}; {nearest(method, half_widths)}")
        low, high = torch.as_tensor(low, dtype=torch.float64), torch.as_tensor(high, dtype=torch.float64)
        if not bool((low < high).all()):
            raise InputError(f"low must be below high in every coordinate, got {low.tolist()} and {high.tolist()}")
        dtype = dtype or torch.get_default_dtype()
        self.method = method
        self.register_buffer("shift", ((low + high) / 2).to(dtype=dtype, device=device))
        self.register_buffer("scale", ((high - low) / (2 * half_widths[method])).to(dtype=dtype, device=device))
        self.in_features = self.out_features = len(low)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.shift) / self.scale

    def extra_repr(self) -> str:
        return f"shift={self.shift.tolist()}, scale={self.scale.tolist()}"


class FourierFeatures(nn.Module):
    """Random Fourier features ``[cos(B x), sin(B x)]`` with ``B ~ N(0, sigma^2)``, (..., d) to (..., out_features).

    Source: Tancik et al., arXiv 2006.10739 (with the factor 2 pi); Wang, Wang, Perdikaris, arXiv 2012.10047.

    Args:
        in_features: number of coordinates.
        out_features: even number of features.
        sigma: standard deviation of the frequencies.
        two_pi: ``cos(2 pi B x)`` in place of ``cos(B x)``; the buffer ``frequencies`` holds the factor.
        trainable: let the optimiser move the frequencies.
        generator: source of the frequencies; without one, a fresh generator with seed 0.

    Raises:
        InputError: ``out_features`` is odd or not positive.
    """

    frequencies: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        sigma: float = 1.0,
        *,
        two_pi: bool = False,
        trainable: bool = False,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        if out_features < 2 or out_features % 2:
            raise InputError(f"out_features must be even (a cosine and a sine a frequency), got {out_features}")
        self.in_features, self.out_features, self.sigma, self.two_pi = in_features, out_features, sigma, two_pi
        std = 2 * math.pi * sigma if two_pi else sigma
        shape = (out_features // 2, in_features)
        generator = default_generator(generator)
        frequencies = draw_normal(*shape, std=std, generator=generator, dtype=dtype, device=device)
        if trainable:
            self.frequencies = nn.Parameter(frequencies)
        else:
            self.register_buffer("frequencies", frequencies)

    def forward(self, x: Tensor) -> Tensor:
        phase = nn.functional.linear(x, self.frequencies)
        return torch.cat([torch.cos(phase), torch.sin(phase)], dim=-1)

    def extra_repr(self) -> str:
        trainable = isinstance(self.frequencies, nn.Parameter)
        return f"{self.in_features}, {self.out_features}, sigma={self.sigma}, two_pi={self.two_pi}, {trainable=}"


class PeriodicEmbedding(nn.Module):
    """Makes a network exactly periodic: x becomes ``cos(2 pi k x / period), sin(2 pi k x / period)``, k = 1..harmonics.

    The output is all cosines, all sines, then the other coordinates unchanged and in order.

    Source: Dong, Ni, J. Comput. Phys. 435 (2021) 110242.

    Args:
        coordinates: names of all coordinates in order (``problem.coordinates``), or how many there are.
        periods: period of each periodic coordinate, by name or by index.
        harmonics: number of frequencies of each.

    Raises:
        InputError: an unknown coordinate, a period that is not positive, or no periods or harmonics at all.
    """

    frequencies: Tensor

    def __init__(
        self,
        coordinates: Sequence[str] | int,
        periods: Mapping[str, float] | Mapping[int, float],
        harmonics: int = 1,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        names: list[str | int] = [*range(coordinates)] if isinstance(coordinates, int) else [*coordinates]
        for name, period in periods.items():
            if name not in names:
                raise InputError(f"periods names {name!r}, no coordinate; {nearest(str(name), map(str, names))}")
            if not period > 0:
                raise InputError(f"the period of {name!r} must be positive, got {period}")
        if not periods or harmonics < 1:
            raise InputError(f"give at least one period and one harmonic, got {dict(periods)} and {harmonics}")
        self.periods, self.harmonics = dict(periods), harmonics
        rows = [
            [2 * math.pi * k / period if name == periodic else 0.0 for name in names]
            for periodic, period in periods.items()
            for k in range(1, harmonics + 1)
        ]
        self._exact = torch.tensor(rows, dtype=torch.float64)
        self.register_buffer("frequencies", self._exact.to(dtype=dtype or torch.get_default_dtype(), device=device))
        self._passed = [axis for axis, name in enumerate(names) if name not in periods]
        self.in_features, self.out_features = len(names), 2 * len(rows) + len(self._passed)

    def _apply(self, fn: Any, recurse: bool = True) -> PeriodicEmbedding:
        """Casting must not round the periods for good: single precision and back would lose half the digits."""
        super()._apply(fn, recurse)
        self.frequencies = self._exact.to(self.frequencies)
        return self

    def forward(self, x: Tensor) -> Tensor:
        phase = nn.functional.linear(x, self.frequencies)
        passed = [x[..., axis : axis + 1] for axis in self._passed]
        return torch.cat([torch.cos(phase), torch.sin(phase), *passed], dim=-1)

    def extra_repr(self) -> str:
        return f"periods={self.periods}, harmonics={self.harmonics}"


def coordinate_embedding(
    coordinates: Sequence[str], low: Tensor, high: Tensor, periods: Mapping[str, float]
) -> nn.Module:
    """What stands in front of a network of the coordinates: sine and cosine of the periodic ones, then zero mean and
    unit variance of every feature on the box ``[low, high]``. In double precision until it is cast.

    Args:
        coordinates: all names, in order.
        low, high: corners of the box, shape (d,).
        periods: period of each periodic coordinate.
    """
    if not periods:
        return Normalization(low, high, dtype=torch.float64)
    passed = [axis for axis, name in enumerate(coordinates) if name not in periods]
    unit = low.new_ones(2 * len(periods))
    bounds = torch.cat([-unit, low[passed]]), torch.cat([unit, high[passed]])
    return nn.Sequential(PeriodicEmbedding(coordinates, periods), Normalization(*bounds, dtype=torch.float64))
