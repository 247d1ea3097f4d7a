"""Derivatives of the solution of a least-squares problem with respect to its data, without unrolling the solver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import jvp, vjp, vmap

from sciml.errors import DivergenceError

Function = Callable[..., Tensor]
Hessian = Callable[..., tuple[Tensor, Tensor]]
"""J^T J and sum_i r_i grad^2 r_i, whose sum is the Hessian of |r|^2 / 2."""

_CHUNK = 2**22  # numbers: a direction of differentiation may copy data as large as the Jacobian, so few go at once


def differentiate_optimum(residual: Function, x: Tensor, *args: object, hessian: Hessian | None = None) -> Tensor:
    """``x`` (..., n), a minimiser of |residual(x, *args)|^2 found by any solver, as a function of the tensors in args.

    The gradient g(x, args) = J^T r vanishes at the optimum, hence dx = -H^-1 dg with H = J^T J + sum_i r_i grad^2 r_i.
    (Differentiating the root r = 0 instead drops the second term of H and J's own derivative: exact only where r = 0.)
    Where H is not positive definite its Gauss-Newton part J^T J takes its place, by the pseudo-inverse if singular, so
    that directions which the data leave free do not move. The backward pass can itself be differentiated.
    ``hessian(x, *args)`` gives the two parts of H, (..., n, n) each, where they are known; automatic differentiation
    costs about 4 n residuals.

    Raises DivergenceError in the backward pass where the derivatives at ``x`` are not finite.

    Source: Blondel et al., Efficient and modular implicit differentiation (NeurIPS 2022), eq. 2 with the optimality
    condition of least squares.
    """
    x = x.detach()
    positions = [i for i, value in enumerate(args) if isinstance(value, Tensor) and value.requires_grad]
    if not positions:
        return x

    def of_variables(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(x: Tensor, *variables: Tensor) -> Any:
            values = dict(enumerate(args)) | dict(zip(positions, variables, strict=True))
            return function(x, *values.values())

        return call

    known = None if hessian is None else of_variables(hessian)
    return _Optimum.apply(of_variables(residual), known, x, *(args[i] for i in positions))


def linearise(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """``function(x)`` (..., m) and its Jacobian (..., m, n) at ``x`` (..., n).

    Entry (..., i, j) involves one problem of the batch only, so a derivative along e_j of all problems at once gives
    the j-th columns of all Jacobians: the cost grows with n (or m, if smaller), not with the batch.
    """
    value, pull = vjp(function, x)[:2]
    n, m = x.shape[-1], value.shape[-1]
    chunk = max(1, _CHUNK // max(1, value.numel() * n))
    if n <= m:
        push = vmap(lambda e: jvp(function, (x,), (e.expand_as(x),))[1], out_dims=-1, chunk_size=chunk)
        return value, push(_identity(n, x))
    return value, vmap(lambda e: pull(e.expand_as(value))[0], out_dims=-2, chunk_size=chunk)(_identity(m, x))


class _Optimum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, residual: Function, hessian: Hessian | None, x: Tensor, *variables: Tensor) -> Tensor:
        x = x.clone()
        ctx.residual, ctx.hessian = residual, hessian
        ctx.save_for_backward(x, *variables)
        return x

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, *variables = ctx.saved_tensors

        def gradient(x: Tensor, *variables: Tensor) -> Tensor:
            r, pull = vjp(lambda x: ctx.residual(x, *variables), x)[:2]
            return pull(r)[0]

        def gauss_newton() -> Tensor:
            if ctx.hessian is not None:
                return first
            j = linearise(lambda x: ctx.residual(x, *variables), x)[1]
            return j.mT @ j

        if ctx.hessian is None:
            _, hessian = linearise(lambda x: gradient(x, *variables), x)
        else:
            first, second = ctx.hessian(x, *variables)
            hessian = first + second
        pull = vjp(lambda *variables: gradient(x, *variables), *variables)[1]
        return None, None, None, *pull(-_solve(hessian, upstream, gauss_newton))


def _solve(hessian: Tensor, rhs: Tensor, gauss_newton: Callable[[], Tensor]) -> Tensor:
    """hessian^-1 rhs; for the problems of the batch where it is not positive definite, gauss_newton^+ rhs."""
    n = rhs.shape[-1]
    with torch.no_grad():
        if not torch.isfinite(hessian).all():
            raise DivergenceError("no derivative of the optimum: those of the residual are not finite there")
        scale = hessian.diagonal(dim1=-2, dim2=-1).abs()
        scale = torch.where(scale > 0, scale, 1.0).rsqrt().unsqueeze(-1)
        factor, info = torch.linalg.cholesky_ex(scale * hessian * scale.mT)
        pivots = factor.diagonal(dim1=-2, dim2=-1).amin(-1).square()
        definite = (info == 0) & (pivots > n * torch.finfo(rhs.dtype).eps)

    safe = torch.where(definite[..., None, None], scale * hessian * scale.mT, _identity(n, rhs))
    solution = scale * torch.cholesky_solve(scale * rhs.unsqueeze(-1), torch.linalg.cholesky(safe))
    if not definite.all():
        fallback = torch.linalg.pinv(gauss_newton(), hermitian=True) @ rhs.unsqueeze(-1)
        solution = torch.where(definite[..., None, None], solution, fallback)
    return solution.squeeze(-1)


def _identity(n: int, like: Tensor) -> Tensor:
    return torch.eye(n, dtype=like.dtype, device=like.device)
