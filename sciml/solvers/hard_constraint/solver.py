"""What the solvers on a grid share: random instances, the network's inputs, residuals of fields on the grid."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from sciml.errors import InputError, nearest
from sciml.jets import Field, Jet
from sciml.nn import coordinate_embedding
from sciml.problem import INTERIOR, Points, Problem
from sciml.problem.condition import Value, evaluate
from sciml.solvers.hard_constraint.grid import Grid
from sciml.solvers.hard_constraint.terms import eliminated, groups, initial_values
from sciml.solvers.solver import Batch, Solver


@dataclass(frozen=True)
class Solved:
    """Fields of B instances on a grid of G points.

    Attributes:
        jets: of every unknown; partial derivatives are (B, G).
        further: residual vectors of further terms by name.
    """

    jets: Mapping[str, Jet]
    further: dict[str, Tensor] = field(default_factory=dict)


class GridSolver(Solver):
    """Fields on a grid by a network that sees the instance: its initial values and the coordinates, at every grid point.

    It is trained on the equations and conditions alone, over random instances of the problem; no solution is needed.

    Args:
        problem: what to solve; ``fields`` are those of this instance.
        network: maps (B, ``input_channels(problem)``, *shape) to (B, channels, *shape); ``sciml.nn.Pointwise`` makes one of
            a network of points.
        channels: of the network's output.
        further: terms, and keys of their points, that ``solve`` adds to those of the problem.
        shape: grid points along every coordinate.
        instances: what is trained on, or how many to draw by ``problem.sample``.
        batch: instances a step.
        condition_points: points of every condition and instance.
        weights: of the mean squares of the terms by name, in the loss and wherever else terms are summed: a number or a
            function of the coordinates by name; 1 by default. The residuals of a batch have them in.
        exact_initial: fields are the initial values plus (t - t0) / (t1 - t0) times what the network yields, so that
            ``Initial`` conditions hold exactly.
        generator: draws the instances.

    Raises:
        InputError: a problem or a network that does not fit.
    """

    def __init__(
        self,
        problem: Problem,
        network: nn.Module,
        *,
        channels: int,
        shape: Sequence[int],
        instances: int | Sequence[Problem],
        batch: int,
        condition_points: int,
        weights: Mapping[str, Value] | None,
        exact_initial: bool,
        generator: torch.Generator | None,
        dtype: torch.dtype,
        device: torch.device | str | None,
        further: Sequence[str] = (),
    ) -> None:
        problem.validate()
        if problem.parameters():
            names = ", ".join(problem.parameters())
            raise InputError(f"a solver on a grid finds no unknown coefficients, and {names} is one: use solver='pinn'")
        grid, found = Grid.of(problem, shape), groups(problem, exact_initial)
        super().__init__(problem, {key: len(grid.interior) if key == INTERIOR else condition_points for key in found})
        self.grid, self.groups = grid, found
        self.exact_initial, self.batch_size = exact_initial, batch
        self.independent = tuple(name for name in problem.unknowns if name not in eliminated(problem))
        self._check_initial()
        self.instances = _draw(problem, instances, generator or torch.Generator().manual_seed(0))
        low, high = problem.domain.bounds
        periods = {name: float((high - low)[problem.coordinates.index(name)]) for name in self.grid.periodic}
        self.embedding = coordinate_embedding(problem.coordinates, low, high, periods)
        self.network = network
        self.to(device=device, dtype=dtype)
        self.term_points = {term: key for key, group in self.groups.items() for term in group.terms}
        self.term_points |= {term: term for term in further}
        self.term_kinds = {t: "equation" if key == INTERIOR else "condition" for t, key in self.term_points.items()}
        self.weights = dict(weights or {})
        for name in self.weights:
            if name not in self.term_points:
                raise InputError(f"weights names {name!r}, no term of the loss; {nearest(name, self.term_points)}")
        self._check_network(channels)

    @staticmethod
    def input_channels(problem: Problem) -> int:
        """Number of channels that the network sees: coordinates, sine and cosine of periodic ones, initial values."""
        periodic = sum(c.kind == "periodic" for c in problem.named_conditions().values())
        points = problem.domain.sample(1, torch.Generator().manual_seed(0))
        return len(problem.coordinates) + periodic + len(initial_values(problem, points))

    @abstractmethod
    def solve(self, problems: Sequence[Problem], grid: Grid, batch: Batch) -> Solved:
        """The fields of ``problems`` on ``grid``; ``batch`` is one that ``draw`` made."""

    # Points -----------------------------------------------------------------------------------------------------
    def sample(self, generator: torch.Generator, method: str = "uniform", scale: int = 1) -> Batch:
        """A batch of random instances; ``Points.rows`` counts instance times grid size plus number of the grid point."""
        count = len(self.instances)
        numbers = torch.randint(count, (self.batch_size,), generator=generator, device=generator.device)
        batch = self.draw([self.instances[int(i)] for i in numbers], self.grid, generator, method)
        shift = (numbers.to(self.device) * self.grid.size).unsqueeze(1)
        return {key: _shifted(points, shift) for key, points in batch.items()}

    def draw(self, problems: Sequence[Problem], grid: Grid, generator: torch.Generator, method: str = "uniform") -> Batch:
        """Where ``problems`` are evaluated: the grid's interior, and for conditions the grid points nearest to random ones."""
        number, conditions = len(problems), self.conditions(problems[0])
        batch = {INTERIOR: self._at(grid, grid.interior.to(self.device).expand(number, -1))}
        for name, condition in conditions.items():
            n = self.points[name] * number
            drawn = condition.sample(problems[0], n, generator, method, self.device, torch.float64)
            places = grid.nearest(drawn.coordinates).reshape(number, -1)
            batch[name] = self._at(grid, places, drawn.normals)
        return batch

    def _at(self, grid: Grid, places: Tensor, normals: Tensor | None = None) -> Points:
        """Points of the instances at grid points ``places`` (B, n)."""
        coordinates = self._coordinates(grid)[places.flatten()]
        return Points(coordinates, normals=None if normals is None else normals.to(coordinates), rows=places.flatten())

    # Evaluation -------------------------------------------------------------------------------------------------
    def residuals(self, batch: Batch) -> dict[str, Tensor]:
        rows = batch[INTERIOR].rows
        assert rows is not None
        numbers = (rows[:: len(self.grid.interior)] // self.grid.size).tolist()
        problems = [self.instances[i] for i in numbers]
        solved = self.solve(problems, self.grid, batch)
        residuals = self.residuals_of(solved.jets, problems, self.grid, batch) | solved.further
        return {term: self.scale(term, batch[self.term_points[term]]) * r for term, r in residuals.items()}

    def scale(self, term: str, points: Points) -> Tensor | float:
        """Root of the term's weight, (N,) or a number."""
        weight = evaluate(self.weights.get(term, 1.0), self.problem.coordinates, points.coordinates, f"weights[{term!r}]")
        return weight**0.5

    def residuals_of(self, jets: Mapping[str, Jet], problems: Sequence[Problem], grid: Grid, batch: Batch) -> dict[str, Tensor]:
        """Residual vectors by term of fields with these jets, whose partial derivatives are (B, G)."""
        found: dict[str, list[Tensor]] = {}
        for i, problem in enumerate(problems):
            for key, group in self.groups.items():
                points = _part(batch[key], i, len(problems))
                assert points.rows is not None
                at = {name: _at(jet, (i, points.rows % grid.size)) for name, jet in jets.items()}
                for term, residual in group.evaluate(problem, at, points).items():
                    found.setdefault(term, []).append(residual)
        return {term: torch.cat(parts) for term, parts in found.items()}

    def inputs(self, problems: Sequence[Problem], grid: Grid) -> Tensor:
        """What the network sees, (B, channels, *shape)."""
        embedded = self.embedding(self._coordinates(grid)).T.unflatten(-1, grid.shape)
        return torch.stack([torch.cat([embedded, *(v[None] for v in self._initial(p, grid).values())]) for p in problems])

    def offsets(self, problems: Sequence[Problem], grid: Grid) -> dict[str, Tensor]:
        """What the network's fields are added to, (B, *shape): the initial values, or zero."""
        if not self.exact_initial:
            zeros = self._coordinates(grid).new_zeros(len(problems), *grid.shape)
            return dict.fromkeys(self.independent, zeros)
        values = [self._initial(problem, grid) for problem in problems]
        return {name: torch.stack([v[name] for v in values]) for name in self.independent}

    def ramp(self, grid: Grid) -> Tensor | float:
        """The factor of the network's fields, broadcastable to (*shape)."""
        if not self.exact_initial:
            return 1.0
        axis = grid.names.index(str(self.problem.time))
        low, high = self.grid.low[axis], self.grid.high[axis]
        return (self._coordinates(grid)[:, axis].reshape(grid.shape) - low) / (high - low)

    # Solutions --------------------------------------------------------------------------------------------------
    @torch.no_grad()
    def predict(self, problems: Sequence[Problem], shape: Sequence[int] | None = None, seed: int = 0) -> dict[str, Tensor]:
        """Every unknown (B, *shape) of ``problems``, which may have a longer time interval, on a grid of ``shape``."""
        grid = Grid.of(problems[0], shape or self.grid.shape)
        batch = self.draw(problems, grid, torch.Generator().manual_seed(seed))
        jets = self.solve(problems, grid, batch).jets
        return {name: jet.value.unflatten(1, grid.shape) for name, jet in jets.items()}

    @torch.no_grad()
    def stitched_residuals(self, problems: Sequence[Problem], seed: int = 0) -> dict[str, Tensor]:
        """Residual vectors by term of the fields that ``predict`` gives, their derivatives taken across all seams."""
        batch = self.draw(problems, self.grid, torch.Generator().manual_seed(seed))
        jets = {name: self.grid.jet(values) for name, values in self.predict(problems, seed=seed).items()}
        return self.residuals_of(jets, problems, self.grid, batch)

    def diagnostics(self) -> dict[str, float]:
        """Root mean squares of ``stitched_residuals`` of the problem itself."""
        found = self.stitched_residuals([self.problem])
        return {f"stitched/{term}": float(residual.square().mean().sqrt()) for term, residual in found.items()}

    def fields(self, points: Tensor) -> dict[str, Tensor]:
        grid, shape = self.grid, self.grid.shape
        values = self.predict([self.problem])
        jets = {name: grid.jet(field) for name, field in values.items()}
        flat = {name: _at(jet, 0) for name, jet in jets.items()}
        derived = self.problem.derived_fields(flat, self._coordinates(grid))
        grids = {name: values_[0] for name, values_ in values.items()}
        grids |= {name: field.reshape(shape) for name, field in derived.items()}
        return {name: grid.interpolate(field, points) for name, field in grids.items()}

    def configuration(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_configuration(cls, problem: Problem, configuration: Mapping[str, Any]) -> GridSolver:
        """Raises InputError: the network is the caller's own, which is not recorded."""
        raise InputError(f"this solution has a network of your own: build the {cls.__name__} and load its weights into it")

    # ------------------------------------------------------------------------------------------------------------
    def _coordinates(self, grid: Grid) -> Tensor:
        return grid.points(next(self.parameters()))

    def _initial(self, problem: Problem, grid: Grid) -> dict[str, Tensor]:
        """The initial values at all times, (*shape)."""
        points = self._coordinates(grid)
        if grid.time is None:
            return {}
        axis = grid.names.index(grid.time)
        first = points.unflatten(0, grid.shape).select(axis, 0)
        values = initial_values(problem, first.flatten(0, -2))
        return {name: v.reshape(first.shape[:-1]).unsqueeze(axis).expand(grid.shape) for name, v in values.items()}

    def _check_initial(self) -> None:
        if not self.exact_initial:
            return
        points = self.problem.domain.sample(1, torch.Generator().manual_seed(0))
        known = set(initial_values(self.problem, points))
        if known != set(self.independent):
            raise InputError(
                f"exact_initial=True needs one initial value for each of {self.independent}, but "
                f"{sorted(known) or 'none'} are declared; use exact_initial=False"
            )

    def _check_network(self, channels: int) -> None:
        inputs = self.inputs([self.problem], self.grid)
        try:
            with torch.no_grad():
                shape = tuple(self.network(inputs).shape)
        except (RuntimeError, InputError) as error:
            wanted = f"(B, {inputs.shape[1]}, *{self.grid.shape}), see {type(self).__name__}.input_channels"
            raise InputError(f"network must take {wanted}: {error}") from error
        if shape != (1, channels, *self.grid.shape):
            raise InputError(f"network gives {shape}, expected (1, {channels}, *{self.grid.shape})")


def _draw(problem: Problem, instances: int | Sequence[Problem], generator: torch.Generator) -> list[Problem]:
    if not isinstance(instances, int):
        return list(instances)
    if instances == 1:
        return [problem]
    if not hasattr(problem, "sample"):
        raise InputError(f"{type(problem).__name__} has no sample(generator): give instances=1, or a list of problems")
    return [problem.sample(generator) for _ in range(instances)]


def _at(jet: Jet, place: Any) -> Jet:
    return Field(jet.names, lambda index: jet.partial(index)[place])


def _part(points: Points, i: int, parts: int) -> Points:
    size = len(points) // parts
    return points[i * size : (i + 1) * size]


def _shifted(points: Points, shift: Tensor) -> Points:
    assert points.rows is not None
    rows = (points.rows.reshape(len(shift), -1) + shift).flatten()
    return Points(points.coordinates, normals=points.normals, rows=rows)
