"""Poisson's equation and diffusion with a varying coefficient on the unit square, zero on its boundary."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sciml.errors import DivergenceError, InputError


def poisson_square(source: Tensor) -> Tensor:
    """Solve -Laplace(u) = source on [0, 1]^2, u = 0 on the boundary, to fourth order in the spacing.

    Args:
        source: values (..., n, n) at n x n equally spaced points, those on the boundary included.

    Returns:
        u at the same points.

    Source: the compact nine-point formula (Collatz, The Numerical Treatment of Differential Equations, 1960), diagonal in
    the sine basis.
    """
    sine, eigenvalues = _sine_basis(source)
    h2 = 1 / (source.shape[-1] - 1) ** 2
    x, y = eigenvalues.unsqueeze(1), eigenvalues
    around = source[..., :-2, 1:-1] + source[..., 2:, 1:-1] + source[..., 1:-1, :-2] + source[..., 1:-1, 2:]
    right = (8 * source[..., 1:-1, 1:-1] + around) / 12
    return _with_boundary(sine @ (sine @ right @ sine / (x + y - h2 / 6 * x * y)) @ sine)


def darcy_square(coefficient: Tensor, source: Tensor, tolerance: float = 1e-10) -> Tensor:
    """Solve -div(coefficient grad u) = source on [0, 1]^2, u = 0 on the boundary, by finite volumes about the points.

    The flux between two points takes the harmonic mean of their coefficients: second order where the coefficient is
    smooth, first order at a jump. The equations are solved by conjugate gradients, preconditioned by the Laplacian, so
    the number of iterations depends on the contrast of the coefficient alone.

    Args:
        coefficient: positive values (..., n, n) at n x n equally spaced points, those on the boundary included.
        source: values of the same shape.
        tolerance: of the residual in the preconditioner's norm, relative to that of the source.

    Returns:
        u at the same points.

    Raises:
        InputError: a coefficient that is not positive.
        DivergenceError: no convergence within 1000 iterations.
    """
    if not (coefficient > 0).all():
        raise InputError(f"coefficient must be positive everywhere, its minimum is {coefficient.min().item():g}")
    sine, eigenvalues = _sine_basis(source)
    laplacian = eigenvalues.unsqueeze(1) + eigenvalues
    h2 = 1 / (source.shape[-1] - 1) ** 2
    x = _harmonic_mean(coefficient[..., :-1, 1:-1], coefficient[..., 1:, 1:-1]) / h2
    y = _harmonic_mean(coefficient[..., 1:-1, :-1], coefficient[..., 1:-1, 1:]) / h2

    def operator(u: Tensor) -> Tensor:
        u = _with_boundary(u)
        return -(x * u[..., 1:-1].diff(dim=-2)).diff(dim=-2) - (y * u[..., 1:-1, :].diff(dim=-1)).diff(dim=-1)

    def precondition(r: Tensor) -> Tensor:
        return sine @ (sine @ r @ sine / laplacian) @ sine

    def product(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum((-2, -1), keepdim=True)

    residual = source[..., 1:-1, 1:-1].clone()
    u, z = torch.zeros_like(residual), precondition(residual)
    direction, norm = z, product(residual, z)
    start = norm
    for _ in range(1000):
        if (norm <= tolerance**2 * start).all():
            return _with_boundary(u)
        image = operator(direction)
        step = torch.nan_to_num(norm / product(direction, image))  # a solved instance has no direction left
        u, residual = u + step * direction, residual - step * image
        z = precondition(residual)
        previous, norm = norm, product(residual, z)
        direction = z + torch.nan_to_num(norm / previous) * direction
    raise DivergenceError(f"conjugate gradients did not reach tolerance={tolerance:g}; lower the coefficient's contrast")


def _sine_basis(source: Tensor) -> tuple[Tensor, Tensor]:
    """The orthonormal symmetric matrix of sines at the inner points, and the eigenvalues of minus the second difference."""
    if source.ndim < 2 or source.shape[-1] != source.shape[-2] or source.shape[-1] < 3:
        raise InputError(f"source has shape {tuple(source.shape)}, expected (..., n, n) with n of at least 3")
    n = source.shape[-1] - 1
    k = torch.arange(1, n, dtype=source.dtype, device=source.device)
    sine = math.sqrt(2 / n) * torch.sin(math.pi / n * torch.outer(k, k).remainder(2 * n))
    return sine, (2 * n * torch.sin(math.pi / (2 * n) * k)) ** 2


def _with_boundary(inner: Tensor) -> Tensor:
    return torch.nn.functional.pad(inner, (1, 1, 1, 1))


def _harmonic_mean(a: Tensor, b: Tensor) -> Tensor:
    return 2 * a * b / (a + b)
