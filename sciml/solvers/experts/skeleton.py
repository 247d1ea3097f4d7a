"""Experts coupled through what they agree on: the traces on their shared faces.

Every face carries unknown traces v: values, and normal derivatives below the equation's order. An expert alone is the
small least-squares problem ``min over c of |A c - b|^2 + |J c - v|^2`` with its own rows A and its traces J c. One QR
factorisation leaves triangular rows for c and, for v, as many rows as it has traces: all that the others need to know.
The traces of all faces then solve a block-sparse least-squares problem, and every expert its triangular rows.
This is the hybridised form of the usual coupling by penalised jumps (half the squared jump is what the best v leaves),
as static condensation is of finite elements, but by orthogonal transformations: no condition number is squared.

Of several processes each eliminates the experts of its part, and the traces that only they have; the rows that are left
for the traces between parts are gathered, and solved by all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.optim.block_sparse import BlockQR, Rows
from sciml.solvers.experts import parallel
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.dissection import dissection
from sciml.solvers.experts.integrals import Totals
from sciml.solvers.experts.terms import Block, State
from sciml.solvers.experts.traces import Traces

RANK = 1e-14  # a pivot below this part of the largest is zero
CHUNK = 2**21  # entries of the local matrices that are factorised at once: more do not stay in the cache


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
        part: the process (n,) that every expert belongs to.
    """

    def __init__(
        self, boxes: Boxes, columns: int, traces: Sequence[Traces], totals: Totals | None, shared: int, part: Tensor
    ) -> None:
        count, like, mine = len(boxes), boxes.low, (part == parallel.rank()).tolist()
        self.count, self.columns, self.shared = count, columns, shared
        self.traces, self.totals, self._like = traces, totals, like
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
                own, last = len(self.sizes), place == count - 1
                incident[expert].append((own, scale * totals.matrix[expert]))
                before = {own - 1: eye} if place else {}  # blocks alternate: a summand, and the sum up to it
                after = {} if last else {own + 1: -eye}
                right = scale * totals.right if last else torch.zeros_like(totals.right)
                if mine[expert]:
                    self._sums.append(Rows({own: eye, **before, **after}, right[:, None]))
                self.sizes += [len(eye)] * (1 if last else 2)
            ends = torch.stack([chain, chain], 1)
            nexts = torch.stack([chain, chain.roll(-1)], 1)
            pairs.append(torch.stack([ends, nexts], 1).flatten(0, 1)[:-1])
        common = [len(self.sizes)] if shared else []
        owners = part[torch.cat(pairs)]
        order = dissection(boxes.centre, torch.cat(pairs)) + common
        here, between = ((owners == parallel.rank()).all(1), owners[:, 0] != owners[:, 1])
        alone = parallel.size() == 1
        self._inner = [block for block in order if (alone if block in common else here[block])]
        self._outer = [block for block in order if (not alone if block in common else between[block])]
        by_sizes: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for expert, found in enumerate(incident):
            if mine[expert]:
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
        rows = [row for part in locals_ for row in part.rows()] + self._sums
        inner = BlockQR(rows, self.sizes, order=self._inner) if rows else None
        known: dict[int, Tensor] = {}
        rest = parallel.gathered([] if inner is None else inner.rest, self._like)
        if rest:
            outer = BlockQR(rest, self.sizes, order=self._outer).solve()
            known = {block: outer[block] for block in self._outer}
        found = [] if inner is None else inner.solve(known)
        coefficients = self._like.new_zeros(self.count, self.columns)
        for part in locals_:
            coefficients[part.experts] = part.coefficients(found)
        shared = self._like.new_zeros(0)
        if self.shared:
            last = len(self.sizes) - 1
            shared = (known[last] if known else found[last]).squeeze(1)
        return State(parallel.summed(coefficients), shared)

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


def _select(block: Block, experts: Tensor, count: int) -> Tensor:
    """The rows of ``experts`` (n, R, U M + P + 1), zero for an expert that the block has none for."""
    place = torch.full((count,), -1, device=experts.device)
    place[block.experts] = torch.arange(len(block.experts), device=experts.device)
    rows = place[experts]
    every = torch.cat([block.matrix[rows], block.shared[rows], block.right[rows].unsqueeze(-1)], dim=-1)
    return torch.where((rows >= 0)[:, None, None], every, 0.0)
