"""Rows of the least-squares system: equations inside the experts, and conditions at scattered points.

A linearised residual is a sum over unknowns u and derivatives s of ``slope[u, s] * d^s u``; with ``d^s u`` a sum over the
modes of the expert's basis, its row is ``sum over s of slope[u, s] * jets[s, mode]``. Every row is divided by the size of
its operator on the scale of the expert, so that all residuals are as large as the unknowns that cause them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.jets import Jet, MultiIndexSet
from sciml.problem import Problem
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.linearise import fields_of, linearise

Function = Callable[[Mapping[str, Jet], Tensor], Mapping[str, Tensor]]
"""Residual vectors by name from the jets of the unknowns and the points (N, d)."""


@dataclass(frozen=True)
class Block:
    """Rows of every expert in ``experts`` (n,): ``matrix`` (n, R, U M) and ``right`` (n, R); unused rows are zero."""

    experts: Tensor
    matrix: Tensor
    right: Tensor


class Term(ABC):
    """Residuals at fixed points.

    Attributes:
        root: what the rows weigh besides their scale (N,): quadrature, and the share of the expert.
        scale: weights (E, N) of the rows, fixed by every assembly.
    """

    root: Tensor
    scale: Tensor

    def __init__(self, problem: Problem, function: Function, points: Tensor, owner: Tensor, indices: MultiIndexSet) -> None:
        self.problem, self.function, self.points, self.owner, self.indices = problem, function, points, owner, indices

    @abstractmethod
    def jets(self, coefficients: Tensor) -> Tensor:
        """Derivatives (U, S, N) of the expansion with ``coefficients`` (n, U, M)."""

    @abstractmethod
    def assemble(self, coefficients: Tensor) -> Block:
        """The rows linearised at ``coefficients``, for the new coefficients themselves."""

    def linearised(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Slopes (E, U, S, N) and values (E, N) of the residuals at the jets ``values`` (U, S, N)."""
        problem = self.problem
        found = linearise(
            lambda fields: self.function(fields, self.points), values, problem.unknowns, problem.coordinates, self.indices
        )
        return torch.stack([r.slopes for r in found.values()]), torch.stack([r.value for r in found.values()])

    def weigh(self, slopes: Tensor, sizes: Tensor, experts: int) -> None:
        """Fix the weights (E, N) of the rows, from the slopes and the ``sizes`` (S, N) of 1 / h^s."""
        strength = torch.einsum("eusn,sn->en", slopes.abs(), sizes)
        owner = self.owner.expand_as(strength)
        largest = strength.new_zeros(len(strength), experts).scatter_reduce(1, owner, strength, "amax")
        self.scale = (torch.where(largest > 0, 1 / largest, 0.0)).gather(1, owner) * self.root

    def residuals(self, coefficients: Tensor) -> Tensor:
        """What should vanish (E, N), with the weights of the last assembly."""
        problem = self.problem
        fields = fields_of(self.jets(coefficients), problem.unknowns, problem.coordinates, self.indices)
        return torch.stack(list(self.function(fields, self.points).values())) * self.scale


class Interior(Term):
    """The equations at the same reference points ``z`` (Q, d), weights (Q,), in each of ``experts``."""

    def __init__(
        self, problem: Problem, function: Function, boxes: Boxes, experts: Tensor, basis: Legendre,
        z: Tensor, weights: Tensor, indices: MultiIndexSet,
    ) -> None:  # fmt: skip
        chosen = boxes[experts]
        owner = experts.repeat_interleave(len(z))
        super().__init__(problem, function, chosen.points(z).reshape(-1, boxes.dimension), owner, indices)
        self.experts, self.count, self.n, self.q = experts, len(boxes), len(experts), len(z)
        self.reference = basis.jets(z, list(indices))
        self.sizes = powers(chosen.half, list(indices))
        self.root = (boxes.weights[experts][:, None] * weights.sqrt()).flatten()

    def jets(self, coefficients: Tensor) -> Tensor:
        values = torch.einsum("num,sqm->usnq", coefficients[self.experts], self.reference)
        return (values * self.sizes[None, :, :, None]).flatten(2)

    def assemble(self, coefficients: Tensor) -> Block:
        values = self.jets(coefficients)
        slopes, value = self.linearised(values)
        sizes = self.sizes[:, :, None].expand(-1, -1, self.q).flatten(1)
        self.weigh(slopes, sizes, self.count)
        equations = len(slopes)
        weighted = (slopes * (sizes * self.scale[:, None, None])).reshape(*slopes.shape[:3], self.n, self.q)
        # (Q, n E U, S) @ (Q, S, M): all experts share the basis at a reference point
        left = weighted.permute(4, 3, 0, 1, 2).reshape(self.q, -1, slopes.shape[2])
        rows = (left @ self.reference.transpose(0, 1)).reshape(self.q, self.n, equations, slopes.shape[1], -1)
        right = ((slopes * values).sum((1, 2)) - value) * self.scale
        return Block(
            self.experts,
            rows.permute(1, 2, 0, 3, 4).reshape(self.n, equations * self.q, -1),
            right.reshape(equations, self.n, self.q).transpose(0, 1).reshape(self.n, -1),
        )


class Scattered(Term):
    """Residuals at ``points`` (N, d) in the experts ``owner`` (N,), with quadrature ``weights`` (N,)."""

    def __init__(
        self, problem: Problem, function: Function, boxes: Boxes, basis: Legendre, points: Tensor, owner: Tensor,
        weights: Tensor, indices: MultiIndexSet,
    ) -> None:  # fmt: skip
        super().__init__(problem, function, points, owner, indices)
        self.count, self.root = len(boxes), boxes.weights[owner] * weights.sqrt()
        self.sizes = powers(boxes.half[owner], list(indices))
        self.table = basis.jets(boxes.local(points, owner), list(indices)) * self.sizes[:, :, None]

    def jets(self, coefficients: Tensor) -> Tensor:
        return torch.einsum("num,snm->usn", coefficients[self.owner], self.table)

    def assemble(self, coefficients: Tensor) -> Block:
        values = self.jets(coefficients)
        slopes, value = self.linearised(values)
        self.weigh(slopes, self.sizes, self.count)
        rows = torch.einsum("eusn,snm->enum", slopes * self.scale[:, None, None], self.table).flatten(2)
        right = ((slopes * values).sum((1, 2)) - value) * self.scale
        experts, matrix, packed = pack(self.owner.repeat(len(slopes)), rows.flatten(0, 1), right.flatten())
        return Block(experts, matrix, packed)


def powers(half: Tensor, indices: Sequence[tuple[int, ...]]) -> Tensor:
    """``1 / h^s`` (S, n) for half widths (n, d): what turns reference derivatives into those of the coordinates."""
    orders = torch.tensor(indices, device=half.device, dtype=half.dtype)
    return (-(orders @ half.log().T)).exp()


def pack(owner: Tensor, rows: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows (N, C) and right-hand sides (N,) by owner: owners (n,), (n, R, C) and (n, R), filled up with zeros."""
    order = owner.argsort(stable=True)
    experts, counts = owner[order].unique_consecutive(return_counts=True)
    number = torch.repeat_interleave(torch.arange(len(experts), device=owner.device), counts)
    place = torch.arange(len(owner), device=owner.device) - (counts.cumsum(0) - counts)[number]
    most = int(counts.max()) if len(counts) else 0
    matrix = rows.new_zeros(len(experts), most, rows.shape[1])
    packed = right.new_zeros(len(experts), most)
    matrix[number, place], packed[number, place] = rows[order], right[order]
    return experts, matrix, packed
