"""Least squares with few coupled blocks of unknowns: a multifrontal Householder QR factorisation.

Unknowns come in blocks (the coefficients of one expert), rows in groups that touch one block or a few neighbours.
Blocks are eliminated one after another in an order of little fill; every elimination is one dense QR of the rows that
touch the block, so that the cost grows about linearly with the number of blocks, and no normal equations square the
condition number. Source: Duff and Reid, ACM TOMS 9 (1983) 302; Davis, ACM TOMS 38 (2011) 8, for sparse QR.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from sciml.errors import InputError

PANEL = 96  # columns of a front at once
INDEPENDENT = 1e-6  # a pivot of columns of length one that no ridge of rounding size changes


@dataclass(frozen=True)
class Rows:
    """Equations ``sum over blocks of matrix @ unknowns(block) = right``.

    Attributes:
        matrices: block number -> (m, n_block).
        right: shape (m, k) for k right-hand sides.
    """

    matrices: dict[int, Tensor]
    right: Tensor


@dataclass(frozen=True)
class _Pivot:
    """Triangular rows of blocks eliminated together: ``diagonal x + sum of couplings = right``."""

    blocks: tuple[int, ...]
    diagonal: Tensor
    couplings: dict[int, Tensor]
    right: Tensor


class BlockQR:
    """Triangular factor of a block-sparse least-squares problem.

    Args:
        rows: all equations.
        sizes: unknowns of every block.
        ridge: relative to the norm of each column; keeps dependent columns from growing without bound.
        order: elimination order of the blocks; by default a minimum-degree order. A block that no rows outside a front
            touch any more is eliminated with it. Blocks that it leaves out stay.

    Attributes:
        rest: the rows that are left for the blocks that stay.

    Raises:
        InputError: a row group disagrees with ``sizes``, or a number is not finite.
    """

    def __init__(
        self, rows: Iterable[Rows], sizes: Sequence[int], ridge: float = 1e-14, order: Sequence[int] | None = None
    ) -> None:
        groups = list(rows)
        _check(groups, sizes)
        self.sizes, self._ridge = tuple(sizes), ridge
        self._scales = _column_scales(groups, sizes)
        active = {number: _Member(_scaled(group, self._scales)) for number, group in enumerate(groups)}
        touching: list[set[int]] = [set() for _ in sizes]
        for number, group in enumerate(groups):
            for block in group.matrices:
                touching[block].add(number)
        self._pivots: list[_Pivot] = []
        self.residual_norm: Tensor = groups[0].right.new_zeros(groups[0].right.shape[1])
        order = minimum_degree(groups, len(sizes)) if order is None else order
        eliminated, wanted = set[int](), set(order)
        place = {block: number for number, block in enumerate([*order, *(b for b in range(len(sizes)) if b not in wanted)])}
        for block in order:
            if block in eliminated:
                continue
            numbers = sorted(touching[block])
            members = [active.pop(number) for number in numbers]
            seen = sorted({b for member in members for b in member.rows.matrices}, key=place.__getitem__) or [block]
            inside = [b for b in seen if b in wanted and touching[b] <= touching[block]]
            pivot, rest = self._eliminate(inside, [b for b in seen if b not in inside], members)
            self._pivots.append(pivot)
            eliminated.update(inside)
            for b in seen:
                touching[b] = touching[b].difference(numbers)
            if rest.matrices:
                number = len(groups) + len(self._pivots)
                active[number] = _Member(rest, triangular=True)
                for b in rest.matrices:
                    touching[b].add(number)
            else:
                self.residual_norm = (self.residual_norm**2 + rest.right.square().sum(0)).sqrt()
        self.rest = [
            Rows({b: matrix * self._scales[b] for b, matrix in member.rows.matrices.items()}, member.rows.right)
            for member in active.values()
        ]

    @property
    def condition(self) -> float:
        """Estimate from the diagonal of the column-scaled triangular factor, a lower bound in practice."""
        diagonals = torch.cat([pivot.diagonal.diagonal().abs() for pivot in self._pivots])
        return (diagonals.max() / diagonals.min()).item()

    def solve(self, known: Mapping[int, Tensor] = MappingProxyType({})) -> list[Tensor]:
        """Unknowns (n_block, k) of every block, for the right-hand sides of the rows.

        Args:
            known: those of blocks that stayed, zero unless given.
        """
        return self._backward([pivot.right for pivot in self._pivots], known)

    def solve_normal(self, gradient: Sequence[Tensor]) -> list[Tensor]:
        """``(A^T A)^-1 gradient`` from the triangular factor alone; one (n_block, k) for every block.

        This is the adjoint solve, and the step of refinement by corrected seminormal equations
        (Bjorck, Linear Algebra Appl. 88 (1987) 31).
        """
        pending = {b: g / self._scales[b].unsqueeze(1) for b, g in enumerate(gradient)}
        right = []
        for pivot in self._pivots:
            known = torch.cat([pending[block] for block in pivot.blocks])
            y = torch.linalg.solve_triangular(pivot.diagonal.T, known, upper=False)
            for block, coupling in pivot.couplings.items():
                pending[block] = pending[block] - coupling.T @ y
            right.append(y)
        return self._backward(right)

    def _backward(self, right: list[Tensor], known: Mapping[int, Tensor] = MappingProxyType({})) -> list[Tensor]:
        k = self.residual_norm.shape[0]
        scaled = {block: scale.new_zeros(len(scale), k) for block, scale in enumerate(self._scales)}
        scaled |= {block: values * self._scales[block].unsqueeze(1) for block, values in known.items()}
        for pivot, y in zip(reversed(self._pivots), reversed(right), strict=True):
            for block, coupling in pivot.couplings.items():
                y = y - coupling @ scaled[block]
            found = torch.linalg.solve_triangular(pivot.diagonal, y, upper=True)
            scaled |= zip(pivot.blocks, found.split([self.sizes[b] for b in pivot.blocks]), strict=True)
        return [scaled[block] / self._scales[block].unsqueeze(1) for block in range(len(self.sizes))]

    def _eliminate(self, inside: list[int], others: list[int], members: list[_Member]) -> tuple[_Pivot, Rows]:
        """QR of all rows that touch the blocks ``inside``: their triangular rows, and what is left for the others."""
        like = self.residual_norm
        k, n = len(like), sum(self.sizes[b] for b in inside)
        parts, end = {}, 0
        for b in (*inside, *others):
            parts[b] = slice(end, end + self.sizes[b])
            end += self.sizes[b]
        height, row = sum(len(member.rows.right) for member in members), 0
        front, first = like.new_zeros(height, end + k), torch.zeros(height, dtype=torch.long)
        for member in members:
            rows = slice(row, row + len(member.rows.right))
            for b, matrix in member.rows.matrices.items():
                front[rows, parts[b]] = matrix
            front[rows, end:] = member.rows.right
            if member.triangular:
                columns = [torch.arange(parts[b].start, parts[b].stop) for b in member.rows.matrices]
                begin = torch.cat([*columns, torch.arange(end, end + k)])
                # blocks that are eliminated together move ahead of others
                first[rows] = begin.flip(0).cummin(0).values.flip(0)[: rows.stop - row]
            row = rows.stop
        triangle = _triangle(front, first)
        if height < n or triangle[:n].diagonal().abs().min() < INDEPENDENT:  # the ridge is felt
            ridge = like.new_zeros(n, end + k)
            ridge.fill_diagonal_(self._ridge)
            triangle = torch.linalg.qr(torch.cat([front, ridge]), mode="r").R
        top, rest = triangle[:n].clone(), triangle[n:]  # a copy, lest it keep the memory of the rest
        pivot = _Pivot(tuple(inside), top[:, :n], {b: top[:, parts[b]] for b in others}, top[:, end:])
        return pivot, Rows({b: rest[:, parts[b]] for b in others}, rest[:, end:])


@dataclass(frozen=True)
class _Member:
    """Rows of a front; where ``triangular``, those of an earlier one, whose blocks are in the order of elimination."""

    rows: Rows
    triangular: bool = False


def _triangle(front: Tensor, first: Tensor) -> Tensor:
    """The triangular factor of a matrix (m, n) whose rows are zero before the column ``first`` (m,).

    Panel by panel of the columns, with the rows that begin in it or before it: the staircase form of Davis (2011).
    """
    order = first.argsort(stable=True)
    front, first = front[order.to(front.device)], first[order]
    width, left, taken = front.shape[1], front[:0], 0
    done = list[Tensor]()
    for start in range(0, width, PANEL):
        stop = min(start + PANEL, width)
        begun = int(torch.searchsorted(first, stop))
        panel, trailing = torch.cat([left, front[taken:begun, start:]]).tensor_split([stop - start], dim=1)
        taken = begun
        reflectors, scales = torch.geqrf(panel)
        if stop < width:
            trailing = torch.ormqr(reflectors, scales, trailing, transpose=True)
        top = torch.cat([reflectors[: stop - start].triu(), trailing[: stop - start]], dim=1)
        done.append(torch.nn.functional.pad(top, (start, 0)))
        left = trailing[stop - start :]
    return torch.cat(done)


def minimum_degree(groups: Iterable[Rows], blocks: int) -> list[int]:
    """Elimination order: always the block with the fewest neighbours left (ties by number)."""
    neighbours: list[set[int]] = [set() for _ in range(blocks)]
    for group in groups:
        for b in group.matrices:
            neighbours[b] |= group.matrices.keys() - {b}
    order: list[int] = []
    left = set(range(blocks))
    while left:
        block = min(left, key=lambda b: (len(neighbours[b]), b))
        left.discard(block)
        order.append(block)
        for b in neighbours[block]:
            neighbours[b] |= neighbours[block]
            neighbours[b] -= {b, block}
    return order


def _column_scales(groups: list[Rows], sizes: Sequence[int]) -> list[Tensor]:
    like = groups[0].right
    squares = [like.new_zeros(n) for n in sizes]
    for group in groups:
        for b, matrix in group.matrices.items():
            squares[b] = squares[b] + matrix.square().sum(0)
    return [torch.where(square > 0, square.sqrt(), 1.0) for square in squares]


def _scaled(group: Rows, scales: list[Tensor]) -> Rows:
    return Rows({b: matrix / scales[b] for b, matrix in group.matrices.items()}, group.right)


def _check(groups: list[Rows], sizes: Sequence[int]) -> None:
    if not groups:
        raise InputError("rows must hold at least one group of equations")
    for group in groups:
        for b, matrix in group.matrices.items():
            if matrix.shape != (len(group.right), sizes[b]):
                raise InputError(
                    f"rows of block {b} have shape {tuple(matrix.shape)}, expected ({len(group.right)}, {sizes[b]})"
                )
        if not all(torch.isfinite(t.sum()) for t in (*group.matrices.values(), group.right)):
            raise InputError("a least-squares row contains a number that is not finite")
