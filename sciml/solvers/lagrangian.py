"""Lagrangian physics-informed networks: characteristics and what they carry, from the declaration of the problem alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sciml.errors import InputError
from sciml.jets import Jet, MultiIndexSet, autograd
from sciml.problem import INTERIOR, Dirichlet, Points, Problem
from sciml.solvers.characteristics import Characteristics
from sciml.solvers.inflow import boundary_values, check_conditions, entrances, initial_values, periods
from sciml.solvers.quasilinear import along_characteristics, check_quasilinear, eulerian, speed
from sciml.solvers.row_jacobian import row_jacobian
from sciml.solvers.solver import Batch, Solver

Form = Literal["corrected", "published"]
_PROBES = 1024  # points at which speeds are looked at


class Lagrangian(Solver):
    """Two networks, X(xi, t) and W(xi, t): where the characteristic with label xi is, and what it carries.

    They solve X_t = speed and the rest of the equation along characteristics; the speed is read off the declared
    equation. Initial values, inflow values and periodicity hold exactly. Derivatives of the second and higher orders are
    taken in physical coordinates by the chain rule (``form="corrected"``), or in the label as published, which is
    another equation wherever the speed varies in space (``form="published"``).

    Args:
        problem: first order in time, linear in the first derivatives with one speed; periodic, or without diffusion,
            where ``Dirichlet`` conditions on an interval give what flows in.
        points: collocation points of the initial characteristics, and of those that enter through each end.
        windows: number of time windows of equal length, or the times at which characteristics are labelled anew by
            where they are. Labels are needed anew before characteristics cluster.
        shared: one network for both X and W.
        width, depth: of the networks.
        generator: draws their weights.

    Raises:
        InputError: a problem that has no characteristics of this kind, with the reason and a solver that fits.

    Source: Mojgani, Balajewicz & Hassanzadeh, Comput. Methods Appl. Mech. Engrg. 404 (2023), 2205.02902.
    """

    name = "lagrangian"
    current: Tensor

    def __init__(
        self,
        problem: Problem,
        *,
        points: int = 1000,
        form: Form = "corrected",
        windows: int | Sequence[float] = 1,
        shared: bool = False,
        width: int = 20,
        depth: int = 2,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> None:
        problem.validate()
        if form not in ("corrected", "published"):
            raise InputError(f"form={form!r} must be 'corrected' or 'published'")
        check_quasilinear(problem)
        check_conditions(problem)
        ends = entrances(problem)
        super().__init__(problem, {INTERIOR: points} | {condition.name: points // 2 for condition, _ in ends.values()})
        self.form: Form = form
        self._axis = problem.coordinates.index(problem.time)  # type: ignore[arg-type]
        self._cuts = _cuts(problem, windows)
        if ends and len(self._cuts) > 2:
            raise InputError(f"windows={windows}: labels cannot be renewed where characteristics enter; leave windows=1")
        networks = {"shared": shared, "width": width, "depth": depth}
        self._configuration = {"points": points, "form": form, "windows": self._cuts[1:-1] or 1, **networks}
        order = max(sum(index) for index in problem.derivatives[INTERIOR])
        self._indices = _label_derivatives(problem, order if order > 1 else 0)

        low, high = problem.domain.bounds
        common: dict[str, Any] = {"unknowns": len(problem.unknowns), "generator": generator, **networks}

        def initial(k: int) -> Characteristics:
            lower, upper = low.clone(), high.clone()
            lower[self._axis], upper[self._axis] = self._cuts[k], self._cuts[k + 1]
            start = partial(self._carried, k - 1) if k else partial(self._declared, initial_values)
            return Characteristics(problem.coordinates, self._axis, lower, upper, periods(problem), start, **common)

        def entering(position: float, condition: Dirichlet, normal: float) -> Characteristics:
            begin, end = low[self._axis].expand(2), high[self._axis].expand(2)
            start = partial(self._declared, partial(self._flowing_in, condition, position))
            return Characteristics(
                problem.coordinates, self._axis, begin, end, {}, start, entrance=position, orientation=normal, **common
            )

        self.windows = nn.ModuleList(initial(k) for k in range(len(self._cuts) - 1))
        self.entering = nn.ModuleDict({c.name: entering(x, c, normal) for x, (c, normal) in ends.items()})
        self.register_buffer("current", torch.zeros((), dtype=torch.int64))
        self.to(device=device, dtype=dtype)
        self._name_terms()
        self._set_scales()
        self._set_trainable()
        self.register_load_state_dict_post_hook(lambda *_: self._set_trainable())

    # Training ---------------------------------------------------------------------------------------------------
    @property
    def window(self) -> Characteristics:
        """The initial characteristics of the time window that is being trained."""
        return self.windows[int(self.current)]  # type: ignore[return-value]

    def advance(self) -> bool:
        """Label the characteristics anew and go on with the next time window; False after the last one."""
        if int(self.current) + 1 == len(self.windows):
            return False
        self.current += 1
        self._set_scales()
        self._set_trainable()
        return True

    def sample(self, generator: torch.Generator, method: str = "uniform", scale: int = 1) -> Batch:
        batch = {INTERIOR: Points(self._sampled(self.window, scale * self.points[INTERIOR], generator, method))}
        begin, end = self._cuts[0], self._cuts[-1]
        for name in self.entering:
            times = torch.rand(self.points[name], 2, generator=generator, device=generator.device, dtype=self.dtype)
            entry_before_now = times.sort(dim=1, descending=self._axis == 0).values.to(self.device)
            batch[name] = Points(begin + (end - begin) * entry_before_now)
        return batch

    def _sampled(self, window: nn.Module, n: int, generator: torch.Generator, method: str) -> Tensor:
        """Labels and times (n, d) of a time window."""
        labels = self.problem.domain.sample(n, generator, method=method, device=self.device, dtype=self.dtype)
        begin, end = self._cuts[0], self._cuts[-1]
        low, high = (float(bound[self._axis]) for bound in (window.low, window.high))  # type: ignore[index, union-attr]
        labels[:, self._axis] = low + (high - low) * (labels[:, self._axis] - begin) / (end - begin)
        return labels

    def residuals(self, batch: Batch) -> dict[str, Tensor]:
        return {
            term: residual for key, points in batch.items() for term, residual in self._terms(key, points.coordinates).items()
        }

    def row_jacobian(self, batch: Batch, parameters: Sequence[Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Residuals (N,) by term and their Jacobians (N, P) with respect to the flattened ``parameters``."""
        residuals: dict[str, Tensor] = {}
        jacobians: dict[str, Tensor] = {}
        for key, points in batch.items():
            values, rows = row_jacobian(
                lambda key=key, points=points: self._terms(key, points.coordinates, expand=True), parameters, len(points)
            )
            residuals |= values
            jacobians |= rows
        return residuals, jacobians

    def _terms(self, key: str, labels: Tensor, expand: bool = False) -> dict[str, Tensor]:
        problem, family = self.problem, self._family(key)
        positions, states = family.jets(labels, self._indices, expand)
        columns = list(labels.unbind(-1))
        for axis, position in zip(problem.space_axes, positions, strict=True):
            columns[axis] = position.value
        places = torch.stack(columns, dim=-1)
        unknowns = dict(zip(problem.unknowns, states, strict=True))
        velocity = speed(problem, {name: jet.value for name, jet in unknowns.items()}, places)
        suffix = "" if key == INTERIOR else f"_{key}"
        residuals = {
            f"characteristic_{name}{suffix}": position.d(problem.time).value - velocity[:, k]
            for k, (name, position) in enumerate(zip(problem.space, positions, strict=True))
        }
        rates = {name: jet.d(problem.time).value for name, jet in unknowns.items()}
        jets = {name: self._in_space(positions, jet) for name, jet in unknowns.items()}
        along = along_characteristics(problem, jets, rates, places)
        return residuals | {f"{name}{suffix}": residual for name, residual in along.items()}

    def _in_space(self, positions: list[Jet], state: Jet) -> Jet:
        assert self.problem.time is not None
        return eulerian(positions, state, self.problem.space, self.problem.time) if self.form == "corrected" else state

    def _family(self, key: str) -> Characteristics:
        return self.window if key == INTERIOR else self.entering[key]  # type: ignore[return-value]

    # Evaluation -------------------------------------------------------------------------------------------------
    def fields(self, points: Tensor) -> dict[str, Tensor]:
        problem = self.problem
        values: dict[str, Tensor] = {}
        for family, rows in self._split(points):
            jets = self._carried_with(family, points[rows])
            found = {name: jet.value for name, jet in jets.items()} | problem.derived_fields(jets, points[rows])
            for name, value in found.items():
                values.setdefault(name, torch.empty_like(points[:, 0]))[rows] = value.detach()
        return values

    def labels(self, points: Tensor) -> Tensor:
        """Labels (N, space) of the characteristics through ``points`` (N, d), counted from the latest relabelling.

        Those that entered through a boundary have their time of entry for a label.
        """
        labels = points.new_empty(len(points), len(self.problem.space))
        for family, rows in self._split(points):
            labels[rows] = family.labels(points[rows])[:, family.space]
        return labels

    @torch.no_grad()
    def least_jacobian(self) -> list[tuple[float, float]]:
        """The least J = det dX/dxi over every time window up to the current one, and the time at which it is found.

        One says that characteristics are parallel; near zero they cluster, below they cross and the solution is wrong.
        """
        found = []
        for window in self.windows[: int(self.current) + 1]:
            labels = self._sampled(window, 4 * _PROBES, torch.Generator().manual_seed(0), "sobol")
            j = torch.linalg.det(window.motion(labels)[1])  # type: ignore[operator]
            found.append((float(j.min()), float(labels[j.argmin(), self._axis])))
        return found

    def configuration(self) -> dict[str, Any]:
        return self._configuration

    @classmethod
    def from_configuration(cls, problem: Problem, configuration: dict[str, Any]) -> Lagrangian:
        return cls(problem, **configuration)

    def _split(self, points: Tensor) -> list[tuple[Characteristics, Tensor]]:
        """The families, each with which (N,) of the points lie on one of its characteristics."""
        last = int(self.current)
        relabelled = points.new_tensor(self._cuts[1 : last + 1])
        number = (points[:, self._axis, None] > relabelled).sum(1)
        parts = [(window, number == k) for k, window in enumerate(self.windows[: last + 1])]
        for family in self.entering.values():
            # Beyond the characteristic that started at the end itself, those that entered later follow.
            (axis,) = self.window.space
            corner = points.clone()
            corner[:, axis] = family.entrance
            with torch.no_grad():
                entered = family.orientation * (points[:, axis] - self.window.positions(corner)[:, 0]) > 0
            parts[0] = (self.window, parts[0][1] & ~entered)
            parts.append((family, entered))
        return parts

    def _carried_with(self, family: Characteristics, points: Tensor) -> dict[str, Jet]:
        """Jets of the unknowns in physical coordinates, at ``points`` (N, d) on characteristics of ``family``."""
        labels = family.labels(points)
        indices = self._indices
        if "derived" in self.problem.derivatives:
            order = max(sum(index) for index in self.problem.derivatives["derived"])
            indices = indices | _label_derivatives(self.problem, max(1, order))
        with torch.no_grad():
            positions, states = family.jets(labels, indices)
        assert self.problem.time is not None
        space, time = self.problem.space, self.problem.time
        return dict(zip(self.problem.unknowns, [eulerian(positions, s, space, time) for s in states], strict=True))

    # What characteristics start with ----------------------------------------------------------------------------
    def _declared(self, values: Callable[[Problem, Tensor], Tensor], labels: Tensor) -> list[Jet]:
        return autograd(lambda points: values(self.problem, points), labels, self.problem.coordinates)

    def _flowing_in(self, condition: Dirichlet, position: float, problem: Problem, labels: Tensor) -> Tensor:
        entry = labels[:, self.window.space]
        end = torch.full_like(entry, position)
        return boundary_values(problem, condition, torch.cat([end, entry] if self._axis else [entry, end], dim=1))

    def _carried(self, number: int, labels: Tensor) -> list[Jet]:
        """Jets at the end of window ``number``, with which the characteristics labelled anew start."""
        family = self.windows[number]
        places = labels.clone()
        places[:, self._axis] = family.high[self._axis]  # type: ignore[union-attr, index]
        jets = self._carried_with(family, places)  # type: ignore[arg-type]
        return [jets[name] for name in self.problem.unknowns]

    # Set-up -----------------------------------------------------------------------------------------------------
    @torch.no_grad()
    def _set_scales(self) -> None:
        """Mean and spread of the speed with which characteristics start, and of what they carry."""
        problem, window = self.problem, self.window
        labels = self._sampled(window, _PROBES, torch.Generator().manual_seed(0), "sobol")
        labels[:, self._axis] = float(window.low[self._axis])
        values = {n: j.value.detach() for n, j in zip(problem.unknowns, window.start(labels), strict=True)}
        velocity = speed(problem, values, labels)
        state = torch.stack(list(values.values()), dim=-1)
        extent = (window.high - window.low).to(velocity)
        pace = extent[list(problem.space_axes)] / extent[self._axis]
        for family in (window, *self.entering.values()):
            family.drift.copy_(velocity.mean(0))  # type: ignore[union-attr, operator]
            family.spread.copy_((velocity.amax(0) - velocity.amin(0)) / 2 + pace)  # type: ignore[union-attr, operator]
            family.rate.copy_((state.std(0) + 0.1) / extent[self._axis])  # type: ignore[union-attr, operator]

    def _set_trainable(self) -> None:
        for k, window in enumerate(self.windows):
            window.requires_grad_(k == int(self.current))

    def _name_terms(self) -> None:
        batch = self.sample(torch.Generator().manual_seed(0))
        self.term_points = {
            term: key for key, points in batch.items() for term in self._terms(key, points.coordinates[:2])
        }
        self.term_kinds = dict.fromkeys(self.term_points, "equation")


def _label_derivatives(problem: Problem, order: int) -> MultiIndexSet:
    """All derivatives in the labels up to ``order``, and the first in time."""
    axis, d = problem.coordinates.index(problem.time), len(problem.coordinates)  # type: ignore[arg-type]
    ranges = [range(1 if a == axis else order + 1) for a in range(d)]
    spatial = [index for index in itertools.product(*ranges) if sum(index) <= order]
    return MultiIndexSet([*spatial, tuple(int(a == axis) for a in range(d))], d)


def _cuts(problem: Problem, windows: int | Sequence[float]) -> list[float]:
    """The ends of the time windows."""
    time = problem.domain.time
    if isinstance(windows, int):
        if windows < 1:
            raise InputError(f"windows={windows} must be at least 1")
        return torch.linspace(time.low, time.high, windows + 1, dtype=torch.float64).tolist()
    cuts = [time.low, *map(float, windows), time.high]
    if any(later <= earlier for earlier, later in itertools.pairwise(cuts)):
        raise InputError(f"windows={list(windows)} must be increasing times between {time.low:g} and {time.high:g}")
    return cuts
