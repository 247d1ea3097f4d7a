"""The constraint layer: coefficients of given bases that satisfy residual rows in the least-squares sense."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.func import vjp

from sciml.errors import DivergenceError, InputError
from sciml.optim import differentiate_optimum
from sciml.optim.marquardt import REASONS, NormalModel, minimise


@dataclass(frozen=True)
class Rows:
    """Residual rows that depend pointwise on A jet entries, which are linear in the coefficients of each expert.

    Shapes name B instances of K experts with m points and N coefficients each.

    Attributes:
        entries: the entries of the bases' jets, (A, B, K, m, N), or (A, B, 1, m, N) where all experts have the same.
        offset: what is added to their combination, (A, B, K, m) or (A, B, 1, m).
        evaluate: maps values of the entries (A, S, m) of the experts numbered (S,), of all B K, to residuals (T, S, m).
        affine: whether the residuals are affine in the entries, and all experts have the same.
    """

    entries: Tensor
    offset: Tensor
    evaluate: Callable[[Tensor, Tensor], Tensor]
    affine: bool = False


@dataclass(frozen=True)
class Tolerances:
    """When the least-squares iteration ends, see ``least_squares``."""

    maximum_steps: int = 50
    gradient: float = 1e-7
    step: float = 1e-9


def solve(
    groups: Sequence[Rows], start: Tensor, ridge: float, seams: Tensor | None = None, tolerances: Tolerances = Tolerances()
) -> Tensor:
    """Coefficients (B, K, N) that minimise the squares of the rows and of ``ridge`` times their distance from the first guess.

    Every expert is a problem by itself; given ``seams``, all of an instance are one. Differentiable with respect to the
    entries, offsets and seams, by the implicit function theorem with the full Hessian.

    Args:
        start: first guess (B, K, N), where directions that the rows leave open stay.
        seams: coefficients (B, S, K, N) of further rows, which are linear and couple the experts of an instance.

    Raises:
        InputError: ``evaluate`` uses a tensor that requires a gradient, which would be lost: multiply it into the entries.
        DivergenceError: a row is not finite.

    Source: Chalapathi, Du & Krishnapriyan (2024), 2402.13412, eq. 3 to 5; the derivative is that of a least-squares
    optimum, not of a root, so that it is right where the residual does not vanish.
    """
    b, k, n = start.shape
    tensors = [tensor.double() for group in groups for tensor in (group.entries, group.offset)]
    tensors += [] if seams is None else [seams.double()]
    experts = torch.arange(b * k, device=start.device)
    _refuse_lost_gradients(groups, experts)

    def unpack(data: Sequence[Tensor]) -> tuple[list[Rows], Tensor | None]:
        given = [replace(g, entries=data[2 * i], offset=data[2 * i + 1]) for i, g in enumerate(groups)]
        return given, None if seams is None else data[-1]

    def residual(x: Tensor, *data: Tensor) -> Tensor:
        given, coupling = unpack(data)
        c = x.reshape(b, k, n)
        # (B, K, rows): every row belongs to one expert
        own = [_evaluated(group, _values(group, c), experts).movedim(0, 2).flatten(2) for group in given]
        own += [ridge * (c - start)]
        rows = torch.cat(own, dim=2).reshape(len(x), -1)
        return rows if coupling is None else torch.cat([rows, torch.einsum("bskn,bkn->bs", coupling, c)], dim=1)

    def hessian(x: Tensor, *data: Tensor) -> tuple[Tensor, Tensor]:
        given, coupling = unpack(data)
        c = x.reshape(b, k, n)
        first = (ridge**2 * _identity(c)).expand(b, k, n, n)
        second = torch.zeros_like(first)
        for group in given:
            # those of an affine group do not depend on the expert
            values, at = (group.offset, experts[::k]) if group.affine else (_values(group, c), experts)
            for block in _jacobian(group, values, at):
                first = first + block.mT @ block
            if not group.affine:
                second = second + _curvature(group, values, experts)
        if coupling is None:
            return first.flatten(0, 1), second.flatten(0, 1)
        rows = coupling.flatten(2)
        return _block_diagonal(first) + rows.mT @ rows, _block_diagonal(second)

    with torch.no_grad():
        normal = _Normal(*unpack([tensor.detach() for tensor in tensors]), ridge, start.double())
        x = start.double().reshape(b * k, n) if seams is None else start.double().reshape(b, k * n)
        found, reasons, _ = minimise(
            normal, x, maximum_steps=tolerances.maximum_steps, residual_tolerance=1e-14,
            gradient_tolerance=tolerances.gradient, step_tolerance=tolerances.step, damping=1e-3,
        )  # fmt: skip
    if "not finite" in REASONS[reasons.cpu()]:
        raise DivergenceError(
            "a residual of the constraint, or its slope, is not finite; check equations and conditions for divisions by "
            "zero, logarithms and roots, or train at a lower rate"
        )
    return differentiate_optimum(residual, found, *tensors, hessian=hessian).reshape(b, k, n)


def _refuse_lost_gradients(groups: Sequence[Rows], experts: Tensor) -> None:
    for group in groups if torch.is_grad_enabled() else ():
        values = group.offset.detach().double()
        own = experts.unflatten(0, (values.shape[1], -1))[:, : values.shape[2]]
        if group.evaluate(values.flatten(1, 2), own.flatten()).requires_grad:
            raise InputError(
                "a residual depends on a tensor that requires a gradient, which would be lost: detach it, or multiply it "
                "into the entries"
            )


class _Normal:
    """The normal equations of the least-squares problems with given numbers, linearised at given coefficients.

    Affine rows are first reduced, by orthogonal transformations, to no more than there are coefficients and one.
    """

    def __init__(self, groups: Sequence[Rows], seams: Tensor | None, ridge: float, start: Tensor) -> None:
        b, k, _ = start.shape
        self.experts, self.ridge, self.start = k, ridge, start.flatten(0, 1)
        # Pairs of entries and offset by expert, (A, B K, m, N) and (A, B K, m).
        self.curved = [
            (
                group.evaluate,
                group.entries.expand(-1, b, k, -1, -1).flatten(1, 2),
                group.offset.expand(-1, b, k, -1).flatten(1, 2),
            )
            for group in groups
            if not group.affine
        ]
        self.affine = _reduced([group for group in groups if group.affine], start)
        self.seams = None if seams is None else seams.flatten(2)  # (B, S, K N)
        self.coupling = None if self.seams is None else self.seams.mT @ self.seams
        self.held = torch.arange(b * k, device=groups[0].entries.device)

    def __call__(self, x: Tensor, problems: Tensor) -> NormalModel:
        k, n = self.experts, self.start.shape[-1]
        experts = problems
        if self.seams is not None:
            experts = (problems[:, None] * k + torch.arange(k, device=problems.device)).flatten()
        self._hold(experts)
        c = x.reshape(-1, n)
        matrix = self.ridge**2 * _identity(c).expand(len(c), n, n)
        moved = c - self.start[experts]
        gradient = self.ridge**2 * moved
        square = self.ridge**2 * moved.square().sum(-1)
        for evaluate, entries, offset in self.curved:
            values = (entries @ c[:, :, None]).squeeze(-1) + offset
            for r, slopes in _slopes(evaluate, values, experts):
                matrix, gradient, square = _added(matrix, gradient, square, _combine(slopes, entries), r)
        block, constant = (part[experts] for part in self.affine)
        r = (block @ c[:, :, None]).squeeze(-1) + constant
        matrix, gradient, square = _added(matrix, gradient, square, block, r)
        if self.seams is None or self.coupling is None:
            return NormalModel(square, gradient, matrix)
        seams = self.seams[problems]
        jumps = (seams @ x[:, :, None]).squeeze(-1)
        return NormalModel(
            square.reshape(-1, k).sum(1) + jumps.square().sum(1),
            gradient.reshape(len(x), -1) + (seams.mT @ jumps[:, :, None]).squeeze(-1),
            _block_diagonal(matrix.unflatten(0, (-1, k))) + self.coupling[problems],
        )

    def _hold(self, experts: Tensor) -> None:
        """Drop the entries of other experts: once stopped, a problem does not return."""
        if len(experts) == len(self.held):
            return
        kept = torch.isin(self.held, experts)
        self.held = experts
        self.curved = [(evaluate, entries[:, kept], offset[:, kept]) for evaluate, entries, offset in self.curved]


def _slopes(evaluate: Callable[[Tensor, Tensor], Tensor], values: Tensor, experts: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Of every term the residuals (S, m) and their derivatives (A, S, m) with respect to the entries."""
    with torch.enable_grad():
        values = values.detach().requires_grad_()
        residuals = evaluate(values, experts)
        sums = residuals.flatten(1).sum(1).unbind()  # every residual depends on the values at its own point
    slopes = [torch.autograd.grad(total, values, retain_graph=True, materialize_grads=True)[0] for total in sums]
    return list(zip(residuals.detach(), slopes, strict=True))


