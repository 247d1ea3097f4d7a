"""All experts on given boxes: one Gauss-Newton iteration after another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from sciml.errors import DivergenceError
from sciml.problem import Periodic, Problem
from sciml.solvers.experts import parallel
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes, faces
from sciml.solvers.experts.dissection import parts
from sciml.solvers.experts.expansion import Expansion
from sciml.solvers.experts.integrals import totals
from sciml.solvers.experts.passes import Clock
from sciml.solvers.experts.placement import Evaluate, terms
from sciml.solvers.experts.skeleton import Skeleton
from sciml.solvers.experts.terms import Block, Measured, Solved, State, Term
from sciml.solvers.experts.tiling import Tiling
from sciml.solvers.experts.traces import traces

RIDGE = 1e-11  # on the coefficients of boxes with parts where an unknown does not exist: what it does there is left open
WEIGHT = 10.0  # of conditions and jumps over the equations
SHORTEST = 1 / 64  # part of a Gauss-Newton step


class Score(NamedTuple):
    """Expected misfit of a new measurement, unknowns that the ``number`` measurements determine."""

    misfit: float
    freedom: float
    number: int


class System:
    """Least squares for the expansions of all unknowns on ``boxes``; arguments as for ``placement.terms``."""

    def __init__(self, problem: Problem, tiling: Tiling, boxes: Boxes, basis: Legendre, before: Evaluate | None = None) -> None:
        self.problem, self.boxes, self.basis, self.singular = problem, boxes, basis, tiling.singular
        self.shape = len(boxes), len(problem.unknowns), len(basis)
        self._tiling, self._before, self._part = tiling, before, parts(boxes.centre, parallel.size())
        self._empty = tiling.empty(boxes)

    @cached_property
    def terms(self) -> list[Term]:
        """The rows of this process."""
        mine = self._part == parallel.rank()
        return terms(self.problem, self._tiling, self.boxes, self.basis, WEIGHT, mine, self._before)

    @cached_property
    def measurements(self) -> list[Measured]:
        return [term for term in self.terms if isinstance(term, Measured)]

    @cached_property
    def skeleton(self) -> Skeleton:
        """What couples the experts."""
        problem, tiling, boxes, basis = self.problem, self._tiling, self.boxes, self.basis
        periods = {c.coordinate for c in problem.named_conditions().values() if isinstance(c, Periodic)}
        low, high = problem.domain.bounds
        apart, coupled = tiling.apart(boxes), []
        for axis, name in enumerate(problem.coordinates):
            period = (float(low[axis]), float(high[axis])) if name in periods else None
            found = tiling.clipped(faces(boxes, axis, period))
            if len(found):
                coupled.append(traces(problem, boxes, found, basis, WEIGHT, apart))
        columns, shared = self.shape[1] * self.shape[2], len(first_shared(problem, tiling))
        return Skeleton(boxes, columns, coupled, totals(problem, tiling, boxes, basis, WEIGHT), shared, self._part)

    @cached_property
    def _loose(self) -> Tensor:
        return (self._tiling.cut(self.boxes) | self._empty.any(1)).nonzero()[:, 0]

    def residual(self, state: State) -> float:
        """Root of the sum of squares of everything that should vanish."""
        own, common = state.shared.new_zeros(()), self.skeleton.jumps(state.coefficients.flatten(1)).square().sum()
        for term in self.terms:
            if isinstance(term, Measured):
                common = common + term.residuals(state).square().sum()
            else:
                own = own + term.residuals(state).square().sum()
        return float((parallel.summed(own) + common).sqrt())

    def step(self, state: State, errors: Sequence[Tensor] | None = None) -> State:
        """The minimiser of the sum of squares linearised at ``state``; ``errors`` are added to the measurements.

        Raises DivergenceError where a residual is not finite.
        """
        blocks = self._assembled(state)
        if errors is not None:
            given = iter(errors)
            blocks = [
                replace(block, right=block.right + term.packed(next(given))) if term in self.measurements else block
                for term, block in zip(self.terms, blocks, strict=True)
            ]
        return self._minimiser(blocks)

    def returned(self, state: State, added: State) -> State:
        """By how much the minimiser moves when the right-hand sides, linearised at ``state``, are those of ``added`` more."""
        still = self._assembled(state)
        flat = added.coefficients.flatten(1)
        moved = [
            replace(b, right=b.right + (b.matrix @ flat[b.experts][..., None]).squeeze(-1) + b.shared @ added.shared)
            for b in still
        ]
        before, after = self._minimiser(still), self._minimiser(moved)
        return State(after.coefficients - before.coefficients, after.shared - before.shared)

    def _assembled(self, state: State) -> list[Block]:
        """The rows of this process; every process raises DivergenceError where those of any are not finite."""
        blocks, failure = [], None
        try:
            blocks = [term.assemble(state) for term in self.terms]
        except DivergenceError as error:
            failure = error
        if float(parallel.summed(state.coefficients.new_tensor(float(failure is not None)))):
            raise failure or DivergenceError("a residual of another process is not finite")
        return blocks

    def _minimiser(self, blocks: list[Block]) -> State:
        if len(self._loose):
            n, eye = len(self._loose), RIDGE * torch.eye(self.skeleton.columns).to(self.boxes.low)
            none = eye.new_zeros(n, len(eye), self.skeleton.shared + 1)
            blocks = [*blocks, Block(self._loose, eye.expand(n, -1, -1), none[..., :-1], none[..., -1])]
        found = self.skeleton.solve(blocks)
        return State(found.coefficients.reshape(self.shape), found.shared)

    def expansion(self, state: State) -> Expansion:
        """The fields; zero in boxes where an unknown does not exist."""
        coefficients = torch.where(self._empty[:, :, None], 0.0, state.coefficients)
        amplitudes = state.shared[len(self.problem.parameters()) :].reshape(self.shape[1], -1)
        return Expansion(self.boxes, self.basis, coefficients, singular=self.singular, amplitudes=amplitudes)

    def score(self, state: State) -> Score:
        """How well a solution predicts measurements that it does not know, by generalised cross-validation.

        Source: Golub, Heath & Wahba, Technometrics 21 (1979) 215; Girard, Numer. Math. 56 (1989) 1, for the trace of the
        derivative of predictions by measurements from one random disturbance of all.
        """
        still = self.step(state)  # scales the measurements too, in the same way whatever was solved before
        misfits = [term.residuals(state) / term.scale for term in self.measurements]
        generator = torch.Generator().manual_seed(0)
        signs = [(2.0 * torch.randint(2, m.shape, generator=generator) - 1).to(m) for m in misfits]
        moved = self.step(state, signs)
        freedom, number = 0.0, sum(m.numel() for m in misfits)
        for term, sign in zip(self.measurements, signs, strict=True):
            freedom += float((sign * (term.residuals(moved) - term.residuals(still)) / term.scale).sum())
        squared = sum(float(m.square().sum()) for m in misfits)
        return Score(math.sqrt(squared * number) / max(number - freedom, 1e-300), freedom, number)

    def solve(
        self, start: State, linear: bool = False, tolerance: float = 1e-10, limit: int = 12, clock: Clock | None = None
    ) -> Solved:
        """Gauss-Newton with step halving from ``start``, until a step changes less than ``tolerance`` of the unknowns.

        Args:
            clock: raises OutOfTime when an iteration as long as the last one does not fit into the budget; its journal
                may know the outcome.
        """
        known = None if clock is None else clock.recall(self.boxes, self.basis)
        if known is not None:
            return known
        solved = self._solve(start, linear, tolerance, limit, clock)
        if clock is not None:
            clock.keep(self.boxes, self.basis, solved)
        return solved

    def _solve(self, start: State, linear: bool, tolerance: float, limit: int, clock: Clock | None) -> Solved:
        current, cost = start, 0.0
        if linear:
            found = self.step(current)
            return Solved(found, 1, bool(torch.isfinite(found.coefficients).all()))
        for iteration in range(1, limit + 1):
            began = 0.0 if clock is None else clock.spent
            if clock is not None:
                clock.check(cost)
            found = self.step(current)
            change = State(found.coefficients - current.coefficients, found.shared - current.shared)
            residual, length = self.residual(current), 1.0  # both by the weights of this step
            while not self.residual(current.moved(change, length)) <= (1 + 1e-6) * residual:
                length /= 2
                if length < SHORTEST:
                    break
            moved, size = float(change.coefficients.norm()), float(current.coefficients.norm())
            small = moved <= tolerance * (size + moved)
            if length < SHORTEST and not small:
                return Solved(current, iteration, False)
            current = current.moved(change, length if length >= SHORTEST else 1.0)
            if small:
                return Solved(current, iteration, True)
            cost = 0.0 if clock is None else clock.spent - began
        return Solved(current, limit, False)


def first_shared(problem: Problem, tiling: Tiling) -> Tensor:
    """What the experts share, at first: the coefficients' first guesses, and no singular function."""
    raw = [float(p.to_raw(p.start)) for p in problem.parameters().values()]
    none = [0.0] * (len(problem.unknowns) * len(tiling.singular))
    return tiling.root.low.new_tensor(raw + none)
