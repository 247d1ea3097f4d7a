"""Experts coupled through what they agree on: the traces on their shared faces.

Every face carries unknown traces v: values, and normal derivatives below the equation's order. An expert alone is the
small least-squares problem ``min over c of |A c - b|^2 + |J c - v|^2`` with its own rows A and its traces J c. One QR
factorisation leaves triangular rows for c and, for v, as many rows as it has traces: all that the others need to know.
The traces of all faces then solve a block-sparse least-squares problem, and every expert its triangular rows.
This is the hybridised form of the usual coupling by penalised jumps (half the squared jump is what the best v leaves),
as static condensation is of finite elements, but by orthogonal transformations: no condition number is squared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.optim.block_sparse import BlockQR, Rows
from sciml.problem import Problem
from sciml.solvers.experts.basis import Legendre, gauss
from sciml.solvers.experts.boxes import Boxes, Faces
from sciml.solvers.experts.integrals import Totals
from sciml.solvers.experts.terms import Block, State, powers

RANK = 1e-14  # a pivot below this part of the largest is zero
CHUNK = 2**24  # entries of the local matrices that are factorised at once


@dataclass(frozen=True)
class Traces:
    """Traces of both sides of the faces of one axis.

    Attributes:
        experts: (2, m).
        matrix: (2, m, k, U M); scaled by powers of the local size, with quadrature weights.
    """

    experts: Tensor
    matrix: Tensor


def traces(problem: Problem, boxes: Boxes, faces: Faces, basis: Legendre, weight: float, apart: Tensor) -> Traces:
    """What the experts at ``faces`` must agree on: derivatives along the axis below the order of the equations.

    Args:
        apart: unknowns (n, U) that do not exist in or beside a box, and are not coupled there.
    """
    d, unknowns = boxes.dimension, len(problem.unknowns)
    axis, m = faces.axis, len(faces)
    orders = [max(1, problem.order(u, problem.coordinates[axis])) for u in problem.unknowns]
    others = [a for a in range(d) if a != axis]
    nodes, weights = gauss(basis.degree + 1, d - 1, boxes.low)
    z = boxes.low.new_zeros(len(nodes), d)
    z[:, others] = nodes
    points = Boxes(faces.low, faces.high).points(z)  # (m, q, d)
    indices = [tuple(k if a == axis else 0 for a in range(d)) for k in range(max(orders))]
    size = torch.minimum(boxes.half[faces.below, axis], boxes.half[faces.above, axis])
    q, modes = len(nodes), len(basis)
    share = torch.minimum(boxes.weights[faces.below], boxes.weights[faces.above])
    matrix = boxes.low.new_zeros(2, m, sum(orders) * q, unknowns * modes)
    for side, (experts, move) in enumerate(faces.sides()):
        owner = experts.repeat_interleave(q)
        table = basis.jets(boxes.local((points + move[:, None]).reshape(-1, d), owner), indices)
        scale = powers(boxes.half[experts], indices) * size ** torch.arange(len(indices)).to(size)[:, None]
        rooted = weight * share[:, None] * weights.sqrt()
        table = table.reshape(-1, m, q, modes) * scale[:, :, None, None] * rooted[:, :, None]
        start = 0
        for row, order in enumerate(orders):
            part = table[:order].transpose(0, 1).reshape(m, order * q, modes)
            coupled = ~(apart[faces.below, row] | apart[faces.above, row])
            matrix[side, :, start : start + order * q, row * modes : (row + 1) * modes] = part * coupled[:, None, None]
            start += order * q
    return Traces(torch.stack([faces.below, faces.above]), matrix)


@dataclass(frozen=True)
class _Group:
    """Experts that touch blocks of the same sizes.

    Attributes:
        experts: (n,).
        traces: (n, k, U M).
        blocks, sizes: of their traces, and last of what is shared.
    """

    experts: Tensor
    traces: Tensor
    blocks: list[list[int]]
    sizes: tuple[int, ...]


class Skeleton:
    """The coupling of the experts on ``boxes`` through ``traces``, one for every axis with faces.

    Args:
        columns: coefficients of one expert.
        totals: sums over all experts that are given. They are carried from expert to expert: each adds its part, which
            is one more trace, to the sum of those before it, so that no row touches more than a few blocks.
        shared: unknowns that enter the rows of every expert. They are the last block to be eliminated.
    """

    def __init__(
        self, boxes: Boxes, columns: int, traces: Sequence[Traces], totals: Totals | None = None, shared: int = 0
    ) -> None:
        count, like = len(boxes), boxes.low
        self.count, self.columns, self.shared = count, columns, shared
        self.traces, self.totals = traces, totals
        self.sizes: list[int] = []
        incident: list[list[tuple[int, Tensor]]] = [[] for _ in range(count)]
        pairs = [like.new_zeros(0, 2, dtype=torch.long), *(item.experts.T for item in traces)]
        for item in traces:
            for face in range(item.experts.shape[1]):
                for side in (0, 1):
                    incident[int(item.experts[side, face])].append((len(self.sizes), item.matrix[side, face]))
                self.sizes.append(item.matrix.shape[2])
        self._sums: list[Rows] = []
        if totals is not None:
            chain = boxes.centre[:, 0].argsort()
            scale = (2 * count) ** 0.5  # one error in the sum is shared out over two rows of every expert
            eye = torch.eye(len(totals.right)).to(like)
            for place, expert in enumerate(chain.tolist()):
                part, last = len(self.sizes), place == count - 1
                incident[expert].append((part, scale * totals.matrix[expert]))
                before = {part - 1: eye} if place else {}  # blocks alternate: a part, and the sum up to it
                after = {} if last else {part + 1: -eye}
                right = scale * totals.right if last else torch.zeros_like(totals.right)
                self._sums.append(Rows({part: eye, **before, **after}, right[:, None]))
                self.sizes += [len(eye)] * (1 if last else 2)
            ends = torch.stack([chain, chain], 1)
            nexts = torch.stack([chain, chain.roll(-1)], 1)
            pairs.append(torch.stack([ends, nexts], 1).flatten(0, 1)[:-1])
        self._order = dissection(boxes.centre, torch.cat(pairs))
        common = [len(self.sizes)] if shared else []
        self._order += common
        by_sizes: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for expert, found in enumerate(incident):
            by_sizes[tuple(self.sizes[block] for block, _ in found)].append(expert)
        self._groups = []
        for sizes, members in by_sizes.items():
            none = like.new_zeros(0, columns)
            stacked = torch.stack([torch.cat([none, *(matrix for _, matrix in incident[e])]) for e in members])
            blocks = [[*(block for block, _ in incident[e]), *common] for e in members]
            number = torch.tensor(members, device=like.device)
            self._groups.append(_Group(number, stacked, blocks, sizes + (shared,) * len(common)))
        self.sizes += [shared] * len(common)

    def jumps(self, flat: Tensor) -> Tensor:
        """What the experts with coefficients ``flat`` (n, U M) disagree in, as it enters the sum of squares."""
        parts = [torch.einsum("amkc,amc->amk", item.matrix, flat[item.experts]) for item in self.traces]
        jumps = [((part[0] - part[1]) * 0.5**0.5).flatten() for part in parts]
        if self.totals is not None:
            jumps.append(torch.einsum("nkc,nc->k", self.totals.matrix, flat) - self.totals.right)
        return torch.cat([flat.new_zeros(0), *jumps])

    def solve(self, blocks: Sequence[Block]) -> State:
        """Least squares over the rows of all ``blocks`` and the coupling; coefficients as (n, U M)."""
        locals_ = [part for group in self._groups for part in self._condense(group, blocks)]
        coefficients = locals_[0].triangle.new_zeros(self.count, self.columns)
        rows = [row for part in locals_ for row in part.rows()] + self._sums
        found = BlockQR(rows, self.sizes, order=self._order).solve() if rows else []
        for part in locals_:
            coefficients[part.experts] = part.coefficients(found)
        return State(coefficients, found[-1].squeeze(1) if self.shared else coefficients.new_zeros(0))

    def _condense(self, group: _Group, blocks: Sequence[Block]) -> list[_Local]:
        k = group.traces.shape[1]
        height = sum(block.matrix.shape[1] for block in blocks) + k
        size = max(1, CHUNK // (height * (self.columns + k + self.shared + 1)))
        pieces = range(0, len(group.experts), size)
        return [self._condensed(group, slice(start, start + size), blocks) for start in pieces]

    def _condensed(self, group: _Group, part: slice, blocks: Sequence[Block]) -> _Local:
        experts, coupling = group.experts[part], group.traces[part]
        n, k, columns = len(experts), coupling.shape[1], self.columns
        own = torch.cat([_select(block, experts, self.count) for block in blocks], dim=1)
        if own.shape[1] > own.shape[2]:
            own = torch.linalg.qr(own, mode="r").R
        top, width = own.shape[1], own.shape[2] + k
        full = own.new_zeros(n, max(top + k, width), width)
        full[:, :top, :columns], full[:, :top, columns + k :] = own[..., :columns], own[..., columns:]
        full[:, top : top + k, :columns] = coupling
        full[:, top : top + k, columns : columns + k] = -torch.eye(k, dtype=own.dtype, device=own.device)
        triangle = torch.linalg.qr(full, mode="r").R
        return _Local(experts, group.blocks[part], group.sizes, triangle, columns)


@dataclass(frozen=True)
class _Local:
    """Triangular rows of some experts: coefficients, traces, what is shared, right-hand side."""

    experts: Tensor
    blocks: list[list[int]]
    sizes: tuple[int, ...]
    triangle: Tensor
    columns: int

    def rows(self) -> list[Rows]:
        """The rows that are left for the traces."""
        if not self.sizes:
            return []
        result = []
        for below, blocks in zip(self.triangle[:, self.columns : -1, self.columns :], self.blocks, strict=True):
            matrices: dict[int, Tensor] = {}
            for block, part in zip(blocks, below[:, :-1].split(self.sizes, dim=1), strict=True):
                matrices[block] = matrices[block] + part if block in matrices else part  # both ends of a period
            result.append(Rows(matrices, below[:, -1:]))
        return result

    def coefficients(self, found: Sequence[Tensor]) -> Tensor:
        top = self.triangle[:, : self.columns]
        right = top[..., -1:]
        if self.sizes:
            right = right - top[..., self.columns : -1] @ torch.stack([torch.cat([found[b] for b in bs]) for bs in self.blocks])
        return torch.linalg.solve_triangular(*_regular(top[..., : self.columns], right), upper=True).squeeze(-1)


def _regular(triangle: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """A triangular system in which unknowns that no row determines are zero."""
    pivots = triangle.diagonal(dim1=-2, dim2=-1).abs()
    free = (pivots <= RANK * pivots.amax(-1, keepdim=True))[..., None]
    return torch.where(free, torch.eye(triangle.shape[-1]).to(triangle), triangle), torch.where(free, 0.0, right)


def dissection(centres: Tensor, pairs: Tensor) -> list[int]:
    """Nested dissection: an elimination order of the faces between ``pairs`` (m, 2) of boxes at ``centres`` (n, d).

    The boxes are halved again and again; the faces between two halves come after those inside of each.
    Source: George, SIAM J. Numer. Anal. 10 (1973) 345.
    """
    order: list[int] = []
    stack = [(torch.arange(len(centres), device=centres.device), torch.arange(len(pairs), device=centres.device))]
    while stack:  # the separator of a part first, then its halves: the order is the reverse
        boxes, faces = stack.pop()
        if len(boxes) < 2 or len(faces) < 2:
            order += faces.tolist()
            continue
        spread = centres[boxes]
        axis = int((spread.amax(0) - spread.amin(0)).argmax())
        ranked = boxes[spread[:, axis].argsort()]
        upper = torch.zeros(len(centres), dtype=torch.bool, device=centres.device)
        upper[ranked[len(ranked) // 2 :]] = True
        sides = upper[pairs[faces]].sum(1)
        order += faces[sides == 1].tolist()
        stack += [(ranked[: len(ranked) // 2], faces[sides == 0]), (ranked[len(ranked) // 2 :], faces[sides == 2])]
    return order[::-1]


def _select(block: Block, experts: Tensor, count: int) -> Tensor:
    """The rows of ``experts`` (n, R, U M + P + 1), zero for an expert that the block has none for."""
    place = torch.full((count,), -1, device=experts.device)
    place[block.experts] = torch.arange(len(block.experts), device=experts.device)
    rows = place[experts]
    every = torch.cat([block.matrix[rows], block.shared[rows], block.right[rows].unsqueeze(-1)], dim=-1)
    return torch.where((rows >= 0)[:, None, None], every, 0.0)
