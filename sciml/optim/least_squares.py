"""Batched nonlinear least squares by Levenberg-Marquardt, differentiable through the optimum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.linalg import vector_norm

from sciml.errors import InputError
from sciml.optim.implicit import Function, differentiate_optimum, linearise
from sciml.optim.linear import linear_least_squares

_REASONS = np.array(
    [
        "running",
        "converged: residual",
        "converged: gradient",
        "converged: step",
        "converged: decrease",
        "maximum steps",
        "no decrease found",
        "not finite",
    ]
)
_RUNNING, _RESIDUAL, _GRADIENT, _STEP, _DECREASE, _MAXIMUM, _STALLED, _NOT_FINITE = range(len(_REASONS))
_DAMPING_LIMIT = 1e16


@dataclass(frozen=True)
class LeastSquaresResult:
    """Solution of one problem, or of a batch with leading dimensions (...).

    Attributes:
        x: (..., n).
        residual: (..., m), at ``x``.
        steps: (...), trial steps taken.
        converged: (...), whether the stop reason begins with "converged".
        stop_reason: a string, or for a batch an array of strings (...): "converged: residual", "converged: gradient" or
            "converged: step" (the tolerance of that name was met), "converged: decrease" (no step improves the sum of
            squares by more than its rounding error), "maximum steps", "no decrease found" (typical of a wrong Jacobian)
            or "not finite" (the residual or its Jacobian at the start, which ``x`` then is).
    """

    x: Tensor
    residual: Tensor
    steps: int | Tensor
    converged: bool | Tensor
    stop_reason: str | np.ndarray


def least_squares(
    residual: Function,
    start: Tensor,
    *args: object,
    jacobian: Function | None = None,
    hessian: Function | None = None,
    maximum_steps: int = 200,
    residual_tolerance: float = 1e-14,
    gradient_tolerance: float = 1e-10,
    step_tolerance: float = 1e-12,
    damping: float = 1e-3,
    method: str = "auto",
) -> LeastSquaresResult:
    """Minimise |residual(x, *args)|^2 over x, for every problem of a batch at once.

    ``residual`` maps (..., n) to (..., m), each problem of the leading dimensions by itself; ``start`` (..., n)
    broadcasts against the leading dimensions of what it returns. The computation is in float64: ``start`` and the
    floating-point tensors in ``args`` are converted. ``jacobian(x, *args)`` (..., m, n) spares the steps automatic
    differentiation, which costs about n residuals each.

    ``result.x`` is differentiable, repeatedly, with respect to every tensor in ``args`` that requires a gradient (see
    ``differentiate_optimum``, also for ``hessian``), not with respect to ``start``. The derivative is as accurate as the
    problem has converged.

    The steps solve min |J s + r|^2 + damping |D s|^2, D the largest column norms of J met so far (Marquardt 1963, More
    1978), by ``linear_least_squares`` with ``method``. Gauss-Newton steps (no damping) are tried first and kept up
    while the linear model predicts the decrease within 10 %, so that linear problems take one step; then ``damping``
    starts at the value given here and follows the gain ratio (Nielsen 1999). A problem has converged when

    - |r| <= ``residual_tolerance``,
    - |cos(J_j, r)| <= ``gradient_tolerance`` for every column J_j of the Jacobian, or
    - |D s| <= ``step_tolerance`` |D x| for a step that is not dominated by the damping.

    Raises InputError for shapes that do not fit, and where ``residual`` uses a tensor that requires a gradient
    without taking it from ``args``: its gradient would be lost.

    Sources: Marquardt (1963), SIAM J. Appl. Math. 11; More (1978), LNM 630; Nielsen (1999), IMM-REP-1999-05.
    """
    values = [_double(value) for value in args]
    constants = [value.detach() if isinstance(value, Tensor) else value for value in values]
    x = _broadcast_start(residual, start, constants)

    def evaluate(x: Tensor) -> tuple[Tensor, Tensor]:
        if jacobian is None:
            return linearise(lambda x: residual(x, *constants), x)
        return residual(x, *constants), jacobian(x, *constants)

    with torch.no_grad():
        x, r, reason, steps = _minimise(
            evaluate, x, maximum_steps, residual_tolerance, gradient_tolerance, step_tolerance, damping, method
        )
    optimum = differentiate_optimum(residual, x, *values, hessian=hessian)
    if optimum.requires_grad:
        r = residual(optimum, *values)
    converged = (reason >= _RESIDUAL) & (reason <= _DECREASE)
    batch = x.shape[:-1]
    return LeastSquaresResult(
        x=optimum.to(start.dtype),
        residual=r.to(start.dtype),
        steps=steps if batch else int(steps),
        converged=converged if batch else bool(converged),
        stop_reason=_REASONS[reason.cpu().numpy()] if batch else str(_REASONS[int(reason)]),
    )


def _minimise(
    evaluate: Callable[[Tensor], tuple[Tensor, Tensor]],
    x: Tensor,
    maximum_steps: int,
    residual_tolerance: float,
    gradient_tolerance: float,
    step_tolerance: float,
    damping: float,
    method: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    eps = torch.finfo(x.dtype).eps
    r, j = evaluate(x)
    cosine = _cosine(j, r)
    scale = torch.zeros_like(x)
    mu, growth = torch.zeros_like(cosine), torch.full_like(cosine, 2.0)
    steps = torch.zeros_like(cosine, dtype=torch.long)
    reason = torch.where(_finite(r, j), _RUNNING, _NOT_FINITE)

    while True:
        reason = _stop(reason, vector_norm(r, dim=-1) <= residual_tolerance, _RESIDUAL)
        reason = _stop(reason, cosine <= gradient_tolerance, _GRADIENT)
        reason = _stop(reason, steps >= maximum_steps, _MAXIMUM)
        active = reason == _RUNNING
        if not active.any():
            return x, r, reason, steps
        steps += active
        scale = torch.where(active[..., None], torch.maximum(scale, vector_norm(j, dim=-2)), 1.0)
        step = _damped_step(j, r, mu, torch.where(scale > 0, scale, 1.0), active, method)
        new_r, new_j = evaluate(x + step)
        new_cosine = _cosine(new_j, new_r)

        length = vector_norm(scale * step, dim=-1)
        predicted = 0.5 * torch.einsum("...mn,...n->...m", j, step).square().sum(-1) + mu * length.square()
        gain = 0.5 * ((r - new_r) * (r + new_r)).sum(-1) / predicted
        undamped = mu <= 1  # the columns have unit length in the scaled unknowns
        invisible = undamped & (predicted <= 4 * eps * r.square().sum(-1))
        accept = torch.where(invisible, new_cosine < cosine, torch.where(mu == 0, (gain - 1).abs() < 0.1, gain > 1e-4))
        accept &= active & _finite(new_r, new_j)

        reason = _stop(reason, undamped & (length <= step_tolerance * vector_norm(scale * x, dim=-1)), _STEP)
        reason = _stop(reason, invisible & ~accept, _DECREASE)
        x = torch.where(accept[..., None], x + step, x)
        r = torch.where(accept[..., None], new_r, r)
        j = torch.where(accept[..., None, None], new_j, j)
        cosine = torch.where(accept, new_cosine, cosine)
        gain = torch.where(invisible, 0.5, gain)  # too small to be measured: leave the damping as it is
        mu, growth = _nielsen(mu, growth, gain, accept, damping)
        reason = _stop(reason, mu > _DAMPING_LIMIT, _STALLED)


def _damped_step(j: Tensor, r: Tensor, mu: Tensor, scale: Tensor, active: Tensor, method: str) -> Tensor:
    """argmin |J s + r|^2 + mu |scale s|^2; zero for the problems that are not active."""
    damping = torch.diag_embed(torch.where(active[..., None], mu.sqrt()[..., None] * scale, 1.0))
    rows = torch.cat([torch.where(active[..., None, None], j, 0.0), damping], -2)
    rhs = torch.cat([torch.where(active[..., None], -r, 0.0), torch.zeros_like(scale)], -1)
    return linear_least_squares(rows, rhs, method=method).x


def _nielsen(mu: Tensor, growth: Tensor, gain: Tensor, accept: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    """Nielsen (1999), eq. 2.5: a good model lowers the damping, threefold at most; failures raise it ever faster."""
    lowered = mu * (1 - (2 * gain - 1) ** 3).clamp(min=1 / 3)
    raised = torch.where(mu == 0, damping, mu * growth)
    return torch.where(accept, lowered, raised), torch.where(accept | (mu == 0), 2.0, 2 * growth)


def _stop(reason: Tensor, condition: Tensor, code: int) -> Tensor:
    return torch.where((reason == _RUNNING) & condition, code, reason)


def _cosine(j: Tensor, r: Tensor) -> Tensor:
    """The largest |cos| of the angle between the residual and a column of the Jacobian: zero at a stationary point."""
    gradient = torch.einsum("...mn,...m->...n", j, r).abs()
    lengths = vector_norm(j, dim=-2) * vector_norm(r, dim=-1, keepdim=True)
    return torch.where(lengths == 0, 0.0, gradient / lengths).amax(-1)


def _finite(r: Tensor, j: Tensor) -> Tensor:
    return torch.isfinite(r).all(-1) & torch.isfinite(j).all(-1).all(-1)


def _double(value: object) -> object:
    return value.to(torch.float64) if isinstance(value, Tensor) and value.is_floating_point() else value


def _broadcast_start(residual: Function, start: Tensor, args: list[object]) -> Tensor:
    """``start`` in float64, expanded to the batch that ``residual`` returns; checks shapes and hidden gradients."""
    x = start.detach().to(torch.float64)
    if x.ndim == 0:
        raise InputError("start must be (..., n), got a scalar; use start.reshape(1)")
    r = residual(x, *args)
    if r.ndim == 0:
        raise InputError("residual must return (..., m), got a scalar; return the vector whose squares are summed")
    if r.requires_grad:
        raise InputError("residual uses a tensor that requires a gradient: pass it in args (or detach it)")
    try:
        return x.expand(*torch.broadcast_shapes(x.shape[:-1], r.shape[:-1]), x.shape[-1]).contiguous()
    except RuntimeError:
        raise InputError(
            f"residual returned {tuple(r.shape)} for start {tuple(x.shape)}: leading dimensions do not broadcast"
        ) from None
