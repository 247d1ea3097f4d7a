"""Conditions on the spatial boundary."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.jets import Jet, as_tensor
from sciml.jets.backends import coordinates as coordinate_jets
from sciml.problem.condition import (
    At,
    Condition,
    Fields,
    Value,
    check_unknowns,
    evaluate,
    normal_derivative,
    signature,
)
from sciml.problem.points import Points

if TYPE_CHECKING:
    from sciml.problem.problem import Problem


class _OnBoundary(Condition):
    """A condition on named pieces of the spatial boundary, ``on=None`` being the whole of it."""

    def __init__(self, on: str | Sequence[str] | None = None, **values: Any) -> None:
        if not values:
            raise InputError(f"{type(self).__name__} needs at least one unknown, for example {type(self).__name__}(u=0.0)")
        self.on = (on,) if isinstance(on, str) else None if on is None else tuple(on)
        self.values = values

    @property
    def name(self) -> str:
        return "_".join((self.kind, *self.values, *(self.on or ())))

    def sample(self, problem: Problem, n: int, generator: torch.Generator, method: str = "uniform",
               device: torch.device | None = None, dtype: torch.dtype = torch.float64) -> Points:  # fmt: skip
        drawn = problem.domain.sample_boundary(n, generator, on=self.on, method=method, device=device, dtype=dtype)
        return Points(drawn.points, normals=drawn.normals)

    def residuals(
        self, problem: Problem, fields: Fields, points: Points, images: Fields | None = None
    ) -> dict[str, Tensor]:
        suffix = "_".join(("", *(self.on or ())))
        residuals = {}
        for unknown, value in self.values.items():
            what = f"{type(self).__name__}({unknown}=...)"

            def at(v: Value, what: str = what) -> Tensor | float:
                return evaluate(v, problem.coordinates, points.coordinates, what)

            residuals[f"{self.kind}_{unknown}{suffix}"] = self._residual(problem, fields[unknown], value, points, at)
        return residuals

    @abstractmethod
    def _residual(self, problem: Problem, u: Jet, value: Any, points: Points, at: At) -> Tensor:
        """Residual of one unknown; ``at`` evaluates a declared value at the points."""

    def check(self, problem: Problem) -> None:
        check_unknowns(self, self.values, problem)
        self._check_pieces(problem)

    def _check_pieces(self, problem: Problem) -> None:
        try:
            problem.domain.boundary_measure(self.on)
        except InputError as error:
            raise InputError(f"{type(self).__name__}(on={self.on}): {error}") from None


class Dirichlet(_OnBoundary):
    """``u = value`` on the boundary.

    Args:
        on: a boundary piece or several, None for the whole spatial boundary.
        values: ``unknown=value``; a number or a function of the coordinates by name, returning (N,).
    """

    kind = "dirichlet"

    def _residual(self, problem: Problem, u: Jet, value: Any, points: Points, at: At) -> Tensor:
        return u.value - at(value)


class Neumann(_OnBoundary):
    """``du/dn = value`` with the outward normal n; arguments as ``Dirichlet``."""

    kind = "neumann"

    def _residual(self, problem: Problem, u: Jet, value: Any, points: Points, at: At) -> Tensor:
        return normal_derivative(problem, u, points) - at(value)


class Robin(_OnBoundary):
    """``a u + b du/dn = value``, given as ``u=(a, b, value)``; each a number or a function of the coordinates."""

    kind = "robin"

    def _residual(self, problem: Problem, u: Jet, value: Any, points: Points, at: At) -> Tensor:
        a, b, right = value
        return at(a) * u.value + at(b) * normal_derivative(problem, u, points) - at(right)

    def check(self, problem: Problem) -> None:
        super().check(problem)
        for unknown, value in self.values.items():
            if not isinstance(value, (tuple, list)) or len(value) != 3:
                raise InputError(f"Robin({unknown}={value!r}) must be a triple (a, b, value) of a u + b du/dn = value")


class Constraint(_OnBoundary):
    """Any pointwise relation on the boundary.

    Args:
        name: name of the term.
        function: takes unknowns and coordinates by name (and ``normal``, (N, d)) and returns the residual (N,).
        on: as in ``Dirichlet``.
    """

    kind = "constraint"

    def __init__(self, name: str, function: Callable[..., Any], on: str | Sequence[str] | None = None) -> None:
        super().__init__(on=on, **{name: function})
        self._function = function

    @property
    def name(self) -> str:
        (name,) = self.values
        return name

    def residuals(
        self, problem: Problem, fields: Fields, points: Points, images: Fields | None = None
    ) -> dict[str, Tensor]:
        known: dict[str, Any] = dict(fields)
        known |= zip(problem.coordinates, coordinate_jets(problem.coordinates, points.coordinates), strict=True)
        known["normal"] = points.normals
        wanted = signature(self._function, known, f"Constraint({self.name!r})")
        residual = self._function(**{name: known[name] for name in wanted})
        return {self.name: as_tensor(residual, points.coordinates[:, 0])}

    def _residual(self, problem: Problem, u: Jet, value: Any, points: Points, at: At) -> Tensor:
        raise AssertionError("a constraint evaluates its own function")

    def check(self, problem: Problem) -> None:
        self._check_pieces(problem)
