"""Batched nonlinear least squares by Levenberg-Marquardt, differentiable through the optimum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.optim.implicit import Function, Hessian, differentiate_optimum, linearise
from sciml.optim.marquardt import REASONS, RowModel, converged, minimise


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
    hessian: Hessian | None = None,
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

    batch, n = x.shape[:-1], x.shape[-1]
    everywhere = x.reshape(-1, n).clone()

    def evaluate(x: Tensor, problems: Tensor) -> RowModel:
        everywhere[problems] = x
        at = everywhere.reshape(*batch, n)
        if jacobian is None:
            r, j = linearise(lambda x: residual(x, *constants), at)
        else:
            r, j = residual(at, *constants), jacobian(at, *constants)
        return RowModel(r.reshape(-1, r.shape[-1])[problems], j.reshape(-1, *j.shape[-2:])[problems], method)

    with torch.no_grad():
        x, reasons, steps = minimise(
            evaluate, everywhere.clone(), maximum_steps=maximum_steps, residual_tolerance=residual_tolerance,
            gradient_tolerance=gradient_tolerance, step_tolerance=step_tolerance, damping=damping,
        )  # fmt: skip
    reasons, steps = reasons.reshape(batch), steps.reshape(batch)
    optimum = differentiate_optimum(residual, x.reshape(*batch, n), *values, hessian=hessian)
    good = converged(reasons)
    return LeastSquaresResult(
        x=optimum.to(start.dtype),
        residual=residual(optimum, *values).to(start.dtype),
        steps=steps if batch else int(steps),
        converged=good if batch else bool(good),
        stop_reason=REASONS[reasons.cpu().numpy()] if batch else str(REASONS[int(reasons)]),
    )


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
