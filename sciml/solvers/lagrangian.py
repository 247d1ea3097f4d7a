"""Lagrangian physics-informed networks: characteristics and what they carry, from the declaration of the problem alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from sciml.errors import InputError
from sciml.jets import Jet, MultiIndexSet, autograd
from sciml.problem import INTERIOR, Dirichlet, Points, Problem
from sciml.solvers.characteristics import Characteristics
from sciml.solvers.inflow import boundary_values, check_conditions, entrances, initial_values, periods
from sciml.solvers.quasilinear import along_characteristics, check_quasilinear, eulerian, label_derivatives, speed
from sciml.solvers.relabelling import Relabelling, window_ends
from sciml.solvers.row_jacobian import row_jacobian
from sciml.solvers.solver import Batch, Solver

_PROBES = 4096  # labels at which the speed and J are looked at


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
        form: Literal["corrected", "published"] = "corrected",
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
        self._keys = [INTERIOR, *(f"inflow_{position:g}" for position in ends)]
        super().__init__(problem, dict.fromkeys(self._keys, points // 2) | {INTERIOR: points})
        self.form = form
        self._time = problem.time or ""  # check_quasilinear has made sure of it
        self._axis = problem.coordinates.index(self._time)
        self._ends = window_ends(problem, windows)
        if ends and len(self._ends) > 2:
            raise InputError(f"windows={windows}: labels cannot be renewed where characteristics enter; leave windows=1")
        networks = {"shared": shared, "width": width, "depth": depth}
        self._configuration = {"points": points, "form": form, "windows": self._ends[1:-1] or 1, **networks}
        order = max(sum(index) for index in problem.derivatives[INTERIOR])
        self._indices = label_derivatives(problem, order if order > 1 else 0)

        low, high = problem.domain.bounds
        common: dict[str, Any] = {"unknowns": len(problem.unknowns), "generator": generator, **networks}

        def initial(begin: float, end: float, last: Characteristics | None) -> Characteristics:
            lower, upper = low.clone(), high.clone()
            lower[self._axis], upper[self._axis] = begin, end
            place = problem.coordinates, self._axis, lower, upper, periods(problem)
            if last is None:
                return Characteristics(*place, partial(self._declared, initial_values), **common)
            anew = Relabelling(last)
            return Characteristics(*place, anew.start, origin=anew.origin, **common)

        def entering(position: float, condition: Dirichlet, normal: float) -> Characteristics:
            begin, end = low[self._axis].expand(2), high[self._axis].expand(2)
            start = partial(self._declared, partial(self._flowing_in, condition, position))
            return Characteristics(
                problem.coordinates, self._axis, begin, end, {}, start, entrance=position, orientation=normal, **common
            )

        self.windows = nn.ModuleList()
        for begin, end in pairwise(self._ends):
            self.windows.append(initial(begin, end, cast(Characteristics, self.windows[-1]) if self.windows else None))
        self.entering = nn.ModuleList(entering(x, c, normal) for x, (c, normal) in ends.items())
        self.register_buffer("current", torch.zeros((), dtype=torch.int64))
        self.to(device=device, dtype=dtype)
        batch = self.sample(torch.Generator().manual_seed(0))
        self.term_points = {term: key for key, p in batch.items() for term in self._terms(key, p.coordinates[:2])}
        self.term_kinds = dict.fromkeys(self.term_points, "equation")
        self._set_scales()
        self._set_trainable()
        self.register_load_state_dict_post_hook(lambda *_: self._set_trainable())

    # Training ---------------------------------------------------------------------------------------------------
    @property
    def window(self) -> Characteristics:
        """The initial characteristics of the time window that is being trained."""
        return self._begun()[-1]

    def _begun(self) -> list[Characteristics]:
        """The initial characteristics of all windows up to the one that is being trained."""
        return [cast(Characteristics, window) for window in self.windows[: int(self.current) + 1]]

    def _families(self) -> dict[str, Characteristics]:
        """What is being trained, by the key of its labels in a batch."""
        families = [self.window, *(cast(Characteristics, family) for family in self.entering)]
        return dict(zip(self._keys, families, strict=True))

    def advance(self) -> bool:
        """Label the characteristics anew and go on with the next time window; False after the last one."""
        if int(self.current) + 1 == len(self.windows):
            return False
        self.current += 1
        self._set_scales()
        self._set_trainable()
        return True

    def sample(self, generator: torch.Generator, method: str = "uniform", scale: int = 1) -> Batch:
        families = self._families()
        sizes = {key: self.points[key] * (scale if key == INTERIOR else 1) for key in families}
        drawn = {key: f.sample(self.problem.domain, sizes[key], generator, method) for key, f in families.items()}
        return {key: Points(labels.to(self.device, self.dtype)) for key, labels in drawn.items()}

    def residuals(self, batch: Batch) -> dict[str, Tensor]:
        return {term: r for key, points in batch.items() for term, r in self._terms(key, points.coordinates).items()}

    def row_jacobian(self, batch: Batch, parameters: Sequence[Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Residuals (N,) by term and their Jacobians (N, P) with respect to the flattened ``parameters``."""
        residuals: dict[str, Tensor] = {}
        jacobians: dict[str, Tensor] = {}
        for key, points in batch.items():
            own = {id(p) for p in self._families()[key].parameters()}
            trained = [p for p in parameters if id(p) in own]
            terms = partial(self._terms, key, points.coordinates, expand=True)
            values, rows = row_jacobian(terms, trained, len(points))
            residuals |= values
            for name, row in rows.items():
                columns = iter(row.split([p.numel() for p in trained], dim=1))
                zero = row.new_zeros(len(row), 1)
                by = [next(columns) if id(p) in own else zero.expand(-1, p.numel()) for p in parameters]
                jacobians[name] = torch.cat(by, dim=1)
        return residuals, jacobians

    def _terms(self, key: str, labels: Tensor, expand: bool = False) -> dict[str, Tensor]:
        problem, family = self.problem, self._families()[key]
        positions, states = family.jets(labels, self._indices, expand)
        places = self._at(labels, positions)
        unknowns = dict(zip(problem.unknowns, states, strict=True))
        velocity = speed(problem, {name: jet.value for name, jet in unknowns.items()}, places)
        suffix = "" if key == INTERIOR else f"_{key}"
        residuals = {
            f"characteristic_{name}{suffix}": position.d(self._time).value - velocity[:, k]
            for k, (name, position) in enumerate(zip(problem.space, positions, strict=True))
        }
        rates = {name: jet.d(self._time).value for name, jet in unknowns.items()}
        jets = unknowns
        if self.form == "corrected":
            jets = {name: eulerian(positions, jet, problem.space, self._time) for name, jet in unknowns.items()}
        along = along_characteristics(problem, jets, rates, places)
        return residuals | {f"{name}{suffix}": residual for name, residual in along.items()}

    def _at(self, labels: Tensor, positions: list[Jet]) -> Tensor:
        """Positions and times (N, d)."""
        columns = list(labels.unbind(-1))
        for axis, position in zip(self.problem.space_axes, positions, strict=True):
            columns[axis] = position.value
        return torch.stack(columns, dim=-1)

    # Evaluation -------------------------------------------------------------------------------------------------
    def fields(self, points: Tensor) -> dict[str, Tensor]:
        problem = self.problem
        values: dict[str, Tensor] = {}
        for family, rows in self._split(points):
            jets = self._jets(family, points[rows])
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
        for window in self._begun():
            labels = self._probes(window)
            j = torch.linalg.det(window.motion(labels)[1])
            found.append((float(j.min()), float(labels[j.argmin(), self._axis])))
        return found

    @property
    def choices(self) -> dict[str, Any]:
        """For the record of a run: where characteristics were labelled anew, and how close they came."""
        least = [j for j, _ in self.least_jacobian()]
        return {"labelled_anew_at": self._ends[1 : len(least)], "least_jacobian": least}

    def _probes(self, window: Characteristics) -> Tensor:
        labels = window.sample(self.problem.domain, _PROBES, torch.Generator().manual_seed(0), "sobol")
        return labels.to(self.device, self.dtype)

    def configuration(self) -> dict[str, Any]:
        return self._configuration

    @classmethod
    def from_configuration(cls, problem: Problem, configuration: dict[str, Any]) -> Lagrangian:
        """The untrained solver that ``configuration`` describes."""
        return cls(problem, **configuration)

    def _split(self, points: Tensor) -> list[tuple[Characteristics, Tensor]]:
        """The families, each with which (N,) of the points lie on one of its characteristics."""
        begun = self._begun()
        number = (points[:, self._axis, None] > points.new_tensor(self._ends[1 : len(begun)])).sum(1)
        parts = [(window, number == k) for k, window in enumerate(begun)]
        for key, family in self._families().items():
            if key != INTERIOR:
                # Beyond the characteristic that started at the end itself are those that have entered since.
                corner = points.clone()
                corner[:, family.space] = cast(float, family.entrance)
                distance = points[:, family.space] - self.window.motion(corner)[0].detach()
                entered = family.orientation * distance[:, 0] > 0
                parts = [(parts[0][0], parts[0][1] & ~entered), *parts[1:], (family, entered)]
        return [part for part in parts if part[1].any()] or parts[:1]

    def _jets(self, family: Characteristics, points: Tensor) -> dict[str, Jet]:
        """Jets of the unknowns in physical coordinates, at ``points`` (N, d) on characteristics of ``family``."""
        indices = self._indices
        if "derived" in self.problem.derivatives:
            order = max(sum(index) for index in self.problem.derivatives["derived"])
            indices = indices | label_derivatives(self.problem, max(1, order))
        return dict(zip(self.problem.unknowns, family.eulerian_jets(points, indices), strict=True))

    # What characteristics start with ----------------------------------------------------------------------------
    def _declared(
        self, values: Callable[[Problem, Tensor], Tensor], labels: Tensor, indices: MultiIndexSet
    ) -> list[Jet]:
        return autograd(lambda points: values(self.problem, points), labels, self.problem.coordinates)

    def _flowing_in(self, condition: Dirichlet, position: float, problem: Problem, labels: Tensor) -> Tensor:
        entry = labels[:, self.window.space]
        end = torch.full_like(entry, position)
        return boundary_values(problem, condition, torch.cat([end, entry] if self._axis else [entry, end], dim=1))

    # Set-up -----------------------------------------------------------------------------------------------------
    @torch.no_grad()
    def _set_scales(self) -> None:
        """Mean and spread of the speed with which characteristics start, and of what they carry."""
        problem, window = self.problem, self.window
        labels = self._probes(window)
        labels[:, self._axis] = window.low[self._axis]
        positions, states = window.jets(labels, self._indices)
        places = self._at(labels, positions)
        values = {name: jet.value for name, jet in zip(problem.unknowns, states, strict=True)}
        velocity = speed(problem, values, places)
        state = torch.stack(list(values.values()), dim=-1)
        low, high = (bound.to(velocity) for bound in problem.domain.bounds)
        extent = high - low
        pace = extent[list(problem.space_axes)] / extent[self._axis]
        for family in self._families().values():
            family.drift.copy_(velocity.mean(0))
            family.spread.copy_((velocity.amax(0) - velocity.amin(0)) / 2 + pace)
            family.rate.copy_((state.std(0) + 0.1) / extent[self._axis])

    def _set_trainable(self) -> None:
        for k, window in enumerate(self.windows):
            window.requires_grad_(k == int(self.current))
