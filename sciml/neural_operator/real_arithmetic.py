"""Fourier transforms and complex numbers in real arithmetic, for formats that have neither.

Within ``RealArithmetic()`` the transforms of ``torch.fft`` are products with real matrices, exact and fast enough for one
grid, and complex tensors are pairs of real ones, so that networks are traced as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sciml.nn.spectral import waves

# do the same to the real and to the imaginary parts
_LINEAR = ("narrow", "split", "flatten", "unflatten", "reshape", "movedim", "permute", "transpose", "expand", "new_zeros")


class Complex:
    """A tensor of complex numbers as two real ones of the same shape."""

    def __init__(self, real: Tensor, imaginary: Tensor) -> None:
        self.real, self.imaginary = real, imaginary
        self.shape, self.ndim = real.shape, real.ndim

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in _LINEAR:
            raise NotImplementedError(f"{name} of complex numbers")
        return lambda *args, **options: _both(*(getattr(x, name)(*args, **options) for x in (self.real, self.imaginary)))

    def __add__(self, other: Complex) -> Complex:
        return Complex(self.real + other.real, self.imaginary + other.imaginary)

    def __mul__(self, other: Complex | Tensor) -> Complex:
        return _product(torch.mul, self, other)

    def abs(self) -> Tensor:
        return (self.real.square() + self.imaginary.square()).sqrt()

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Sequence[Any] = (), options: Any = None) -> Any:
        options = options or {}
        if function is torch.cat:
            parts = [[part.real for part in args[0]], [part.imaginary for part in args[0]]]
            return Complex(*(torch.cat(part, *args[1:], **options) for part in parts))
        if function is torch.einsum:
            return _product(lambda a, b: torch.einsum(args[0], a, b), *args[1:])
        if function in (torch.matmul, torch.bmm, torch.mul, nn.functional.linear):
            return _product(function, *args, **options)
        raise NotImplementedError(f"{function.__name__} of complex numbers")


class RealArithmetic(TorchFunctionMode):
    """Computes in real numbers. Raises NotImplementedError for what has no counterpart here."""

    def __torch_function__(self, function: Any, types: Any, args: Sequence[Any] = (), options: Any = None) -> Any:
        return _REAL.get(function, function)(*args, **(options or {}))


class RealModule(nn.Module):
    """``module``, in real arithmetic."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, lead: Tensor | None = None) -> Tensor:
        with RealArithmetic():
            return self.module(x, lead)


# Transforms, with the arguments of torch.fft ------------------------------------------------------------------------
def _rfft(x: Tensor, dim: int = -1, norm: str | None = None) -> Complex:
    n = x.shape[dim]
    cos, sin = waves(torch.arange(n // 2 + 1, device=x.device), n, x)
    factor = _factor(n, norm, inverse=False)
    return Complex(_along(x, factor * cos.T, dim), _along(x, -factor * sin.T, dim))


def _irfft(x: Complex, n: int, dim: int = -1, norm: str | None = None) -> Tensor:
    wavenumbers = torch.arange(min(x.shape[dim], n // 2 + 1), device=x.real.device)
    twice = torch.where(2 * wavenumbers % n == 0, 1, 2)[:, None]  # every mode but these stands for its conjugate, too
    cos, sin = (_factor(n, norm, inverse=True) * (twice * wave) for wave in waves(wavenumbers, n, x.real))
    x = x.narrow(dim, 0, len(wavenumbers))
    return _along(x.real, cos, dim) - _along(x.imaginary, sin, dim)


def _fft(x: Complex, dim: int = -1, norm: str | None = None, inverse: bool = False) -> Complex:
    n = x.shape[dim]
    factor = _factor(n, norm, inverse)
    cos, sin = (factor * wave for wave in waves(torch.arange(n, device=x.real.device), n, x.real))
    sin = sin if inverse else -sin
    return Complex(
        _along(x.real, cos, dim) - _along(x.imaginary, sin, dim), _along(x.real, sin, dim) + _along(x.imaginary, cos, dim)
    )


def _ifft(x: Complex, dim: int = -1, norm: str | None = None) -> Complex:
    return _fft(x, dim, norm, inverse=True)


def _rfft2(x: Tensor, dim: Sequence[int] = (-2, -1), norm: str | None = None) -> Complex:
    return _fft(_rfft(x, dim[1], norm), dim[0], norm)


def _irfft2(x: Complex, s: Sequence[int], dim: Sequence[int] = (-2, -1), norm: str | None = None) -> Tensor:
    return _irfft(_ifft(x, dim[0], norm), s[1], dim[1], norm)


def _view_as_complex(pairs: Tensor) -> Complex:
    return Complex(*pairs.unbind(-1))


def _view_as_real(x: Complex) -> Tensor:
    return torch.stack([x.real, x.imaginary], -1)


def _fftfreq(n: int, d: float = 1.0, **place: Any) -> Tensor:
    return torch.tensor(np.fft.fftfreq(n, d).tolist(), **place)


def _rfftfreq(n: int, d: float = 1.0, **place: Any) -> Tensor:
    return torch.tensor(np.fft.rfftfreq(n, d).tolist(), **place)


_REAL: dict[Any, Callable[..., Any]] = {
    torch.fft.rfft: _rfft,
    torch.fft.irfft: _irfft,
    torch.fft.fft: _fft,
    torch.fft.ifft: _ifft,
    torch.fft.rfft2: _rfft2,
    torch.fft.irfft2: _irfft2,
    torch.fft.fftfreq: _fftfreq,
    torch.fft.rfftfreq: _rfftfreq,
    torch.view_as_complex: _view_as_complex,
    torch.view_as_real: _view_as_real,
}


def _factor(n: int, norm: str | None, inverse: bool) -> float:
    if norm == "ortho":
        return n**-0.5
    return 1 / n if (norm == "forward") != inverse else 1.0


def _along(x: Tensor, matrix: Tensor, dim: int) -> Tensor:
    return (x.movedim(dim, -1) @ matrix).movedim(-1, dim)


# Complex numbers ----------------------------------------------------------------------------------------------------
def _both(real: Any, imaginary: Any) -> Any:
    if isinstance(real, Tensor):
        return Complex(real, imaginary)
    return tuple(map(Complex, real, imaginary))


def _product(bilinear: Callable[[Tensor, Tensor], Tensor], a: Complex | Tensor, b: Complex | Tensor) -> Complex:
    if isinstance(a, Tensor):
        return _product(lambda x, y: bilinear(y, x), b, a)
    if isinstance(b, Tensor):
        return Complex(bilinear(a.real, b), bilinear(a.imaginary, b))
    real = bilinear(a.real, b.real) - bilinear(a.imaginary, b.imaginary)
    return Complex(real, bilinear(a.real, b.imaginary) + bilinear(a.imaginary, b.real))
