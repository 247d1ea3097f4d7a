"""All experts on given boxes: one Gauss-Newton iteration after another."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.problem import Periodic, Problem
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes, faces
from sciml.solvers.experts.placement import Evaluate, terms
from sciml.solvers.experts.skeleton import Skeleton, traces
from sciml.solvers.experts.terms import Block
from sciml.solvers.experts.tiling import Tiling

RIDGE = 1e-11  # on the coefficients of boxes that the boundary cuts: what they do outside is left open
WEIGHT = 10.0  # of conditions and jumps over the equations
SHORTEST = 1 / 64  # part of a Gauss-Newton step


@dataclass(frozen=True)
class Solved:
    """Coefficients (n, U, M), the root of the sum of squares, iterations, and whether they settled."""

    coefficients: Tensor
    residual: float
    iterations: int
    settled: bool


class System:
    """Least squares for the expansions of all unknowns on ``boxes``; arguments as for ``placement.terms``."""

    def __init__(
        self, problem: Problem, tiling: Tiling, boxes: Boxes, basis: Legendre, before: Evaluate | None = None
    ) -> None:
        self.boxes, self.basis = boxes, basis
        self.shape = len(boxes), len(problem.unknowns), len(basis)
        self.terms = terms(problem, tiling, boxes, basis, WEIGHT, before)
        self._cut = tiling.cut(boxes).nonzero()[:, 0]
        periods = {c.coordinate for c in problem.named_conditions().values() if isinstance(c, Periodic)}
        low, high = problem.domain.bounds
        coupled = []
        for axis, name in enumerate(problem.coordinates):
            period = (float(low[axis]), float(high[axis])) if name in periods else None
            found = tiling.clipped(faces(boxes, axis, period))
            if len(found):
                coupled.append(traces(problem, boxes, found, basis, WEIGHT))
        self.skeleton = Skeleton(boxes, self.shape[1] * self.shape[2], coupled)

    def residual(self, coefficients: Tensor) -> float:
        """Root of the sum of squares of everything that should vanish."""
        parts = [term.residuals(coefficients).square().sum() for term in self.terms]
        parts.append(self.skeleton.jumps(coefficients.flatten(1)).square().sum())
        return float(torch.stack(parts).sum().sqrt())

    def step(self, coefficients: Tensor) -> Tensor:
        """The minimiser of the sum of squares linearised at ``coefficients``."""
        blocks = [term.assemble(coefficients) for term in self.terms]
        if len(self._cut):
            eye = RIDGE * torch.eye(self.skeleton.columns).to(coefficients)
            blocks.append(Block(self._cut, eye.expand(len(self._cut), -1, -1), eye.new_zeros(len(self._cut), len(eye))))
        return self.skeleton.solve(blocks).reshape(self.shape)

    def solve(self, start: Tensor | None = None, linear: bool = False, tolerance: float = 1e-10, limit: int = 12) -> Solved:
        """Gauss-Newton with step halving from ``start``, until a step changes less than ``tolerance`` of the unknowns."""
        current = self.boxes.low.new_zeros(self.shape) if start is None else start
        if linear:
            found = self.step(current)
            return Solved(found, self.residual(found), 1, bool(torch.isfinite(found).all()))
        for iteration in range(1, limit + 1):
            change = self.step(current) - current
            residual, length = self.residual(current), 1.0  # both by the weights of this step
            while not self.residual(current + length * change) <= (1 + 1e-6) * residual:
                length /= 2
                if length < SHORTEST:
                    break
            small = float(change.norm()) <= tolerance * float(current.norm() + change.norm())
            if length < SHORTEST and not small:
                return Solved(current, residual, iteration, False)
            current = current + (length if length >= SHORTEST else 1.0) * change
            if small:
                return Solved(current, self.residual(current), iteration, True)
        return Solved(current, self.residual(current), limit, False)
