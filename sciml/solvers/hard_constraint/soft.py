"""The soft constraint: a network trained on the residuals of its field, the rival of the hard one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from sciml.problem import Problem
from sciml.problem.condition import Value
from sciml.solvers.hard_constraint.grid import Grid
from sciml.solvers.hard_constraint.solver import GridSolver, Solved
from sciml.solvers.hard_constraint.terms import complete, eliminated
from sciml.solvers.solver import Batch


class SoftConstraint(GridSolver):
    """The network's output is the solution, and the equations are its loss (PI-SC; Li et al., 2111.03794).

    Args:
        problem, network, shape, instances, batch, condition_points, weights, exact_initial, generator: see ``GridSolver``; the
            network yields one channel for each unknown that does not follow from others.
    """

    name = "soft_constraint"

    def __init__(
        self,
        problem: Problem,
        network: nn.Module,
        *,
        shape: Sequence[int],
        instances: int | Sequence[Problem] = 1,
        batch: int = 1,
        condition_points: int = 64,
        weights: Mapping[str, Value] | None = None,
        exact_initial: bool = False,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> None:
        unknowns = len(problem.unknowns) - len(eliminated(problem))
        super().__init__(
            problem, network, channels=unknowns, shape=shape, instances=instances, batch=batch,
            condition_points=condition_points, weights=weights, exact_initial=exact_initial, generator=generator, dtype=dtype,
            device=device,
        )  # fmt: skip

    def solve(self, problems: Sequence[Problem], grid: Grid, batch: Batch) -> Solved:
        outputs, offsets = self.network(self.inputs(problems, grid)), self.offsets(problems, grid)
        fields = {name: offsets[name] + self.ramp(grid) * outputs[:, i] for i, name in enumerate(self.independent)}
        return Solved({name: grid.jet(values) for name, values in complete(problems[0], fields).items()})
