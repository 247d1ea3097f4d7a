"""Least-squares experts as a solver."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from sciml.errors import InputError
from sciml.jets import Jet, MultiIndexSet
from sciml.problem import INTERIOR, Integral, Points, Problem
from sciml.solvers.experts import levels
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.expansion import Expansion
from sciml.solvers.experts.journal import Journal
from sciml.solvers.experts.singular import singular
from sciml.solvers.linearise import fields_of
from sciml.solvers.solver import Batch, Solver


class Experts(Solver):
    """Polynomial expansions on boxes that tile the domain, found by least squares.

    ``solve`` finds everything: boxes, degree, time windows and coefficients. As every solver it then evaluates
    residuals at any points, differentiable in the coefficients ``weights`` (n, U, M).

    Args:
        problem: what to solve.
        boxes, degree: the shape of the expansion; one constant on the whole domain before ``solve``.

    Raises:
        InputError: an integral condition stands beside measurements in time, there is no space, or something that is
            declared requires a gradient.

    Attributes:
        choices: what ``solve`` chose.

    Source: on random features Dong & Li, Comput. Methods Appl. Mech. Engrg. 387 (2021), and Chen, Chi, E & Yang,
    J. Mach. Learn. 1 (2022); polynomials instead need no scale to be tuned, and say where they are not enough.
    """

    name = "experts"

    def __init__(self, problem: Problem, *, boxes: int = 1, degree: int = 0, device: torch.device | str | None = None) -> None:
        problem.validate()
        _check(problem)
        super().__init__(problem, {INTERIOR: 1024} | dict.fromkeys(problem.named_conditions(), 256))
        d, modes = len(problem.coordinates), len(Legendre(len(problem.coordinates), degree))
        low, high = (bound.to(device).repeat(boxes, 1) for bound in problem.domain.bounds)
        self.register_buffer("low", low)
        self.register_buffer("high", high)
        self.weights = nn.Parameter(low.new_zeros(boxes, len(problem.unknowns), modes))
        self._singular = singular(problem.domain)
        self.amplitudes = nn.Parameter(low.new_zeros(len(problem.unknowns), len(self._singular)))
        self._coefficients = problem.parameters()
        self.raw_coefficients = nn.ParameterDict(
            {name: nn.Parameter(p.to_raw(low.new_tensor(p.start))) for name, p in self._coefficients.items()}
        )
        self.degree, self.dimension = degree, d
        self.choices: dict[str, Any] = {}
        self._estimate: dict[str, float] | None = None
        self._name_terms()

    @property
    def expansion(self) -> Expansion:
        boxes, basis = Boxes(self.low, self.high), Legendre(self.dimension, self.degree)
        return Expansion(boxes, basis, self.weights, singular=self._singular, amplitudes=self.amplitudes)

    def solve(
        self, seconds: float = 60.0, target: float = 1e-12, report: levels.Report | None = None, most: float = math.inf,
        journal: Journal | None = None,
    ) -> str:  # fmt: skip
        """Solve to the relative error ``target``, for ``seconds`` or ``most`` iterations; returns why it ended.

        ``report`` is called after every pass. ``journal`` is where solves are kept, and where they are known from.
        """
        outcome = levels.solve(self.problem, seconds, target, self.device, report or (lambda *_: None), most, journal)
        found = outcome.last
        self.low, self.high = found.expansion.boxes.low, found.expansion.boxes.high
        self.weights = nn.Parameter(found.expansion.coefficients)
        self.amplitudes = nn.Parameter(found.expansion.amplitudes.to(self.weights))
        for raw, value in zip(self.raw_coefficients.values(), found.shared, strict=False):  # amplitudes come after them
            raw.data = value
        self.degree = found.expansion.basis.degree
        self._estimate = None if levels.measured(self.problem) else outcome.estimate or None
        self.choices = {
            "experts": len(self.low),
            "degree": self.degree,
            "unknowns": self.weights.numel(),
            "windows": found.windows,
            "rejected_windows": found.rejected,
            "tolerance": found.tolerance,
            "passes": outcome.passes,
            "iterations": found.iterations,
        }
        return outcome.stop_reason

    def jets(self, points: Tensor, indices: MultiIndexSet) -> dict[str, Jet]:
        """Jets of the unknowns at ``points`` (N, d), with the derivatives ``indices``."""
        return fields_of(self.expansion(points, list(indices)), self.problem.unknowns, self.problem.coordinates, indices)

    def residuals(self, batch: Batch) -> dict[str, Tensor]:
        problem, interior = self.problem.bind(self.coefficients()), batch[INTERIOR].coordinates
        residuals = problem.residuals(self.jets(interior, problem.derivatives[INTERIOR]), interior)
        for name, condition in self.conditions(problem).items():
            points, indices = batch[name], problem.derivatives[name]
            images = None if points.images is None else self.jets(points.images, indices)
            residuals |= condition.residuals(problem, self.jets(points.coordinates, indices), points, images)
        return residuals

    def fields(self, points: Tensor) -> dict[str, Tensor]:
        problem = self.problem.bind(self.coefficients())
        indices = problem.derivatives.get("derived", MultiIndexSet((), self.dimension))
        with torch.no_grad():
            jets = self.jets(points, indices)
            return {name: jet.value for name, jet in jets.items()} | problem.derived_fields(jets, points)

    def coefficients(self) -> dict[str, Tensor]:
        return {name: p.from_raw(self.raw_coefficients[name]) for name, p in self._coefficients.items()}

    def error_estimate(self) -> dict[str, float] | None:
        """Relative L2 error of every unknown as ``solve`` estimated it, without a reference.

        None before, for problems with measurements, whose noise it cannot know, and where the solution is not the only
        one or does not meet its conditions, see ``stop_reason``.
        """
        return self._estimate

    def configuration(self) -> dict[str, Any]:
        return {"boxes": len(self.low), "degree": self.degree}

    @classmethod
    def from_configuration(cls, problem: Problem, configuration: dict[str, Any]) -> Experts:
        """The solver without its coefficients."""
        return cls(problem, **configuration)

    def _name_terms(self) -> None:
        generator, problem = torch.Generator().manual_seed(0), self.problem
        if self._coefficients:
            problem = problem.bind({name: value.detach() for name, value in self.coefficients().items()})
        points = {INTERIOR: Points(problem.domain.sample(2, generator, device=self.device))}
        points |= {n: c.sample(problem, 2, generator).to(self.device) for n, c in self.conditions(problem).items()}
        self.term_points = {}
        for name, at in points.items():
            with torch.no_grad():
                fields = self.jets(at.coordinates, problem.derivatives[name])
            if name == INTERIOR:
                residuals = problem.residuals(fields, at.coordinates)
            else:
                residuals = problem.named_conditions()[name].residuals(problem, fields, at, fields)
            for term, residual in residuals.items():
                if residual.requires_grad:
                    raise InputError(
                        f"{term} depends on a tensor that requires a gradient, which experts do not pass on: "
                        "detach it, or declare it as a Parameter"
                    )
                self.term_points[term] = name
        self.term_kinds = {t: "equation" if key == INTERIOR else "condition" for t, key in self.term_points.items()}


def _check(problem: Problem) -> None:
    if not problem.space:
        raise InputError(f"experts need a coordinate of space, {type(problem).__name__} has time alone; use solver='pinn'")
    for name, condition in problem.named_conditions().items():
        if isinstance(condition, Integral) and problem.time is not None and levels.measured(problem):
            raise InputError(f"experts cannot impose {name!r} together with measurements in time; use solver='pinn'")