def _added(matrix: Tensor, gradient: Tensor, square: Tensor, block: Tensor, r: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """With the rows ``block`` (S, m, N) and their residuals (S, m)."""
    pulled = (block.mT @ r[:, :, None]).squeeze(-1)
    return torch.baddbmm(matrix, block.mT, block), gradient + pulled, square + r.square().sum(-1)


def _reduced(groups: Sequence[Rows], start: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (B K, p, N) and constants (B K, p), p <= N + 1, whose squares sum to those of affine groups everywhere."""
    b, k, n = start.shape
    first = torch.arange(b, device=start.device) * k
    rows = [start.new_zeros(b, 0, n + 1)]
    for group in groups:
        blocks, constants = _jacobian(group, group.offset, first), _evaluated(group, group.offset, first)
        rows += [torch.cat([block, r[..., None]], dim=-1)[:, 0] for block, r in zip(blocks, constants, strict=True)]
    triangle = torch.linalg.qr(torch.cat(rows, dim=1), mode="r").R.repeat_interleave(k, dim=0)
    return triangle[..., :-1].contiguous(), triangle[..., -1].contiguous()


def _values(group: Rows, c: Tensor) -> Tensor:
    """The jet entries (A, B, K, m) of the combinations ``c`` (B, K, N)."""
    if group.entries.shape[2] == 1:
        return (group.entries.squeeze(2) @ c.mT).mT + group.offset
    return (group.entries @ c.unsqueeze(-1)).squeeze(-1) + group.offset


def _evaluated(group: Rows, values: Tensor, experts: Tensor) -> Tensor:
    """The residuals (T, B, K, m) at values (A, B, K, m)."""
    return group.evaluate(values.flatten(1, 2), experts).unflatten(1, values.shape[1:3])


def _jacobian(group: Rows, values: Tensor, experts: Tensor) -> list[Tensor]:
    """d residual / d coefficients (B, K, m, N) of each term, at values (A, B, K, m)."""
    residuals, pull = vjp(lambda v: _evaluated(group, v, experts), values)[:2]
    return [_combine(pull(_unit(residuals, term))[0], group.entries) for term in range(len(residuals))]


def _combine(slopes: Tensor, entries: Tensor) -> Tensor:
    """sum_a slopes_a entries_a: (A, ..., m) and (A, ..., m, N) give (..., m, N)."""
    total = slopes[0].unsqueeze(-1) * entries[0]
    for slope, entry in zip(slopes[1:], entries[1:], strict=True):
        total = torch.addcmul(total, slope.unsqueeze(-1), entry)
    return total


def _curvature(group: Rows, values: Tensor, experts: Tensor) -> Tensor:
    """sum over rows of residual times its second derivative in the coefficients, (B, K, N, N)."""
    residuals = _evaluated(group, values, experts)

    def slopes(values: Tensor) -> Tensor:
        return vjp(lambda v: _evaluated(group, v, experts), values)[1](residuals)[0]

    pull = vjp(slopes, values)[1]
    n = group.entries.shape[-1]
    total = values.new_zeros(*values.shape[1:3], n, n)
    for a, entry in enumerate(group.entries):
        (weights,) = pull(_unit(values, a))
        if weights.any():  # most entries occur linearly
            total = total + entry.mT @ _combine(weights, group.entries)
    return total


def _unit(like: Tensor, row: int) -> Tensor:
    unit = torch.zeros_like(like)
    unit[row] = 1
    return unit


def _block_diagonal(blocks: Tensor) -> Tensor:
    """Matrices (B, K N, K N) with the blocks (B, K, N, N) on the diagonal."""
    b, k, n, _ = blocks.shape
    placed = torch.diag_embed(blocks.permute(0, 2, 3, 1))  # (B, N, N, K, K)
    return placed.permute(0, 3, 1, 4, 2).reshape(b, k * n, k * n)


def _identity(like: Tensor) -> Tensor:
    return torch.eye(like.shape[-1], dtype=like.dtype, device=like.device)
