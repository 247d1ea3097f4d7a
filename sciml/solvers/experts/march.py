"""Time windows one after another, each as thick as its solution allows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sciml.errors import DivergenceError
from sciml.jets import Field
from sciml.problem import Initial, Points, Problem
from sciml.solvers.experts.adapt import Criterion
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.expansion import Expansion, project
from sciml.solvers.experts.passes import Clock, Pass
from sciml.solvers.experts.system import System
from sciml.solvers.experts.terms import State
from sciml.solvers.experts.tiling import Tiling


def march(
    problem: Problem, tiling: Tiling, basis: Legendre, tolerance: float, linear: bool, clock: Clock,
    width: float | None = None,
) -> Pass:  # fmt: skip
    """Solve time window after time window.

    A window is rejected and tried again, thinner where the tails in time are above ``tolerance`` or Gauss-Newton does
    not settle, with boxes cut where those in space are. Its boxes are then joined where the next one can do with fewer.

    Args:
        clock: raises OutOfTime once the budget is spent.
        width: of the first window.

    Raises:
        DivergenceError: windows became too thin.
    """
    assert problem.time is not None
    time, criterion = problem.coordinates.index(problem.time), Criterion.of(problem, problem.space_axes, tiling)
    root = tiling.root
    begin, end = float(root.low[:, time].min()), float(root.high[:, time].max())
    values = initial_values(problem)
    width = (end - begin) / 8 if width is None else width
    boxes = criterion.fit(values, _slab(root, time, begin, begin + width), basis, tolerance)
    before, start = None, values
    done: list[Expansion] = []
    iterations = rejected = 0
    now, failure = begin, ""
    while now < end - 1e-12 * (end - begin):
        if now + 1.01 * width >= end:
            width = end - now
        if width < 1e-10 * (end - begin):
            raise DivergenceError(f"time windows became thinner than {width:.1e} at {problem.time} = {now:.6g}{failure}")
        clock.check()
        slab = _slab(boxes, time, now, now + width)
        system = System(problem, tiling, slab, basis, before)
        guess = project(start, slab, basis)
        try:
            solved = system.solve(State(guess, guess.new_zeros(0)), linear, 0.03 * tolerance, clock=clock)
        except DivergenceError as error:  # a thinner window may begin closer to its solution
            failure, width, rejected = f": {error}", 0.3 * width, rejected + 1
            continue
        iterations += solved.iterations
        found = system.expansion(solved.state)
        held = criterion.tails(found)
        slow = float(held[:, time].max())
        cut = criterion.cuts(held, tolerance)
        usable = solved.settled and bool(torch.isfinite(held).all())
        factor = (0.3 * tolerance / max(slow, 1e-300)) ** (1 / basis.degree)
        if not usable or slow > tolerance or (cut >= 0).any():
            rejected += 1
            if not usable:
                width *= 0.3
            elif slow > tolerance:
                width *= max(0.1, min(factor, 0.8))
            if usable:
                boxes = tiling.trimmed(boxes.bisected(cut))
            continue
        done.append(found)
        now += width
        boxes = criterion.joined(found, 0.1 * tolerance)
        before = found
        start = _from(found, time, now)
        width *= min(4.0, max(0.5, factor))
    everything = Boxes(torch.cat([e.boxes.low for e in done]), torch.cat([e.boxes.high for e in done]))
    coefficients = torch.cat([e.coefficients for e in done])
    expansion = Expansion(everything, basis, coefficients, amplitudes=done[-1].amplitudes)
    return Pass(
        expansion,
        tolerance,
        tuple(len(e.boxes) for e in done),
        iterations,
        rejected,
        width=done[0].boxes.half[0, time].item() * 2,
    )


def initial_values(problem: Problem) -> Callable[[Tensor], Tensor]:
    """The unknowns (U, N) at the places of points but at the initial time, zero where no condition gives them."""
    axis = problem.coordinates.index(problem.time)
    begin = float(problem.domain.bounds[0][axis])
    conditions = [c for c in problem.named_conditions().values() if isinstance(c, Initial)]

    def values(points: Tensor) -> Tensor:
        points, zero = points.clone(), points.new_zeros(len(points))
        points[:, axis] = begin
        fields = {u: Field(problem.coordinates, lambda index: zero) for u in problem.unknowns}
        found: dict[str, Tensor] = {}
        for condition in conditions:
            found |= condition.residuals(problem, fields, Points(points))
        return torch.stack([-found.get(f"{Initial.kind}_{u}", zero) for u in problem.unknowns])

    return values


def _slab(boxes: Boxes, axis: int, low: float, high: float) -> Boxes:
    result = Boxes(boxes.low.clone(), boxes.high.clone())
    result.low[:, axis], result.high[:, axis] = low, high
    return result


def _from(expansion: Expansion, axis: int, time: float) -> Callable[[Tensor], Tensor]:
    """A first guess for later times: the values at ``time`` and their slope there."""
    d = expansion.boxes.dimension
    indices = [(0,) * d, tuple(int(a == axis) for a in range(d))]

    def values(points: Tensor) -> Tensor:
        late = points[:, axis] - time
        points = points.clone()
        points[:, axis] = time
        value, slope = expansion(points, indices).unbind(1)
        return value + late * slope

    return values
