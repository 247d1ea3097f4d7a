"""Rows of the least-squares system: equations inside the experts, and conditions at scattered points.

A linearised residual is a sum over unknowns u and derivatives s of ``slope[u, s] * d^s u``; with ``d^s u`` a sum over the
modes of the expert's basis, its row is ``sum over s of slope[u, s] * jets[s, mode]``. Every row is divided by the size of
its operator on the scale of the expert, so that all residuals are as large as the unknowns that cause them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sciml.errors import DivergenceError
from sciml.jets import MultiIndexSet
from sciml.problem import Problem
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.singular import Singular
from sciml.solvers.linearise import Residuals, bound, equations_at, fields_of, linearise


class State(NamedTuple):
    """All that is solved for: ``coefficients`` (n, U, M) of the experts, and what they share (P,).

    Shared are the raw values of the problem's unknown coefficients, and then the amplitudes of the J singular functions in
    every unknown, U J.
    """

    coefficients: Tensor
    shared: Tensor

    def moved(self, change: State, length: float = 1.0) -> State:
        return State(self.coefficients + length * change.coefficients, self.shared + length * change.shared)


class Solved(NamedTuple):
    """What Gauss-Newton found, after how many iterations, and whether they settled."""

    state: State
    iterations: int
    settled: bool


@dataclass(frozen=True)
class Block:
    """Rows of some experts; unused ones are zero.

    Attributes:
        experts: (n,).
        matrix, shared, right: of the coefficients (n, R, U M), of what is shared (n, R, P), right-hand side (n, R).
    """

    experts: Tensor
    matrix: Tensor
    shared: Tensor
    right: Tensor


class Term(ABC):
    """Residuals at fixed points.

    Attributes:
        points: (N, d).
        root: what the rows weigh besides their scale (N,): quadrature, and the share of the expert.
        scale: weights (E, N) of the rows, fixed by every assembly.
        absent: unknowns (U, N) that do not exist at a point; a residual that depends on one does not count.
    """

    root: Tensor
    scale: Tensor

    def __init__(
        self, problem: Problem, function: Residuals, points: Tensor, owner: Tensor, indices: MultiIndexSet,
        singular: Singular, absent: Tensor | None = None,
    ) -> None:  # fmt: skip
        self.problem, self.function, self.owner, self.indices, self.absent = problem, function, owner, indices, absent
        self.points = points
        self.singular = singular.jets(points, list(indices))

    @abstractmethod
    def jets(self, coefficients: Tensor) -> Tensor:
        """Derivatives (U, S, N) of the expansion with ``coefficients`` (n, U, M)."""

    @abstractmethod
    def assemble(self, state: State) -> Block:
        """The rows linearised at ``state``, for the new state itself."""

    def linearised(self, state: State) -> tuple[Tensor, Tensor, Tensor]:
        """Derivatives by jets (E, U, S, N) and by what is shared (E, N, P), and what their sum with the unknowns equals.

        Raises DivergenceError where a residual is not finite.
        """
        raw, values = self._split(state)
        linear = linearise(self.function, self.problem, values, self.indices, raw)
        found = linear.values()
        slopes, by_raw = torch.stack([r.slopes for r in found]), torch.stack([r.shared for r in found])
        right = (slopes * values).sum((1, 2)) + by_raw @ raw - torch.stack([r.value for r in found])
        if not torch.isfinite(right.sum()):
            term, place = (~torch.isfinite(right)).nonzero()[0].tolist()
            where = zip(self.problem.coordinates, self.points[place].tolist(), strict=True)
            raise DivergenceError(
                f"{list(linear)[term]}, or its slope, is not finite at {', '.join(f'{c} = {x:.6g}' for c, x in where)}; "
                "check it for divisions by zero, logarithms and roots"
            )
        by_amplitude = torch.einsum("eusn,jsn->enuj", slopes, self.singular).flatten(2)
        return slopes, torch.cat([by_raw, by_amplitude], dim=2), right

    def _split(self, state: State) -> tuple[Tensor, Tensor]:
        """The raw coefficients, and the derivatives (U, S, N) of the whole solution."""
        values, unknowns = self.jets(state.coefficients), len(self.problem.unknowns)
        if not len(self.singular):
            return state.shared, values
        raw, amplitudes = state.shared.tensor_split([len(state.shared) - unknowns * len(self.singular)])
        return raw, values + torch.einsum("uj,jsn->usn", amplitudes.reshape(unknowns, -1), self.singular)

    def weigh(self, slopes: Tensor, sizes: Tensor, experts: int) -> None:
        """Fix the weights (E, N) of the rows, from the slopes and the ``sizes`` (S, N) of 1 / h^s."""
        strength = torch.einsum("eusn,sn->en", slopes.abs(), sizes)
        owner = self.owner.expand_as(strength)
        largest = strength.new_zeros(len(strength), experts).scatter_reduce(1, owner, strength, "amax")
        self.scale = (torch.where(largest > 0, 1 / largest, 0.0)).gather(1, owner) * self.root
        if self.absent is not None:
            counts = torch.einsum("eusn,un->en", slopes.abs(), self.absent.to(slopes)) == 0
            self.scale = torch.where(counts, self.scale, 0.0)

    def residuals(self, state: State) -> Tensor:
        """What should vanish (E, N), with the weights of the last assembly."""
        problem = self.problem
        raw, values = self._split(state)
        fields = fields_of(values, problem.unknowns, problem.coordinates, self.indices)
        return torch.stack(list(self.function(bound(problem, raw), fields).values())) * self.scale


class Interior(Term):
    """The equations at the same reference points ``z`` (Q, d), weights (Q,), in each of ``experts``."""

    def __init__(
        self, problem: Problem, boxes: Boxes, experts: Tensor, basis: Legendre, z: Tensor, weights: Tensor,
        indices: MultiIndexSet, singular: Singular,
    ) -> None:  # fmt: skip
        chosen = boxes[experts]
        owner = experts.repeat_interleave(len(z))
        points = chosen.points(z).reshape(-1, boxes.dimension)
        super().__init__(problem, equations_at(points), points, owner, indices, singular, absent(problem, points))
        self.experts, self.count, self.n, self.q = experts, len(boxes), len(experts), len(z)
        self.reference = basis.jets(z, list(indices))
        self.sizes = powers(chosen.half, list(indices))
        self.root = (boxes.weights[experts][:, None] * weights.sqrt()).flatten()

    def jets(self, coefficients: Tensor) -> Tensor:
        values = torch.einsum("num,sqm->usnq", coefficients[self.experts], self.reference)
        return (values * self.sizes[None, :, :, None]).flatten(2)

    def assemble(self, state: State) -> Block:
        slopes, shared, right = self.linearised(state)
        sizes = self.sizes[:, :, None].expand(-1, -1, self.q).flatten(1)
        self.weigh(slopes, sizes, self.count)
        equations = len(slopes)
        weighted = (slopes * (sizes * self.scale[:, None, None])).reshape(*slopes.shape[:3], self.n, self.q)
        # (Q, n E U, S) @ (Q, S, M): all experts share the basis at a reference point
        left = weighted.permute(4, 3, 0, 1, 2).reshape(self.q, -1, slopes.shape[2])
        rows = (left @ self.reference.transpose(0, 1)).reshape(self.q, self.n, equations, slopes.shape[1], -1)
        return Block(
            self.experts,
            rows.permute(1, 2, 0, 3, 4).reshape(self.n, equations * self.q, -1),
            self._by_expert(shared * self.scale[:, :, None]),
            self._by_expert(right * self.scale),
        )

    def _by_expert(self, rows: Tensor) -> Tensor:
        """(E, n Q, ...) -> (n, E Q, ...)."""
        return rows.reshape(len(rows), self.n, self.q, *rows.shape[2:]).transpose(0, 1).flatten(1, 2)


class Scattered(Term):
    """Residuals at ``points`` (N, d) in the experts ``owner`` (N,), with quadrature ``weights`` (N,).

    Args:
        everywhere: they count even for unknowns that do not exist there.
    """

    def __init__(
        self, problem: Problem, function: Residuals, boxes: Boxes, basis: Legendre, points: Tensor, owner: Tensor,
        weights: Tensor, indices: MultiIndexSet, singular: Singular, everywhere: bool = False,
    ) -> None:  # fmt: skip
        missing = None if everywhere else absent(problem, points)
        super().__init__(problem, function, points, owner, indices, singular, missing)
        self.count, self.root = len(boxes), boxes.weights[owner] * weights.sqrt()
        self.sizes = powers(boxes.half[owner], list(indices))
        self.table = basis.jets(boxes.local(points, owner), list(indices)) * self.sizes[:, :, None]

    def jets(self, coefficients: Tensor) -> Tensor:
        return torch.einsum("num,snm->usn", coefficients[self.owner], self.table)

    def assemble(self, state: State) -> Block:
        slopes, shared, right = self.linearised(state)
        self.weigh(slopes, self.sizes, self.count)
        rows = torch.einsum("eusn,snm->enum", slopes * self.scale[:, None, None], self.table).flatten(2)
        every = torch.cat([rows, shared * self.scale[:, :, None], (right * self.scale)[:, :, None]], dim=2).flatten(0, 1)
        experts, packed = pack(self.owner.repeat(len(slopes)), every)
        matrix, by_shared, last = packed.split([rows.shape[2], shared.shape[2], 1], dim=2)
        return Block(experts, matrix, by_shared, last.squeeze(2))


class Measured(Scattered):
    """Measurements: rows of their own kind, whose right-hand sides carry errors."""

    def packed(self, values: Tensor) -> Tensor:
        """Right-hand sides (n, R) in the block's order from ``values`` (E, N)."""
        return pack(self.owner.repeat(len(values)), (values * self.scale).flatten()[:, None])[1].squeeze(2)


def absent(problem: Problem, points: Tensor) -> Tensor | None:
    """Unknowns (U, N) that do not exist at ``points`` (N, d); None for none."""
    gone = ~problem.present(points, 1e-9)
    return gone if gone.any() else None


def powers(half: Tensor, indices: Sequence[tuple[int, ...]]) -> Tensor:
    """``1 / h^s`` (S, n) for half widths (n, d): what turns reference derivatives into those of the coordinates."""
    orders = torch.tensor(indices, device=half.device, dtype=half.dtype)
    return (-(orders @ half.log().T)).exp()


def pack(owner: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (N, C) by owner: owners (n,) and (n, R, C), filled up with zeros."""
    order = owner.argsort(stable=True)
    experts, counts = owner[order].unique_consecutive(return_counts=True)
    number = torch.repeat_interleave(torch.arange(len(experts), device=owner.device), counts)
    place = torch.arange(len(owner), device=owner.device) - (counts.cumsum(0) - counts)[number]
    most = int(counts.max()) if len(counts) else 0
    packed = rows.new_zeros(len(experts), most, rows.shape[1])
    packed[number, place] = rows[order]
    return experts, packed
