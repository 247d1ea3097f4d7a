"""PI-HC-MoE: bases by a network, combined by one least-squares problem for every part of space-time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

import torch
from torch import Tensor, nn

from sciml.errors import InputError, nearest
from sciml.problem import INTERIOR, Points, Problem
from sciml.solvers.hard_constraint.experts import ExpertTerm
from sciml.solvers.hard_constraint.grid import Grid
from sciml.solvers.hard_constraint.layer import Tolerances, solve
from sciml.solvers.hard_constraint.partition import Partition
from sciml.solvers.hard_constraint.share import from_main, shared
from sciml.solvers.hard_constraint.solver import GridSolver
from sciml.solvers.hard_constraint.terms import Group, complete, eliminated
from sciml.solvers.solver import Batch

CONSTRAINT = "constraint"
"""Key of the points of the experts' equations in a batch."""
INTERFACE = "interface"
"""Name of the weight of what makes neighbouring experts agree."""


class HardConstraintMoE(GridSolver):
    """The equations as a hard constraint, imposed by a mixture of experts (PI-HC-MoE).

    The network yields ``bases`` fields on the grid. Every expert combines them on its own part of the grid with the
    coefficients that minimise the residuals of the equations at random points there and of all conditions; a solution
    is the experts' fields side by side. The gradient of the loss, the residuals of that field, passes through the
    optima. With one expert this is the hard constraint without experts (PI-HC).

    An expert's own extension of its field gives what depends on the whole field, such as the velocity of a vorticity;
    in the loss and in the solution it comes from the experts' fields side by side.

    Args:
        problem, network, shape, instances, batch, condition_points, exact_initial, generator: see ``GridSolver``; the
            network yields ``bases`` channels for each unknown that does not follow from others.
        bases: number of basis fields.
        experts: parts along every coordinate.
        rows: points of an expert's equations; None takes all grid points.
        overlap: grid points by which these reach into the neighbours' parts.
        interface: further residuals make neighbouring experts agree on both sides of where they meet; all experts of an
            instance are then one least-squares problem. Otherwise each is one by itself.
        weights: of the mean squares of the terms (and of "interface") in the experts' least squares; 1 by default.
        ridge: factor of the coefficients as further residuals.
        tolerances: of the least squares.
        share: under torchrun, spread the experts of one batch over the processes; otherwise each has its own batch.

    Raises:
        InputError: a problem, a network or a partition that does not fit.

    Source: Chalapathi, Du & Krishnapriyan, Scaling physics-informed hard constraints with mixture-of-experts, ICLR 2024,
    2402.13412; the parent is Negiar, Mahoney & Krishnapriyan, ICLR 2023, 2207.08675.
    """

    name = "hard_constraint"

    def __init__(
        self,
        problem: Problem,
        network: nn.Module,
        *,
        shape: Sequence[int],
        bases: int = 16,
        experts: Sequence[int] | None = None,
        rows: int | None = None,
        overlap: int = 0,
        interface: bool = False,
        weights: Mapping[str, float] | None = None,
        ridge: float = 1e-4,
        tolerances: Tolerances = Tolerances(),  # noqa: B008
        instances: int | Sequence[Problem] = 1,
        batch: int = 1,
        condition_points: int = 64,
        exact_initial: bool = False,
        share: bool = False,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> None:
        unknowns = len(problem.unknowns) - len(eliminated(problem))
        super().__init__(
            problem, network, channels=bases * unknowns, shape=shape, instances=instances, batch=batch,
            condition_points=condition_points, exact_initial=exact_initial, generator=generator, dtype=dtype, device=device,
        )  # fmt: skip
        self.bases, self.ridge, self.tolerances, self.share = bases, ridge, tolerances, share
        self.parts = (1,) * len(shape) if experts is None else tuple(experts)
        self.rows, self.overlap, self.interface = rows, overlap, interface
        self.weights = dict(weights or {})
        partition = self._partition(self.grid)
        largest = min(len(region) for region in partition.regions)
        if rows is not None and not 1 <= rows <= largest:
            raise InputError(f"rows={rows} must lie between 1 and {largest}, the grid points of an expert")
        for name in self.weights:
            if name not in (*self.term_points, INTERFACE):
                raise InputError(f"weights names {name!r}, no term; {nearest(name, (*self.term_points, INTERFACE))}")

    def draw(self, problems: Sequence[Problem], grid: Grid, generator: torch.Generator, method: str = "uniform") -> Batch:
        batch = super().draw(problems, grid, generator, method)
        regions = self._partition(grid).regions
        size = min(len(region) for region in regions)
        size = size if self.rows is None else min(size, self.rows)
        drawn = [_some(region, size, generator) for _ in problems for region in regions]
        batch[CONSTRAINT] = self._at(grid, torch.stack(drawn).reshape(len(problems), -1).to(self.device))
        return batch

    def sample(self, generator: torch.Generator, method: str = "uniform", scale: int = 1) -> Batch:
        batch = super().sample(generator, method, scale)
        if not self.share:
            return batch
        return {key: Points(**{name: from_main(t) for name, t in p.state_dict().items()}) for key, p in batch.items()}

    def solve(self, problems: Sequence[Problem], grid: Grid, batch: Batch) -> dict[str, Tensor]:
        outputs = self.network(self.inputs(problems, grid)).unflatten(1, (len(self.independent), self.bases))
        bases = {name: self.ramp(grid) * outputs[:, i] for i, name in enumerate(self.independent)}
        offsets = self.offsets(problems, grid)
        partition = self._partition(grid)
        coefficients = self.coefficients_of(bases, offsets, problems, partition, batch)
        fields = {}
        for name, values in bases.items():
            stitched = partition.stitch(values.flatten(2), coefficients.to(values.dtype))
            fields[name] = offsets[name] + stitched.unflatten(1, grid.shape)
        return fields

    def coefficients_of(
        self,
        bases: dict[str, Tensor],
        offsets: dict[str, Tensor],
        problems: Sequence[Problem],
        partition: Partition,
        batch: Batch,
    ) -> Tensor:
        """Every expert's coefficients (B, K, N), of the bases (B, N, *shape) added to ``offsets`` (B, *shape)."""
        grid, b, k = partition.grid, len(problems), len(partition)
        jets = {name: grid.jet(values) for name, values in complete(problems[0], bases).items()}
        start = {name: grid.jet(values) for name, values in complete(problems[0], offsets).items()}
        terms = [self._term(group, batch, grid, b, k) for group in self.groups.values()]
        coupled = self.interface and k > 1
        lead = (b, k) if coupled else (b * k, 1)

        def solve_part(part: slice) -> Tensor:
            rows = [term.rows(part, coupled, problems, jets, start) for term in terms]
            seams = self._seams(partition, bases)[part] if coupled else None
            zeros = torch.zeros(part.stop - part.start, lead[1], self.bases, dtype=torch.float64, device=self.device)
            return solve(rows, zeros, self.ridge, seams, self.tolerances)

        found = shared(lead[0], solve_part) if self.share else solve_part(slice(0, lead[0]))
        return found.reshape(b, k, self.bases)

    def _term(self, group: Group, batch: Batch, grid: Grid, b: int, k: int) -> ExpertTerm:
        points = batch[CONSTRAINT if group.key == INTERIOR else group.key].to(dtype=torch.float64)
        assert points.rows is not None
        if group.key == INTERIOR:
            return ExpertTerm(group, points, (points.rows % grid.size).reshape(b, k, -1), self.weights)
        # Every expert satisfies the conditions of the whole problem.
        every = torch.arange(len(points), device=self.device).reshape(b, 1, -1).expand(b, k, -1)
        repeated = points[every.flatten()]
        return ExpertTerm(group, repeated, (points.rows % grid.size)[every], self.weights)

    def _seams(self, partition: Partition, bases: dict[str, Tensor]) -> Tensor:
        """Rows (B, S, K, N) by which the fields of neighbouring experts agree at the points where they meet."""
        pairs, places = (tensor.to(self.device) for tensor in partition.seams)
        rows = []
        for values in bases.values():
            at = values.flatten(2)[:, :, places].mT.to(torch.float64)
            row = at.new_zeros(len(at), len(places), len(partition), self.bases)
            each = torch.arange(len(places), device=self.device)
            row[:, each, pairs[:, 0]], row[:, each, pairs[:, 1]] = at, -at
            rows.append(row)
        return torch.cat(rows, dim=1) * sqrt(self.weights.get(INTERFACE, 1.0) / len(places))

    def _partition(self, grid: Grid) -> Partition:
        return Partition(grid, self.parts, self.overlap)


def _some(numbers: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """``count`` of ``numbers``, drawn without repetition."""
    if count == len(numbers):
        return numbers
    chosen = torch.randperm(len(numbers), generator=generator, device=generator.device)[:count]
    return numbers[chosen.to(numbers.device)]
