"""Lagrangian physics-informed networks: characteristics and what they carry, from the declaration of the problem alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from sciml.errors import InputError, SciMLError
from sciml.jets import Field, Jet, MultiIndexSet, autograd
from sciml.problem import INTERIOR, Dirichlet, Points, Problem
from sciml.solvers.characteristics import Characteristics
from sciml.solvers.inflow import boundary_values, check_conditions, entrances, initial_values, periods
from sciml.solvers.quasilinear import (
    along_characteristics,
    check_quasilinear,
    eulerian,
    label_derivatives,
    speed,
    volume_gradient,
)
from sciml.solvers.row_jacobian import row_jacobian
from sciml.solvers.solver import Batch, Solver

_PROBES = 4096  # labels at which the speed and J are looked at


class Lagrangian(Solver):
    """Two networks, X(xi, t) and W(xi, t): where the characteristic with label xi is, and what it carries.

    They solve X_t = speed and the rest of the equation along characteristics; the speed is read off the declared
    equation. Initial values, inflow values and periodicity hold exactly. With J = det dX/dxi, the space that a label
    takes, there are two forms of an equation with diffusion:

    - "corrected": derivatives of the second and higher orders are taken in physical coordinates by the chain rule. As
      characteristics of such an equation cluster exponentially in a shock, labels slip: X_t = speed + kappa grad J. They
      move from where they are dense, and only there, and the rest of the equation is that which they see at their own
      velocity, so that slipping changes the labels and not the solution. A shock keeps a width in the label that does not
      depend on its width in space.
    - "published": derivatives in the label, which is another equation wherever the speed varies in space.

    Args:
        problem: first order in time, linear in the first derivatives with one speed; periodic, or without diffusion,
            where ``Dirichlet`` conditions on an interval give what flows in.
        points: collocation points.
        slip: kappa over half the range of the initial speed times the period; 0 lets labels follow the speed strictly.
        shared: one network for both X and W.
        width, depth: of the networks.
        generator: draws their weights.

    Attributes:
        families: the characteristics that are there at first, then those that enter through each end; trained one after
            another, see ``advance``.

    Raises:
        InputError: a problem that has no characteristics of this kind, with the reason and a solver that fits.

    Source: Mojgani, Balajewicz & Hassanzadeh, Comput. Methods Appl. Mech. Engrg. 404 (2023), 2205.02902; there kappa = 0.
    """

    name = "lagrangian"
    current: Tensor
    kappa: Tensor

    def __init__(
        self,
        problem: Problem,
        *,
        points: int = 1000,
        form: Literal["corrected", "published"] = "corrected",
        slip: float = 0.07,
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
        if not 0 <= slip < float("inf"):
            raise InputError(f"slip={slip!r} must not be negative")
        check_quasilinear(problem)
        check_conditions(problem)
        ends = entrances(problem)
        super().__init__(problem, {INTERIOR: points})
        networks = {"shared": shared, "width": width, "depth": depth}
        self._configuration = {"points": points, "form": form, "slip": float(slip), **networks}
        self.form, self.slip = form, slip
        self._time = problem.time or ""  # check_quasilinear has made sure of it
        self._axis = problem.coordinates.index(self._time)
        order = max(sum(index) for index in problem.derivatives[INTERIOR])
        self._diffusive = order > 1
        self._indices = label_derivatives(problem, order if self._diffusive else 0)

        low, high = problem.domain.bounds
        common: dict[str, Any] = {"unknowns": len(problem.unknowns), "generator": generator, **networks}
        self.families = nn.ModuleList()
        initial = partial(self._declared, initial_values)
        self.families.append(Characteristics(problem.coordinates, self._axis, low, high, periods(problem), initial, **common))
        for position, (condition, normal) in ends.items():
            begin, end = low[self._axis].expand(2), high[self._axis].expand(2)
            start = partial(self._declared, partial(self._flowing_in, condition, position))
            more = {"entrance": position, "orientation": normal, **common}
            self.families.append(Characteristics(problem.coordinates, self._axis, begin, end, {}, start, **more))
        self.register_buffer("current", torch.zeros((), dtype=torch.int64))
        self.register_buffer("kappa", torch.zeros(len(problem.space)))
        self.to(device=device, dtype=dtype)
        self._set_scales()
        self._set_trainable()
        batch = self.sample(torch.Generator().manual_seed(0))
        self.term_points = dict.fromkeys(self._terms(batch[INTERIOR].coordinates[:2]), INTERIOR)
        self.term_kinds = dict.fromkeys(self.term_points, "equation")
        self.register_load_state_dict_post_hook(lambda *_: self._set_trainable())

    # Training ---------------------------------------------------------------------------------------------------
    @property
    def family(self) -> Characteristics:
        """The characteristics that are being trained."""
        return cast(Characteristics, self.families[int(self.current)])

    def advance(self) -> bool:
        """Go on with the next family of characteristics, on which the others do not depend; False after the last one."""
        if int(self.current) + 1 == len(self.families):
            return False
        self.current += 1
        self._set_trainable()
        return True

    def sample(self, generator: torch.Generator, method: str = "uniform", scale: int = 1) -> Batch:
        labels = self.family.sample(self.problem.domain, scale * self.points[INTERIOR], generator, method)
        return {INTERIOR: Points(labels.to(self.device, self.dtype))}

    def residuals(self, batch: Batch) -> dict[str, Tensor]:
        return self._terms(batch[INTERIOR].coordinates)

    def row_jacobian(self, batch: Batch, parameters: Sequence[Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Residuals (N,) by term and their Jacobians (N, P) with respect to the flattened ``parameters``."""
        labels = batch[INTERIOR].coordinates
        return row_jacobian(partial(self._terms, labels, expand=True), parameters, len(labels))

    def _terms(self, labels: Tensor, expand: bool = False) -> dict[str, Tensor]:
        problem, time = self.problem, self._time
        positions, states = self.family.jets(labels, self._indices, expand)
        places = self._at(labels, positions)
        unknowns = dict(zip(problem.unknowns, states, strict=True))
        velocity = speed(problem, {name: jet.value for name, jet in unknowns.items()}, places)
        rates = {name: jet.d(time).value for name, jet in unknowns.items()}
        moving = torch.stack([position.d(time).value for position in positions], dim=-1)
        wanted = velocity
        if self._diffusive and self.form == "corrected":
            unknowns = {name: eulerian(positions, jet, problem.space, time) for name, jet in unknowns.items()}
            if self.slip:
                wanted = velocity + self.kappa * volume_gradient(positions, problem.space, time)
                for name, jet in unknowns.items():
                    gradient = torch.stack([jet.d(x).value for x in problem.space], dim=-1)
                    rates[name] = rates[name] - ((moving - velocity) * gradient).sum(-1)
        deviation = (moving - wanted).unbind(-1)
        characteristics = {f"characteristic_{x}": d for x, d in zip(problem.space, deviation, strict=True)}
        return characteristics | along_characteristics(problem, unknowns, rates, places)

    def _at(self, labels: Tensor, positions: list[Jet]) -> Tensor:
        """Positions and times (N, d)."""
        columns = list(labels.unbind(-1))
        for axis, position in zip(self.problem.space_axes, positions, strict=True):
            columns[axis] = position.value
        return torch.stack(columns, dim=-1)

    # Evaluation -------------------------------------------------------------------------------------------------
    def fields(self, points: Tensor) -> dict[str, Tensor]:
        problem = self.problem
        indices = problem.derivatives.get("derived", MultiIndexSet((), len(problem.coordinates)))
        jets = self.jets(points, indices)
        values = {name: jet.value for name, jet in jets.items()} | problem.derived_fields(jets, points)
        return {name: value.detach() for name, value in values.items()}

    def jets(self, points: Tensor, indices: MultiIndexSet) -> dict[str, Jet]:
        """Jets of the unknowns in physical coordinates at ``points`` (N, d), with ``indices``, without a graph."""
        problem = self.problem
        order = max(sum(index) for index in indices)
        needed = self._indices | label_derivatives(problem, max(1, order)) if order else self._indices
        parts = [(rows, family.eulerian_jets(points[rows], needed)) for family, rows in self._split(points)]

        def joined(k: int, index: tuple[int, ...]) -> Tensor:
            values = torch.empty_like(points[:, 0])
            for rows, jets in parts:
                values[rows] = jets[k].partial(index)
            return values

        return {name: Field(problem.coordinates, partial(joined, k)) for k, name in enumerate(problem.unknowns)}

    def labels(self, points: Tensor) -> Tensor:
        """Labels (N, space) of the characteristics through ``points`` (N, d): where, or through an end when, they began."""
        labels = points.new_empty(len(points), len(self.problem.space))
        for family, rows in self._split(points):
            labels[rows] = family.labels(points[rows])[:, family.space]
        return labels

    @torch.no_grad()
    def least_jacobian(self) -> tuple[float, float]:
        """The least J = det dX/dxi over its mean, in all families, and the time at which it is found.

        One says that characteristics are parallel; below zero they cross, and the solution is wrong.
        """
        found = []
        for module in self.families:
            family = cast(Characteristics, module)
            labels = self._probes(family)
            j = family.orientation * torch.linalg.det(family.motion(labels)[1])
            found.append((float(j.min() / j.mean().abs()), float(labels[j.argmin(), self._axis])))
        return min(found)

    def error_estimate(self) -> dict[str, float] | None:
        """Relative L2 error of every unknown, from the linearised equation for the error.

        None in more than two dimensions, and where the equation for the error could not be solved.
        """
        from sciml.solvers.experts.error import estimate_error

        if len(self.problem.coordinates) > 2:
            return None
        try:
            return estimate_error(self.problem, copy.deepcopy(self).to(torch.float64), device=self.device)
        except SciMLError:
            return None

    @property
    def choices(self) -> dict[str, Any]:
        """For the record of a run: how close labels came to each other."""
        return {"least_jacobian": self.least_jacobian()[0]}

    def configuration(self) -> dict[str, Any]:
        return self._configuration

    @classmethod
    def from_configuration(cls, problem: Problem, configuration: dict[str, Any]) -> Lagrangian:
        """The untrained solver that ``configuration`` describes."""
        return cls(problem, **configuration)

    def _split(self, points: Tensor) -> list[tuple[Characteristics, Tensor]]:
        """The families, each with which (N,) of the points lie on one of its characteristics."""
        initial, *entering = (cast(Characteristics, family) for family in self.families)
        parts, inside = [], torch.ones_like(points[:, 0], dtype=torch.bool)
        for family in entering:
            # Beyond the characteristic that started at the end itself are those that have entered since.
            corner = points.clone()
            corner[:, initial.space] = cast(float, family.entrance)
            distance = points[:, initial.space] - initial.motion(corner)[0].detach()
            entered = family.orientation * distance[:, 0] > 0
            parts.append((family, entered))
            inside &= ~entered
        return [part for part in [(initial, inside), *parts] if part[1].any()]

    def _probes(self, family: Characteristics) -> Tensor:
        labels = family.sample(self.problem.domain, _PROBES, torch.Generator().manual_seed(0), "sobol")
        return labels.to(self.device, self.dtype)

    # What characteristics start with ----------------------------------------------------------------------------
    def _declared(self, values: Callable[[Problem, Tensor], Tensor], labels: Tensor, indices: MultiIndexSet) -> list[Jet]:
        return autograd(lambda points: values(self.problem, points), labels, self.problem.coordinates)

    def _flowing_in(self, condition: Dirichlet, position: float, problem: Problem, labels: Tensor) -> Tensor:
        entry = labels[:, list(problem.space_axes)]
        end = torch.full_like(entry, position)
        return boundary_values(problem, condition, torch.cat([end, entry] if self._axis else [entry, end], dim=1))

    # Set-up -----------------------------------------------------------------------------------------------------
    @torch.no_grad()
    def _set_scales(self) -> None:
        """Mean and spread of the speed with which characteristics start, and of what they carry."""
        problem = self.problem
        low, high = (bound.to(self.device, self.dtype) for bound in problem.domain.bounds)
        extent, duration = (high - low)[list(problem.space_axes)], (high - low)[self._axis]
        for module in self.families:
            family = cast(Characteristics, module)
            labels = self._probes(family)
            start = low[self._axis] if family.entrance is None else labels[:, family.space[0]]
            labels[:, self._axis] = start
            positions, states = family.jets(labels, self._indices)
            values = dict(zip(problem.unknowns, (jet.value for jet in states), strict=True))
            velocity = speed(problem, values, self._at(labels, positions))
            half_range = (velocity.amax(0) - velocity.amin(0)) / 2
            family.drift.copy_(velocity.mean(0))
            family.spread.copy_(half_range + extent / duration)
            family.rate.copy_((torch.stack(list(values.values())).std(1) + 0.1) / duration)
            if family.entrance is None:
                self.kappa.copy_(self.slip * half_range * extent)

    def _set_trainable(self) -> None:
        for k, family in enumerate(self.families):
            family.requires_grad_(k == int(self.current))
