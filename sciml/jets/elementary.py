"""Derivatives of elementary functions, to any order, as the chain rule needs them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

Derivatives = Callable[[Tensor, int], list[Tensor]]
"""``derivatives(z, order) -> [f(z), f'(z), ..., f^(order)(z)]``, each of the shape of ``z``."""


def _sin(z: Tensor, order: int) -> list[Tensor]:
    s = torch.sin(z)
    return _cycle([s] if order == 0 else [s, torch.cos(z)], order)


def _cos(z: Tensor, order: int) -> list[Tensor]:
    c = torch.cos(z)
    return _cycle([c] if order == 0 else [c, -torch.sin(z)], order)


def _cycle(pair: list[Tensor], order: int) -> list[Tensor]:
    out = pair[: order + 1]
    while len(out) <= order:
        out.append(-out[-2])
    return out


def _exp(z: Tensor, order: int) -> list[Tensor]:
    return [torch.exp(z)] * (order + 1)


def _sinh(z: Tensor, order: int) -> list[Tensor]:
    return [torch.sinh(z) if k % 2 == 0 else torch.cosh(z) for k in range(order + 1)]


def _cosh(z: Tensor, order: int) -> list[Tensor]:
    return [torch.cosh(z) if k % 2 == 0 else torch.sinh(z) for k in range(order + 1)]


@cache
def _polynomial(order: int, slope: tuple[int, ...]) -> tuple[int, ...]:
    """Coefficients (lowest first) of q_order where y' = s(y), y^(k) = s(y) q_k(y), so q_{k+1} = (s q_k)'."""
    if order == 1:
        return (1,)
    previous = _polynomial(order - 1, slope)
    product = [0] * (len(previous) + len(slope) - 1)
    for i, p in enumerate(previous):
        for j, s in enumerate(slope):
            product[i + j] += p * s
    return tuple(i * c for i, c in enumerate(product))[1:]


def _autonomous(value: Tensor, slope: tuple[int, ...], order: int) -> list[Tensor]:
    """Derivatives of a function y with y' = s(y) for a quadratic s: tanh and the logistic function."""
    out = [value]
    if order >= 1:
        out.append(_horner(slope, value))
    for k in range(2, order + 1):
        out.append(out[1] * _horner(_polynomial(k, slope), value))
    return out


def _horner(coefficients: tuple[int, ...], y: Tensor) -> Tensor:
    result = torch.full_like(y, coefficients[-1]) if len(coefficients) == 1 else coefficients[-1] * y
    for c in reversed(coefficients[1:-1]):
        result = (result + c if c else result) * y
    return result + coefficients[0] if len(coefficients) > 1 and coefficients[0] else result


def _tanh(z: Tensor, order: int) -> list[Tensor]:
    return _autonomous(torch.tanh(z), (1, 0, -1), order)


def _sigmoid(z: Tensor, order: int) -> list[Tensor]:
    return _autonomous(torch.sigmoid(z), (0, 1, -1), order)


def _softplus(z: Tensor, order: int) -> list[Tensor]:
    value = torch.nn.functional.softplus(z)
    return [value] if order == 0 else [value, *_sigmoid(z, order - 1)]


def _silu(z: Tensor, order: int) -> list[Tensor]:
    s = _sigmoid(z, order)
    return [z * s[0], *(z * s[k] + k * s[k - 1] for k in range(1, order + 1))]


def _arctan(z: Tensor, order: int) -> list[Tensor]:
    # Leibniz on (1 + z^2) g = 1 for the slope g: (1 + z^2) g_k + 2 k z g_{k-1} + k (k-1) g_{k-2} = 0.
    slope: list[Tensor] = []
    for k in range(order):
        lower = 1.0 if k == 0 else -2 * k * z * slope[k - 1]
        if k >= 2:
            lower = lower - k * (k - 1) * slope[k - 2]
        slope.append(lower / (1 + z * z))
    return [torch.atan(z), *slope]


def power(exponent: float) -> Derivatives:
    """Derivatives of ``z ** exponent``; an integer exponent never divides, so that zero is a legal base."""

    def derivatives(z: Tensor, order: int) -> list[Tensor]:
        out, factor, current = [], 1.0, float(exponent)
        for _ in range(order + 1):
            out.append(torch.zeros_like(z) if factor == 0.0 else factor * z**current)
            factor, current = factor * current, current - 1.0
        return out

    return derivatives


def _log(z: Tensor, order: int) -> list[Tensor]:
    return [torch.log(z), *(power(-1.0)(z, order - 1) if order else [])]


def _abs(z: Tensor, order: int) -> list[Tensor]:
    return [torch.abs(z), torch.sign(z), *(torch.zeros_like(z) for _ in range(order - 1))][: order + 1]


def _relu(z: Tensor, order: int) -> list[Tensor]:
    return [torch.relu(z), (z > 0).to(z.dtype), *(torch.zeros_like(z) for _ in range(order - 1))][: order + 1]


def _erf(z: Tensor, order: int) -> list[Tensor]:
    out = [torch.erf(z)]
    if order >= 1:
        # Hermite recurrence for the Gaussian g = 2/sqrt(pi) exp(-z^2): g_{k+1} = -2 z g_k - 2 k g_{k-1}.
        out.append(torch.exp(-z * z) * (2 / torch.pi**0.5))
        for k in range(order - 1):
            out.append(-2 * z * out[-1] - (2 * k * out[-2] if k else 0))
    return out


def _gelu(z: Tensor, order: int) -> list[Tensor]:
    cdf = [0.5 * 2 ** (-0.5 * k) * e for k, e in enumerate(_erf(z * 2**-0.5, order))]
    cdf[0] = cdf[0] + 0.5
    return [z * cdf[0], *(z * cdf[k] + k * cdf[k - 1] for k in range(1, order + 1))]


FUNCTIONS: dict[str, Derivatives] = {
    "sin": _sin,
    "cos": _cos,
    "exp": _exp,
    "log": _log,
    "sqrt": power(0.5),
    "rsqrt": power(-0.5),
    "reciprocal": power(-1.0),
    "square": power(2.0),
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "silu": _silu,
    "gelu": _gelu,
    "erf": _erf,
    "sinh": _sinh,
    "cosh": _cosh,
    "atan": _arctan,
    "arctan": _arctan,
    "abs": _abs,
    "relu": _relu,
}
"""Elementary functions by the name that torch gives them."""
