"""Dense linear least squares, batched over leading dimensions and differentiable to any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from sciml.errors import InputError, nearest

_RIDGE_ABOVE = 1e10  # conditions from which "qr" appends ridge rows: below, they would not change a digit
_SINGULAR_ABOVE = 1e12  # conditions from which "auto" asks the singular value decomposition for the rank
_METHODS = ("auto", "qr", "svd", "cholesky")
_NAMES = np.array(["qr", "qr with ridge", "svd", "cholesky", "cholesky with ridge"])


@dataclass(frozen=True)
class LinearSolution:
    """The minimiser and how it was found.

    Attributes:
        x: the minimiser (..., n) or (..., n, k).
        condition: (...), estimated condition number of the column-scaled matrix; infinite where that is singular.
        method: "qr", "qr with ridge", "svd", "cholesky" or "cholesky with ridge"; for a batch, an array of these (...).
    """

    x: Tensor
    condition: Tensor
    method: str | np.ndarray


def linear_least_squares(matrix: Tensor, rhs: Tensor, *, method: str = "auto", ridge: float = 1e-13) -> LinearSolution:
    """Minimise |matrix x - rhs|, with ``matrix`` (..., m, n) and ``rhs`` (..., m) or (..., m, k).

    Leading dimensions broadcast; as in ``torch.linalg.solve``, ``rhs`` is a vector if it has one dimension or the shape
    ``matrix.shape[:-1]``. The computation is in float64 on columns scaled to unit length; ``x`` has the inputs' dtype.

    - ``"qr"``: Householder QR; where the condition exceeds 1e10, rows ``ridge * identity`` are appended. They bound the
      solution if the system is nearly consistent, as with spectral bases; otherwise deficient rank calls for "auto".
    - ``"auto"``: QR, and a singular value decomposition for the problems of numerically deficient rank (condition above
      1e12, or m < n), which get the solution of minimum norm in the scaled unknowns.
    - ``"svd"``: the singular value decomposition for all.
    - ``"cholesky"``: normal equations, somewhat faster than QR but with half its digits; where the factorisation fails
      it is retried with a growing ridge.

    ``x`` is differentiable with respect to both inputs, repeatedly: the derivative is that of the normal equations,
    solved with the factor of the forward pass.

    Raises InputError for entries that are not finite, for shapes that do not match and for an unknown method.

    Source: Golub & Van Loan, Matrix Computations (4th ed.), 5.3 and 5.5; Golub & Pereyra (1973) for the derivative.
    """
    _check(matrix, rhs, method)
    dtype = torch.promote_types(matrix.dtype, rhs.dtype)
    vector = _is_vector(matrix, rhs)
    a, b = matrix.to(torch.float64), (rhs.unsqueeze(-1) if vector else rhs).to(torch.float64)
    (m, n), k = a.shape[-2:], b.shape[-1]
    batch = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = a.expand(*batch, m, n).reshape(-1, m, n), b.expand(*batch, m, k).reshape(-1, m, k)

    length = torch.linalg.vector_norm(a, dim=-2)
    length = torch.where(length > 0, length, 1.0).unsqueeze(-1)  # (batch, n, 1)
    a = a / length.mT
    solve = _cholesky if method == "cholesky" else _svd if method == "svd" else _qr
    y, condition, code = solve(a, b, ridge, fall_back=method == "auto")

    x = (y / length).reshape(*batch, n, k).to(dtype)
    name = _NAMES[code.reshape(batch).cpu().numpy()]
    return LinearSolution(x.squeeze(-1) if vector else x, condition.reshape(batch), name if batch else str(name))


def _qr(a: Tensor, b: Tensor, ridge: float, fall_back: bool) -> tuple[Tensor, Tensor, Tensor]:
    identity = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    with torch.no_grad():
        r, c = _triangle(a, b)
        condition = condition_estimate(r)
        weak = condition > (_SINGULAR_ABOVE if fall_back else _RIDGE_ABOVE)
        code = weak * (2 if fall_back else 1)
        any_weak = bool(weak.any())
        if any_weak and fall_back:
            r[weak], c[weak] = identity, 0.0  # a harmless stand-in, overwritten below
        elif any_weak:
            rows = torch.cat([r[weak], (ridge * identity).expand_as(r[weak])], -2)
            r[weak], c[weak] = _triangle(rows, pad(c[weak], (0, 0, 0, identity.shape[0])))
        y = torch.linalg.solve_triangular(r, c, upper=True)
    y = _NormalEquations.apply(a, a.mT @ b, r, y)
    if any_weak and fall_back:
        y = y.index_put((weak.nonzero(as_tuple=True)[0],), _pseudo_inverse(a[weak]) @ b[weak])
    return y, condition, code


def _svd(a: Tensor, b: Tensor, ridge: float, fall_back: bool) -> tuple[Tensor, Tensor, Tensor]:
    with torch.no_grad():
        values = torch.linalg.svdvals(a)
        smallest = values[:, -1] if a.shape[-2] >= a.shape[-1] else 0.0
        condition = torch.nan_to_num(values[:, 0] / smallest, nan=torch.inf, posinf=torch.inf)
    return _pseudo_inverse(a) @ b, condition, torch.full_like(condition, 2, dtype=torch.long)


def _cholesky(a: Tensor, b: Tensor, ridge: float, fall_back: bool) -> tuple[Tensor, Tensor, Tensor]:
    with torch.no_grad():
        r, shift = cholesky_with_ridge(a.mT @ a)
        condition = condition_estimate(r)
    return _NormalEquations.apply(a, a.mT @ b, r, None), condition, 3 + (shift > 0).long()


def cholesky_with_ridge(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """R with R^T R = matrix + shift identity, and the least of growing shifts (B,) that makes it definite; often none.

    Args:
        matrix: (B, n, n), semidefinite, of diagonal about 1.
    """
    n = matrix.shape[-1]
    identity = torch.eye(n, dtype=matrix.dtype, device=matrix.device)
    shift = torch.zeros_like(matrix[:, 0, 0])
    floor = n * torch.finfo(matrix.dtype).eps  # pivots below are rounding errors
    for _ in range(8):
        r, info = torch.linalg.cholesky_ex(matrix + shift[:, None, None] * identity, upper=True)
        failed = (info > 0) | ~(r.diagonal(dim1=-2, dim2=-1).amin(-1).square() > floor)
        if not failed.any():
            break
        shift = torch.where(failed, (100 * shift).clamp(min=1e-12), shift)
    return r, shift


def _triangle(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """R and Q^T b of a = Q R: the triangular factor of [a | b], so that Q is never formed."""
    m, n = a.shape[-2:]
    r = torch.linalg.qr(pad(torch.cat([a, b], -1), (0, 0, 0, max(n - m, 0))), mode="r").R
    return r[..., :n, :n].contiguous(), r[..., :n, n:].contiguous()


def condition_estimate(r: Tensor, iterations: int = 4) -> Tensor:
    """Condition (...) of triangular ``r`` (..., n, n) by inverse iteration, right up to a factor of about sqrt(n)."""
    n = r.shape[-1]
    v = torch.arange(1, n + 1, dtype=r.dtype, device=r.device).cos().unsqueeze(-1).expand(*r.shape[:-1], 1)
    for _ in range(iterations):
        v = v / torch.linalg.vector_norm(v, dim=-2, keepdim=True)
        w = torch.linalg.solve_triangular(r.mT, v, upper=False)
        v = torch.linalg.solve_triangular(r, w, upper=True)
    estimate = torch.linalg.matrix_norm(r) * torch.linalg.vector_norm(w, dim=(-2, -1))
    return estimate.nan_to_num(nan=torch.inf)


def _pseudo_inverse(a: Tensor) -> Tensor:
    return torch.linalg.pinv(a, rtol=max(a.shape[-2:]) * torch.finfo(a.dtype).eps)


class _NormalEquations(torch.autograd.Function):
    """The solution x of a^T a x = g, given where it was found in a better way; r^T r = a^T a, up to a constant ridge.

    Differentiated, a^T a dx = dg - d(a^T a) x: the adjoint solves the same system, hence the recursion.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, g: Tensor, r: Tensor, x: Tensor | None) -> Tensor:
        x = torch.cholesky_solve(g, r, upper=True) if x is None else x.clone()
        ctx.save_for_backward(a, r, x)
        return x

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, None, None]:
        a, r, x = ctx.saved_tensors
        adjoint = _NormalEquations.apply(a, upstream, r, None)
        return -(a @ x) @ adjoint.mT - (a @ adjoint) @ x.mT, adjoint, None, None


def _is_vector(matrix: Tensor, rhs: Tensor) -> bool:
    return rhs.ndim == 1 or rhs.shape == matrix.shape[:-1]


def _check(matrix: Tensor, rhs: Tensor, method: str) -> None:
    if method not in _METHODS:
        raise InputError(f"method={method!r}: {nearest(method, _METHODS)}")
    if matrix.ndim < 2 or rhs.ndim < 1:
        shapes = f"{tuple(matrix.shape)} and {tuple(rhs.shape)}"
        raise InputError(f"matrix must be (..., m, n) and rhs (..., m) or (..., m, k), got {shapes}")
    if rhs.shape[-1 if _is_vector(matrix, rhs) else -2] != matrix.shape[-2]:
        raise InputError(f"rhs of shape {tuple(rhs.shape)} does not have the {matrix.shape[-2]} rows of matrix")
    for name, tensor in (("matrix", matrix), ("rhs", rhs)):
        if not tensor.is_floating_point():
            raise InputError(f"{name} must be real floating point, got {tensor.dtype}")
        bad = int((~torch.isfinite(tensor)).sum())
        if bad:
            raise InputError(f"{name} has {bad} entries that are not finite; remove or mask these rows")
