"""The constraint layer: coefficients of given bases that satisfy residual rows in the least-squares sense."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.func import vjp

from sciml.optim import least_squares


@dataclass(frozen=True)
class Rows:
    """Residual rows that depend pointwise on A jet entries, which are linear in the coefficients of each expert.

    Shapes name E problems that are solved by themselves, each of J coupled experts with m points and N coefficients.

    Attributes:
        entries: the entries of the bases' jets, (A, E, J, m, N).
        offset: what is added to their combination, (A, E, J, m).
        evaluate: maps values of the entries (A, E, J, m) to residuals (T, E, J, m), each point by itself.
    """

    entries: Tensor
    offset: Tensor
    evaluate: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Tolerances:
    """When the least-squares iteration ends, see ``least_squares``."""

    maximum_steps: int = 50
    gradient: float = 1e-7
    step: float = 1e-9


def solve(
    groups: Sequence[Rows], start: Tensor, ridge: float, seams: Tensor | None = None, tolerances: Tolerances = Tolerances()
) -> Tensor:
    """Coefficients (E, J, N) that minimise the sum of squares of all rows and of ``ridge`` times the coefficients.

    Differentiable with respect to the entries, offsets and seams, by the implicit function theorem with the full Hessian.

    Args:
        start: first guess (E, J, N).
        seams: coefficients (E, S, J, N) of further rows, which are linear and couple the experts.

    Source: Chalapathi, Du & Krishnapriyan (2024), 2402.13412, eq. 3 to 5; the derivative is that of a least-squares
    optimum, not of a root, so that it is right where the residual does not vanish.
    """
    shape = start.shape
    tensors = [tensor for group in groups for tensor in (group.entries, group.offset)]
    tensors += [] if seams is None else [seams]

    def unpack(data: Sequence[Tensor]) -> tuple[list[Rows], Tensor | None]:
        given = [replace(g, entries=data[2 * i], offset=data[2 * i + 1]) for i, g in enumerate(groups)]
        return given, None if seams is None else data[-1]

    def residual(x: Tensor, *data: Tensor) -> Tensor:
        given, coupling = unpack(data)
        x = x.reshape(shape)
        rows = [_flat(group.evaluate(_values(group, x))) for group in given] + [(ridge * x).flatten(1)]
        if coupling is not None:
            rows.append(torch.einsum("esjn,ejn->es", coupling, x))
        return torch.cat(rows, dim=1)

    def jacobian(x: Tensor, *data: Tensor) -> Tensor:
        given, coupling = unpack(data)
        x = x.reshape(shape)
        blocks = []
        for group in given:
            values, pull = vjp(group.evaluate, _values(group, x))[:2]
            for term in range(len(values)):
                (slopes,) = pull(_unit(values, term))
                blocks.append(_combine(slopes, group.entries))
        rows = [_coupled(block) for block in blocks] + [ridge * _identity(x)]
        if coupling is not None:
            rows.append(coupling.flatten(2))
        return torch.cat(rows, dim=1)

    def hessian(x: Tensor, *data: Tensor) -> Tensor:
        given, _ = unpack(data)
        j = jacobian(x, *data)
        x = x.reshape(shape)
        curved = torch.zeros(*shape, shape[-1], dtype=x.dtype, device=x.device)
        for group in given:
            curved = curved + _curvature(group, _values(group, x))
        return j.mT @ j + _coupled(curved)

    result = least_squares(
        residual, start.flatten(1), *tensors, jacobian=jacobian, hessian=hessian,
        maximum_steps=tolerances.maximum_steps, gradient_tolerance=tolerances.gradient, step_tolerance=tolerances.step,
    )  # fmt: skip
    return result.x.reshape(shape)


def _values(group: Rows, x: Tensor) -> Tensor:
    """The jet entries (A, E, J, m) of the combination ``x`` (E, J, N)."""
    return (group.entries @ x.unsqueeze(-1)).squeeze(-1) + group.offset


def _flat(residuals: Tensor) -> Tensor:
    """(T, E, J, m) as rows (E, T J m)."""
    return residuals.movedim(0, 1).flatten(1)


def _combine(slopes: Tensor, entries: Tensor) -> Tensor:
    """sum_a slopes_a entries_a: (A, E, J, m) and (A, E, J, m, N) give (E, J, m, N)."""
    total = slopes[0].unsqueeze(-1) * entries[0]
    for slope, entry in zip(slopes[1:], entries[1:], strict=True):
        total = torch.addcmul(total, slope.unsqueeze(-1), entry)
    return total


def _curvature(group: Rows, values: Tensor) -> Tensor:
    """sum over rows of residual times its second derivative in the coefficients, (E, J, N, N)."""
    residuals = group.evaluate(values)

    def slopes(values: Tensor) -> Tensor:
        return vjp(group.evaluate, values)[1](residuals)[0]

    pull = vjp(slopes, values)[1]
    total = torch.zeros_like(group.entries[0].mT @ group.entries[0])
    for a, entry in enumerate(group.entries):
        (weights,) = pull(_unit(values, a))
        if weights.any():  # most entries occur linearly
            total = total + entry.mT @ _combine(weights, group.entries)
    return total


def _unit(like: Tensor, row: int) -> Tensor:
    unit = torch.zeros_like(like)
    unit[row] = 1
    return unit


def _coupled(blocks: Tensor) -> Tensor:
    """Blocks (E, J, m, N) of the experts on the diagonal of a matrix (E, J m, J N)."""
    e, j, m, n = blocks.shape
    if j == 1:
        return blocks.squeeze(1)
    matrix = blocks.new_zeros(e, j, m, j, n)
    for i in range(j):
        matrix[:, i, :, i] = blocks[:, i]
    return matrix.reshape(e, j * m, j * n)


def _identity(x: Tensor) -> Tensor:
    n = x[0].numel()
    return torch.eye(n, dtype=x.dtype, device=x.device).expand(len(x), n, n)
