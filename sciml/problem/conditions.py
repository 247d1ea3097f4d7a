"""Conditions besides those on the boundary: initial, periodic, interface and integral ones, and observations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sciml.errors import InputError, nearest
from sciml.problem.condition import Condition, Fields, Value, check_unknowns, evaluate, normal_derivative
from sciml.problem.points import Points

if TYPE_CHECKING:
    from sciml.problem.problem import Problem


class Initial(Condition):
    """Values at the initial time, ``Initial(u=value, u_t=slope)``.

    A value is a number or a function of the spatial coordinates by name. ``u_t`` is the derivative in the time
    coordinate ``t``; a second order in time is ``u_tt``.
    """

    kind = "initial"

    def __init__(self, **values: Value) -> None:
        if not values:
            raise InputError("Initial needs at least one unknown, for example Initial(u=0.0)")
        self.values = values

    @property
    def name(self) -> str:
        return "_".join((self.kind, *self.values))

    def sample(self, problem: Problem, n: int, generator: torch.Generator, method: str = "uniform",
               device: torch.device | None = None, dtype: torch.dtype = torch.float64) -> Points:  # fmt: skip
        return Points(problem.domain.sample_initial(n, generator, method=method, device=device, dtype=dtype))

    def residuals(
        self, problem: Problem, fields: Fields, points: Points, images: Fields | None = None
    ) -> dict[str, Tensor]:
        residuals = {}
        for key, target in self.targets(problem, points.coordinates).items():
            unknown, order = self._target(key, problem)
            u = fields[unknown].d(*[name for name in (problem.time,) if name] * order)
            residuals[f"{self.kind}_{key}"] = u.value - target
        return residuals

    def targets(self, problem: Problem, points: Tensor) -> dict[str, Tensor | float]:
        """The declared values at ``points`` (N, d), each (N,) or a number."""
        places = points[:, list(problem.space_axes)]
        return {key: evaluate(value, problem.space, places, f"Initial({key}=...)") for key, value in self.values.items()}

    @staticmethod
    def _target(key: str, problem: Problem) -> tuple[str, int]:
        """The unknown and the order in time that a keyword such as ``u_t`` names."""
        if key in problem.unknowns:
            return key, 0
        unknown, _, suffix = key.rpartition("_")
        time = problem.time
        if unknown in problem.unknowns and time and suffix and suffix == time * (len(suffix) // len(time)):
            return unknown, len(suffix) // len(time)
        choices = [*problem.unknowns, *(f"{u}_{time}" for u in problem.unknowns)]
        raise InputError(f"Initial({key}=...): {key!r} is no unknown or time derivative; {nearest(key, choices)}")

    def check(self, problem: Problem) -> None:
        if problem.time is None:
            raise InputError("Initial needs a domain with a Time factor, for example Interval(...) * Time('t', 0, 1)")
        for key in self.values:
            self._target(key, problem)


class Periodic(Condition):
    """The solution repeats along one coordinate: values and derivatives agree at its two ends.

    Derivatives are matched up to one below the highest order that the equations take in that coordinate.
    """

    kind = "periodic"

    def __init__(self, coordinate: str) -> None:
        self.coordinate = coordinate

    @property
    def name(self) -> str:
        return f"{self.kind}_{self.coordinate}"

    def sample(self, problem: Problem, n: int, generator: torch.Generator, method: str = "uniform",
               device: torch.device | None = None, dtype: torch.dtype = torch.float64) -> Points:  # fmt: skip
        points = problem.domain.sample(n, generator, method=method, device=device, dtype=dtype)
        axis = problem.coordinates.index(self.coordinate)
        low, high = (bound[axis].item() for bound in problem.domain.bounds)
        ends = []
        for value in (low, high):
            end = points.clone()
            end[:, axis] = value
            ends.append(end)
        return Points(ends[0], images=ends[1])

    def residuals(
        self, problem: Problem, fields: Fields, points: Points, images: Fields | None = None
    ) -> dict[str, Tensor]:
        assert images is not None
        residuals = {}
        for unknown in problem.unknowns:
            for order in range(max(1, problem.order(unknown, self.coordinate))):
                along = (self.coordinate,) * order
                jump = fields[unknown].d(*along).value - images[unknown].d(*along).value
                suffix = "_" + self.coordinate * order if order else ""
                residuals[f"{self.name}_{unknown}{suffix}"] = jump
        return residuals

    def check(self, problem: Problem) -> None:
        if self.coordinate not in problem.coordinates or self.coordinate == problem.time:
            raise InputError(
                f"Periodic({self.coordinate!r}): not a spatial coordinate; {nearest(self.coordinate, problem.space)}"
            )


class Observations(Condition):
    """Measured values at given points, ``Observations(points, u=values)``.

    Args:
        points: shape (N, d), in the order of ``problem.coordinates``.
        values: one array (N,) for every unknown that was measured.

    Raises:
        InputError: shapes do not agree, or a number is not finite.
    """

    kind = "observations"

    def __init__(self, points: Any, **values: Any) -> None:
        self.points = _finite(points, "Observations(points=...)")
        if self.points.ndim != 2:
            raise InputError(f"Observations: points must have shape (N, d), got {tuple(self.points.shape)}")
        if not values:
            raise InputError("Observations needs the values of at least one unknown, for example u=values")
        self.values = {name: _finite(value, f"Observations({name}=...)") for name, value in values.items()}
        for name, value in self.values.items():
            if value.shape != self.points.shape[:1]:
                raise InputError(
                    f"Observations({name}=...) has shape {tuple(value.shape)}, expected ({len(self.points)},): "
                    "one number for every point"
                )

    @property
    def name(self) -> str:
        return "_".join((self.kind, *self.values))

    def sample(self, problem: Problem, n: int, generator: torch.Generator, method: str = "uniform",
               device: torch.device | None = None, dtype: torch.dtype = torch.float64) -> Points:  # fmt: skip
        total = len(self.points)
        if n < total:
            rows = torch.randperm(total, generator=generator, device=generator.device)[:n].to(device)
        else:
            rows = torch.arange(total, device=device)
        return Points(self.points.to(device=device, dtype=dtype)[rows], rows=rows)

    def residuals(
        self, problem: Problem, fields: Fields, points: Points, images: Fields | None = None
    ) -> dict[str, Tensor]:
        assert points.rows is not None
        return {
            f"{self.kind}_{unknown}": fields[unknown].value - value.to(points.coordinates)[points.rows]
            for unknown, value in self.values.items()
        }

    def check(self, problem: Problem) -> None:
        check_unknowns(self, self.values, problem)
        if self.points.shape[1] != len(problem.coordinates):
            raise InputError(
                f"Observations: points have {self.points.shape[1]} columns, the problem has "
                f"{len(problem.coordinates)} coordinates {problem.coordinates}"
            )
        outside = ~problem.domain.contains(self.points, tolerance=1e-6)
        if outside.any():
            row = int(outside.nonzero()[0])
            raise InputError(
                f"Observations: point {row}, {self.points[row].tolist()}, lies outside the domain "
                f"({int(outside.sum())} of {len(outside)} do); drop these points or enlarge the domain"
            )


class Integral(Condition):
    """The integral of an unknown over space is given, ``Integral(p=0.0)``; at every time when there is one.

    A value is a number or a function of the time by name.

    Gauss-Legendre quadrature on the bounding box of space, exact for smooth fields on boxes.
    """

    kind = "integral"
    _times = 4
    _least_nodes = 12  # an axis

    def __init__(self, **values: Value) -> None:
        if not values:
            raise InputError("Integral needs at least one unknown, for example Integral(p=0.0)")
        self.values = values

    @property
    def name(self) -> str:
        return "_".join((self.kind, *self.values))

    def sample(self, problem: Problem, n: int, generator: torch.Generator, method: str = "uniform",
               device: torch.device | None = None, dtype: torch.dtype = torch.float64) -> Points:  # fmt: skip
        times = self._times if problem.time else 1
        axes = list(problem.space_axes)
        low, high = problem.domain.bounds
        order = max(self._least_nodes, round((n / times) ** (1 / len(axes))))
        nodes, weights = (torch.as_tensor(a) for a in np.polynomial.legendre.leggauss(order))
        grid = torch.cartesian_prod(*(nodes,) * len(axes)).reshape(-1, len(axes))
        weight = torch.cartesian_prod(*(weights,) * len(axes)).reshape(-1, len(axes)).prod(1)
        half = (high - low)[axes] / 2
        points = torch.zeros(times, len(grid), len(problem.coordinates), dtype=torch.float64)
        points[:, :, axes] = low[axes] + half * (grid + 1)
        if problem.time:
            axis = problem.coordinates.index(problem.time)
            drawn = torch.rand(times, generator=generator, device=generator.device, dtype=torch.float64).cpu()
            points[:, :, axis] = (low[axis] + (high[axis] - low[axis]) * drawn)[:, None]
        points = points.reshape(-1, points.shape[-1])
        instants = torch.arange(times).repeat_interleave(len(grid))
        weight = (weight * half.prod()).repeat(times) * problem.domain.contains(points, tolerance=1e-12)
        return Points(points, weights=weight, rows=instants).to(device=device, dtype=dtype)

    def residuals(
        self, problem: Problem, fields: Fields, points: Points, images: Fields | None = None
    ) -> dict[str, Tensor]:
        assert points.weights is not None and points.rows is not None
        instants, zero = points.rows, points.weights.new_zeros(int(points.rows.max()) + 1)
        time = [name for name in (problem.time,) if name]
        times = zero.new_zeros(len(zero), len(time))
        times[instants] = points.coordinates[:, [problem.coordinates.index(name) for name in time]]
        return {
            f"{self.kind}_{unknown}": zero.index_add(0, instants, points.weights * fields[unknown].value)
            - evaluate(value, time, times, f"Integral({unknown}=...)")
            for unknown, value in self.values.items()
        }

    def check(self, problem: Problem) -> None:
        check_unknowns(self, self.values, problem)


class Interface(Condition):
    """Jump conditions between two unknowns, one on each side of a named internal boundary.

    ``left - right = jump`` and ``flux[0] d left/dn - flux[1] d right/dn = flux_jump``, n being the outward normal of
    ``shape``. Equations and other conditions need hold for an unknown on its own side alone, and solutions are NaN on the
    other one.

    Args:
        left: unknown inside ``shape``.
        right: unknown outside.
        shape: domain whose boundary is the interface (spatial coordinates).
        jump: difference of the values.
        flux: the two coefficients of the normal derivatives.
        flux_jump: difference of the fluxes.
    """

    kind = "interface"

    def __init__(self, left: str, right: str, shape: Any, *, jump: Value = 0.0,
                 flux: tuple[float, float] = (1.0, 1.0), flux_jump: Value = 0.0) -> None:  # fmt: skip
        self.left, self.right, self.shape = left, right, shape
        self.jump, self.flux, self.flux_jump = jump, flux, flux_jump

    @property
    def name(self) -> str:
        return f"{self.kind}_{self.left}_{self.right}"

    def sample(self, problem: Problem, n: int, generator: torch.Generator, method: str = "uniform",
               device: torch.device | None = None, dtype: torch.dtype = torch.float64) -> Points:  # fmt: skip
        surface = self.shape * problem.domain.time if problem.time else self.shape
        drawn = surface.sample_boundary(16 * n, generator, method=method, device=device, dtype=dtype)
        between = self.between(problem, drawn.points).nonzero()[:n, 0]
        return Points(drawn.points[between], normals=drawn.normals[between])

    def between(self, problem: Problem, points: Tensor) -> Tensor:
        """Which of ``points`` (N, d) on the boundary of ``shape`` are inside the domain, not on its boundary as well."""
        space = problem.domain.space
        assert space is not None
        low, high = space.bounds
        return space.signed_distance(points[:, list(problem.space_axes)]) < -1e-9 * float((high - low).max())

    def sides(self, problem: Problem, points: Tensor, tolerance: float = 0.0) -> dict[str, Tensor]:
        """Which of ``points`` (N, d) are on the side of either unknown, or within ``tolerance`` of it; each (N,)."""
        distance = self.shape.signed_distance(points[:, list(problem.space_axes)])
        return {self.left: distance <= tolerance, self.right: distance >= -tolerance}

    def residuals(
        self, problem: Problem, fields: Fields, points: Points, images: Fields | None = None
    ) -> dict[str, Tensor]:
        def at(value: Value, what: str) -> Tensor | float:
            return evaluate(value, problem.coordinates, points.coordinates, f"Interface({what}=...)")

        left, right = fields[self.left], fields[self.right]
        slopes = normal_derivative(problem, left, points), normal_derivative(problem, right, points)
        fluxes = self.flux[0] * slopes[0] - self.flux[1] * slopes[1]
        return {
            f"{self.name}_value": left.value - right.value - at(self.jump, "jump"),
            f"{self.name}_flux": fluxes - at(self.flux_jump, "flux_jump"),
        }

    def check(self, problem: Problem) -> None:
        check_unknowns(self, (self.left, self.right), problem)
        if self.shape.names != problem.space:
            raise InputError(f"Interface: shape has coordinates {self.shape.names}, space has {problem.space}")
        if not len(self.sample(problem, 64, torch.Generator().manual_seed(0))):
            raise InputError("Interface: no part of the boundary of its shape is inside the domain; move one of them")


def _finite(values: Any, what: str) -> Tensor:
    try:
        tensor = torch.as_tensor(values, dtype=torch.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} must be an array of numbers: {error}") from error
    if not torch.isfinite(tensor).all():
        raise InputError(f"{what} contains numbers that are not finite; drop these observations")
    return tensor
