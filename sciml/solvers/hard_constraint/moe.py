"""PI-HC-MoE: bases by a network, combined by one least-squares problem for every part of space-time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import prod, sqrt

import torch
from torch import Tensor, nn

from sciml.errors import InputError
from sciml.jets import Field, Jet, MultiIndex
from sciml.problem import INTERIOR, Problem
from sciml.problem.condition import Value
from sciml.solvers.hard_constraint.experts import ExpertTerm
from sciml.solvers.hard_constraint.grid import Grid
from sciml.solvers.hard_constraint.layer import Tolerances, solve
from sciml.solvers.hard_constraint.partition import Partition
from sciml.solvers.hard_constraint.share import draw_alike, own_part, processes, shared
from sciml.solvers.hard_constraint.solver import GridSolver, Solved
from sciml.solvers.hard_constraint.terms import Group, complete, eliminated
from sciml.solvers.solver import Batch

CONSTRAINT = "constraint"
"""Key of the points of the experts' equations in a batch."""
INTERFACE = "interface"
"""Name of the weight of what makes neighbouring experts agree."""


class HardConstraintMoE(GridSolver):
    """The equations as a hard constraint, imposed by a mixture of experts (PI-HC-MoE).

    The network yields ``bases`` fields on the grid, whose sum is what it proposes itself. Every expert combines them on
    its own part of the grid with the coefficients that minimise the residuals of the equations at random points there and
    of all conditions; a solution is the experts' fields side by side. The gradient of the loss, the residuals of that
    field, passes through the optima. With one expert this is the hard constraint without experts (PI-HC).

    An expert's own extension of its field gives what depends on the whole field, such as the velocity of a vorticity;
    in the loss and in the solution it comes from the experts' fields side by side.

    Args:
        problem, network, shape, instances, batch, condition_points, weights, exact_initial, generator: see ``GridSolver``; the
            network yields ``bases`` channels for each unknown that does not follow from others.
        bases: number of basis fields.
        experts: parts along every coordinate.
        rows: points of an expert's equations; None takes all grid points.
        overlap: grid points by which these reach into the neighbours' parts.
        interface: further residuals make neighbouring experts agree on both sides of where they meet; all experts of an
            instance are then one least-squares problem. Otherwise each is one by itself.
        ridge: factor of the differences of the coefficients from 1 as further residuals. The equations on a part alone do
            not say what enters it: a ridge that is not small leaves to the network what they determine weakly.
        tolerances: of the least squares.
        share: under torchrun, spread one batch over the processes: its instances where they divide evenly, the experts of
            all instances otherwise. Without it each process has its own batch.

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
        weights: Mapping[str, Value] | None = None,
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
        parts = (1,) * len(shape) if experts is None else tuple(experts)
        super().__init__(
            problem, network, channels=bases * unknowns, shape=shape, instances=instances, batch=batch,
            condition_points=condition_points, weights=weights, exact_initial=exact_initial, generator=generator, dtype=dtype,
            device=device, further=(INTERFACE,) if prod(parts) > 1 else (),
        )  # fmt: skip
        self.bases, self.ridge, self.tolerances, self.share = bases, ridge, tolerances, share
        self.parts, self.rows, self.overlap, self.interface = parts, rows, overlap, interface
        partition = self._partition(self.grid)
        largest = min(len(region) for region in partition.regions)
        if rows is not None and not 1 <= rows <= largest:
            raise InputError(f"rows={rows} must lie between 1 and {largest}, the grid points of an expert")

    def draw(self, problems: Sequence[Problem], grid: Grid, generator: torch.Generator, method: str = "uniform") -> Batch:
        batch = super().draw(problems, grid, generator, method)
        partition = self._partition(grid)
        regions = partition.regions
        size = min(len(region) for region in regions)
        size = size if self.rows is None else min(size, self.rows)
        drawn = [_some(region, size, generator) for _ in problems for region in regions]
        if len(regions) > 1:
            places = partition.seams[1].repeat(len(self.independent))
            batch[INTERFACE] = self._at(grid, places.to(self.device).expand(len(problems), -1))
        batch[CONSTRAINT] = self._at(grid, torch.stack(drawn).reshape(len(problems), -1).to(self.device))
        return batch

    def sample(self, generator: torch.Generator, method: str = "uniform", scale: int = 1) -> Batch:
        if self.share:
            draw_alike(generator, self.device)
        batch = super().sample(generator, method, scale)
        return {key: own_part(points) for key, points in batch.items()} if self._divided else batch

    def solve(self, problems: Sequence[Problem], grid: Grid, batch: Batch) -> Solved:
        outputs = self.network(self.inputs(problems, grid)).unflatten(1, (len(self.independent), self.bases))
        bases = {name: self.ramp(grid) * outputs[:, i] for i, name in enumerate(self.independent)}
        offsets = self.offsets(problems, grid)
        partition = self._partition(grid)
        jets = {name: grid.jet(values) for name, values in complete(problems[0], bases).items()}
        added = {name: grid.jet(values) for name, values in complete(problems[0], offsets).items()}
        seams = self._seams(partition, bases)
        coefficients = self._coefficients(problems, partition, batch, jets, added, seams).to(outputs.dtype)

        def stitched(name: str) -> Jet:
            def partial(index: MultiIndex) -> Tensor:
                return added[name].partial(index) + partition.stitch(jets[name].partial(index), coefficients)

            return Field(grid.names, partial)

        found = {name: stitched(name) for name in self.independent}
        fields = {name: jet.value.unflatten(1, grid.shape) for name, jet in found.items()}
        found |= {name: grid.jet(values) for name, values in complete(problems[0], fields).items() if name not in found}
        jumps = torch.einsum("bskn,bkn->bs", seams, coefficients)
        return Solved(found, {INTERFACE: jumps.flatten()} if len(partition) > 1 else {})

    @property
    def _divided(self) -> bool:
        """Whether every process has as many instances of a batch, for itself; their mean loss is then that of the batch."""
        return self.share and self.batch_size % processes()[1] == 0

    def _spread(self, total: int, solve: Callable[[slice], Tensor]) -> Tensor:
        """The results (total, ...) of ``solve``, from all processes where they share the experts."""
        return shared(total, solve) if self.share and not self._divided else solve(slice(0, total))

    def _coefficients(
        self,
        problems: Sequence[Problem],
        partition: Partition,
        batch: Batch,
        jets: Mapping[str, Jet],
        added: Mapping[str, Jet],
        seams: Tensor,
    ) -> Tensor:
        """Every expert's coefficients (B, K, N)."""
        b, k = len(problems), len(partition)
        terms = [self._term(group, batch, partition.grid, b, k) for group in self.groups.values()]
        coupled = self.interface and k > 1
        if coupled:
            scale = self.scale(INTERFACE, batch[INTERFACE])
            scale = scale.reshape(b, -1, 1, 1) if isinstance(scale, Tensor) else scale
            seams = scale / sqrt(seams.shape[1]) * seams

        def solve_part(part: slice) -> Tensor:
            instances, experts = (part, slice(0, k)) if coupled else (slice(0, b), part)
            shape = instances.stop - instances.start, experts.stop - experts.start, self.bases
            if not prod(shape):  # more processes than experts: nothing, but with a graph
                return jets[self.independent[0]].value.double().flatten()[:0].view(shape)
            start = torch.ones(shape, dtype=torch.float64, device=self.device)
            rows = [term.rows(instances, experts, problems, jets, added) for term in terms]
            return solve(rows, start, self.ridge, seams[instances] if coupled else None, self.tolerances)

        # Separate experts are shared by number, coupled ones by instance.
        if coupled:
            return self._spread(b, solve_part)
        return self._spread(k, lambda part: solve_part(part).transpose(0, 1)).transpose(0, 1)

    def _term(self, group: Group, batch: Batch, grid: Grid, b: int, k: int) -> ExpertTerm:
        """An expert's own equations, or a condition, which every expert satisfies."""
        points = batch[CONSTRAINT if group.key == INTERIOR else group.key].to(dtype=torch.float64)
        assert points.rows is not None
        places = (points.rows % grid.size).reshape(b, k if group.key == INTERIOR else 1, -1)
        return ExpertTerm(group, points, places, {term: self.scale(term, points) for term in group.terms})

    def _seams(self, partition: Partition, bases: dict[str, Tensor]) -> Tensor:
        """Factors (B, S, K, N) of the coefficients in the differences of neighbouring experts where they meet."""
        pairs, places = (tensor.to(self.device) for tensor in partition.seams)
        rows = []
        for values in bases.values():
            at = values.flatten(2)[:, :, places].mT
            row = at.new_zeros(len(at), len(places), len(partition), self.bases)
            each = torch.arange(len(places), device=self.device)
            row[:, each, pairs[:, 0]], row[:, each, pairs[:, 1]] = at, -at
            rows.append(row)
        return torch.cat(rows, dim=1)

    def _partition(self, grid: Grid) -> Partition:
        return _partition(grid, self.parts, self.overlap)


@lru_cache(maxsize=16)
def _partition(grid: Grid, parts: tuple[int, ...], overlap: int) -> Partition:
    return Partition(grid, parts, overlap)


def _some(numbers: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """``count`` of ``numbers``, drawn without repetition."""
    if count == len(numbers):
        return numbers
    chosen = torch.randperm(len(numbers), generator=generator, device=generator.device)[:count]
    return numbers[chosen.to(numbers.device)]
