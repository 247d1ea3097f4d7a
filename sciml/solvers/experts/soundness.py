"""Whether a solution is the only one, and whether it meets its conditions."""

from __future__ import annotations

import torch
from torch import Tensor

from sciml.problem import Integral, Interface, Observations, Periodic, Problem
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.expansion import Expansion, project
from sciml.solvers.experts.passes import Pass
from sciml.solvers.experts.system import System
from sciml.solvers.experts.terms import State
from sciml.solvers.experts.tiling import Tiling
from sciml.solvers.linearise import linearise, residuals_of

DEGREES = {2: 16, 3: 8}  # by the number of coordinates, of what is asked for by its residuals
DIFFERENT = 1e-7  # part of it that may come back otherwise
TRIED = 12  # fields that are combined to one whose totals vanish
BEGINNING = 0.1  # of a time window
UNMET = 0.05  # of a condition, relative to its parts
COMPARED = 512  # points


def doubts(problem: Problem, tiling: Tiling, found: Pass) -> str | None:
    """Why ``found`` is not the solution of the problem: there are others, or none; None where nothing says so."""
    if unmet := unmet_conditions(problem, found.expansion):
        parts = ", ".join(f"{term} is off by {100 * share:.0f} %" for term, share in unmet.items())
        return f"conditions are not met: {parts}; they contradict each other, or need more seconds"
    if unknowns := undetermined(problem, tiling, found):
        return (
            f"not unique: the equations and conditions leave {', '.join(unknowns)} open; add what is missing, "
            "or a gauge where a constant is free"
        )
    return None


def undetermined(problem: Problem, tiling: Tiling, found: Pass) -> list[str]:
    """The unknowns that the linearised equations and conditions do not determine.

    A smooth field is added to the solution and its residuals to the right-hand sides: where nothing else has these
    residuals, it comes back. Of a problem in time this is tried in the first time window, for what is missing at the boundary,
    and in its beginning, in which nothing has decayed, for what is missing at the initial time.
    """
    d, coarse = len(problem.coordinates), found.expansion
    basis = Legendre(d, DEGREES.get(d, coarse.basis.degree))
    parts = (1.0,) if problem.time is None else (1.0, BEGINNING)
    tried = [_beginning(problem, tiling.root, coarse.boxes, part) for part in parts]
    lost = torch.stack([_lost(System(problem, tiling, boxes, basis), found) for boxes in tried]).amax(0)
    return [name for name, share in zip(problem.unknowns, lost.tolist(), strict=True) if not share <= DIFFERENT]


def _lost(system: System, found: Pass) -> Tensor:
    """The part (U,) of a smooth field that does not come back."""
    problem, boxes = system.problem, system.boxes
    state = State(project(found.expansion.smooth.values, boxes, system.basis), found.shared.to(boxes.low))
    added = State(_smooth(system), torch.zeros_like(state.shared))
    points, both = _inside(problem, boxes), (system.returned(state, added), added)
    known, wanted = (system.expansion(s).values(points).where(problem.present(points), 0.0) for s in both)
    return (known - wanted).square().mean(1).sqrt() / wanted.square().mean(1).sqrt().clamp(min=1e-300)


def _beginning(problem: Problem, boxes: Boxes, solved: Boxes, part: float) -> Boxes:
    """``boxes`` for a part of the first time window of those that were ``solved``, if there is time."""
    if problem.time is None:
        return boxes
    low, high, time = boxes.low.clone(), boxes.high.clone(), problem.coordinates.index(problem.time)
    low[:, time] = solved.low[0, time]
    high[:, time] = solved.low[0, time] + part * 2 * solved.half[0, time]
    return Boxes(low, high)


def _smooth(system: System) -> Tensor:
    """Coefficients (n, U, M) of polynomials on the whole domain, as periodic as it is, whose totals vanish."""
    problem, degree = system.problem, system.basis.degree
    low, high = (bound.to(system.boxes.low) for bound in problem.domain.bounds)
    periods = {c.coordinate for c in problem.named_conditions().values() if isinstance(c, Periodic)}
    # (1 - z^2)^k and its derivatives below the k-th vanish at both ends
    powers = [max(problem.order(u, c) for u in problem.unknowns) if c in periods else 0 for c in problem.coordinates]
    degrees = [2 * k + 1 if k else 2 for k in powers]
    generator = torch.Generator().manual_seed(0)

    def field(points: Tensor) -> Tensor:
        z = 2 * (points - low) / (high - low) - 1
        flat = torch.stack([(1 - z[:, a] ** 2) ** k if k else z[:, a] for a, k in enumerate(powers)], dim=1)
        shares = torch.rand(3, len(problem.unknowns), 1, z.shape[1], generator=generator, dtype=torch.float64) + 0.5
        constant, first, second = shares.to(z)
        parts = constant + flat * (first + second * z)
        return parts.prod(2) if sum(degrees) <= degree else parts.sum(2)

    count = 1 if system.skeleton.totals is None else TRIED
    fields = torch.stack([project(field, system.boxes, system.basis) for _ in range(count)])
    if system.skeleton.totals is None:
        return fields[0]
    sums = torch.einsum("nkc,wnc->kw", system.skeleton.totals.matrix, fields.flatten(2))
    share = torch.ones(count).to(sums)
    return torch.einsum("w,wnum->num", share - torch.linalg.pinv(sums, rtol=1e-8) @ (sums @ share), fields)


def _inside(problem: Problem, boxes: Boxes) -> Tensor:
    """Points in the domain and between the lowest and highest coordinates of the boxes."""
    points = problem.domain.sample(COMPARED, torch.Generator().manual_seed(0), method="sobol", device=boxes.low.device)
    low, high = (bound.to(points) for bound in problem.domain.bounds)
    first, last = boxes.low.amin(0), boxes.high.amax(0)
    time = [i for i, name in enumerate(problem.coordinates) if name == problem.time]
    points[:, time] = (first + (points - low) / (high - low) * (last - first))[:, time]
    return points


def unmet_conditions(problem: Problem, expansion: Expansion) -> dict[str, float]:
    """By how much conditions are missed, relative to what should balance there, by term; those that are missed by far."""
    generator, raw = torch.Generator().manual_seed(0), expansion.coefficients.new_zeros(0)
    low, high = problem.domain.bounds
    size, width = float(expansion.size.max()), float((high - low).min())
    found = {}
    for name, condition in problem.named_conditions().items():
        if isinstance(condition, Observations | Periodic | Integral | Interface):
            continue
        drawn = condition.sample(problem, COMPARED, generator, device=raw.device)
        points, indices = drawn.coordinates, problem.derivatives[name]
        values, gone = expansion(points, list(indices)), ~problem.present(points, 1e-9)
        floor = size * width ** -max(map(sum, indices), default=0)
        for term, linear in linearise(residuals_of(name, drawn), problem, values, indices, raw).items():
            counts = torch.einsum("usn,un->n", linear.slopes.abs(), gone.to(values)) == 0
            ours = (linear.slopes * values).sum((0, 1))
            off, *rest = (float(v[counts].square().sum().sqrt()) for v in (linear.value, ours, ours - linear.value))
            balance = max(*rest, floor * float(counts.sum()) ** 0.5)
            if off > UNMET * balance:
                found[term] = off / balance
    return found
