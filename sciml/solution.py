"""The computed solution of a problem: call it, compare it, save it, plot it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from sciml import io
from sciml.errors import InputError
from sciml.norms import relative_l2
from sciml.registry import describe, name_of

if TYPE_CHECKING:
    import xarray as xr

    from sciml.problem import Problem

CHUNK = 2**15  # points evaluated at once: bounds the memory of a fine grid
COMPARED = 2**14  # points at which a solution is compared with an exact one


class Evaluator(Protocol):
    """What a solver offers to its solution. ``error_estimate``, ``coefficients`` and ``choices`` may be absent."""

    @property
    def name(self) -> str:
        """The name that the solver is registered by."""

    def fields(self, points: Tensor) -> Mapping[str, Tensor]:
        """Values (N,) of every unknown and derived field at points (N, d) of the solver's device and type."""

    def configuration(self) -> Mapping[str, Any]:
        """What ``from_configuration(problem, configuration)`` rebuilds the solver from, in TOML's types."""


class Solution:
    """The fields that a solver found for a problem.

    Args:
        problem: what was solved.
        solver: evaluates the fields. Optional methods: ``error_estimate() -> {field: float}``, relative L2 without a
            reference; ``coefficients() -> {name: tensor ()}``, the fitted coefficients of an inverse problem.
    """

    def __init__(self, problem: Problem, solver: Evaluator) -> None:
        self.problem = problem
        self.solver = solver

    def __repr__(self) -> str:
        return f"Solution({self.problem!r}, solver={self.solver.name!r})"

    def __call__(self, points: Any) -> dict[str, Any]:
        """Values (N,) of every field at ``points`` (N, d), columns in the order of ``problem.coordinates``.

        A tensor gives tensors of its type and device, an array gives arrays of its type.

        Raises:
            InputError: ``points`` of another shape, or outside the domain.
        """
        tensor = points if isinstance(points, Tensor) else _as_tensor(points)
        floating = tensor if tensor.is_floating_point() else tensor.to(torch.float64)
        names = self.problem.coordinates
        if tensor.ndim != 2 or tensor.shape[1] != len(names):
            shape = f"(N, {len(names)}) with columns {', '.join(names)}"
            raise InputError(f"points must have shape {shape}, got {tuple(tensor.shape)}")
        outside = ~self._inside(floating)
        if outside.any():
            place = ", ".join(f"{n}={v:.6g}" for n, v in zip(names, floating[outside][0].tolist(), strict=True))
            raise InputError(
                f"{int(outside.sum())} of {len(tensor)} points lie outside the domain, the first at {place}; "
                "problem.domain.contains(points) tells which are inside"
            )
        fields = self._evaluate(floating)
        return fields if isinstance(points, Tensor) else {name: value.numpy() for name, value in fields.items()}

    @cached_property
    def relative_l2(self) -> dict[str, float] | None:
        """Relative L2 error of every field that the exact or reference solution knows; None without either.

        Against an exact solution at quasi-random points, against a reference at its own grid points. Fields that
        ``problem.gauge`` names are compared up to a constant, one for each time.
        """
        known = self._known()
        if known is None:
            return None
        points, true, weights = known
        fields = {name: values.numpy() for name, values in self._evaluate(points).items()}
        instants = np.zeros(len(points), dtype=int)
        if self.problem.time is not None:
            times = points[:, self.problem.coordinates.index(self.problem.time)]
            instants = np.unique(times.numpy(), return_inverse=True)[1]
        return {
            name: relative_l2(fields[name], true[name], weights, instants if name in self.problem.gauge else None)
            for name in fields
            if name in true
        }

    @cached_property
    def reference(self) -> xr.Dataset:
        """The reference solution of the problem, computed once."""
        return self.problem.reference()  # type: ignore[attr-defined]

    @cached_property
    def error_estimate(self) -> dict[str, float] | None:
        """Relative L2 error of every field, estimated without a reference; None where the solver has no estimate."""
        estimate = getattr(self.solver, "error_estimate", None)
        result = estimate() if callable(estimate) else None
        return None if result is None else {name: float(value) for name, value in result.items()}

    @property
    def parameters(self) -> dict[str, float]:
        """The fitted coefficients of an inverse problem by name."""
        coefficients = getattr(self.solver, "coefficients", dict)
        return {name: float(value.detach()) for name, value in coefficients().items()}

    def to_xarray(self, n: int | Mapping[str, int] | None = None) -> xr.Dataset:
        """The fields on a regular grid over the domain, NaN outside of it.

        Args:
            n: points along every axis or by coordinate name, for example ``{"x": 256, "t": 100}``; by default 256
                in two dimensions, fewer in more.
        """
        axes = io.axes_of(self.problem.domain, n)
        return io.to_dataset(axes, self._evaluate_inside(io.grid_points(axes)), self._attributes())

    def exact_on(self, dataset: xr.Dataset) -> xr.Dataset | None:
        """The exact solution at the points of ``dataset``, NaN outside the domain; None where none is known."""
        if not _offers(self.problem, "exact"):
            return None
        points, dimensions, shape = io.dataset_points(dataset, self.problem.coordinates)
        exact = self._on_inside(points, self._exact)
        return dataset.drop_vars(dataset.data_vars).assign(
            {name: (dimensions, values.reshape(shape)) for name, values in exact.items()}
        )

    def plot(self, path: str | Path | None = None, n: int | Mapping[str, int] | None = None) -> Any:
        """A picture of every field, beside the exact or reference solution and the error where one is known.

        Returns the ``matplotlib.figure.Figure``; written to ``path`` when one is given, in the format of its suffix.
        """
        from sciml.viz import plot_fields

        figure = plot_fields(*self._pair(n), time=self.problem.time)
        if path is not None:
            io.writable_folder(Path(path).parent)
            try:
                figure.savefig(path)
            except ValueError as error:  # an unknown suffix
                raise InputError(f"{str(path)!r} cannot be written: {error}") from error
        return figure

    def save(self, folder: str | Path) -> Path:
        """Write ``config.toml`` and ``weights.safetensors``, for ``sciml.load``, ``solution.nc`` and ``solution.png``.

        Raises:
            InputError: the folder cannot be written to.
        """
        folder = io.writable_folder(folder)
        config = folder / "config.toml"
        known = io.read_toml(config) if config.exists() else {}
        solver = {"name": self.solver.name, "configuration": dict(self.solver.configuration())}
        solver = known.get("solver", {}) | solver
        io.write_toml(config, known | {"problem": describe(self.problem), "solver": solver})
        io.save_weights(self.solver, folder / "weights.safetensors")  # type: ignore[arg-type]
        io.save_dataset(self.to_xarray(), folder / "solution.nc")
        self.plot(folder / "solution.png")
        return folder

    def _pair(self, n: int | Mapping[str, int] | None) -> tuple[xr.Dataset, xr.Dataset | None]:
        """The computed fields and the reference on one grid: the reference's own when it has one."""
        if n is None and not _offers(self.problem, "exact") and _offers(self.problem, "reference"):
            reference = self.reference
            if set(reference.dims) == set(self.problem.coordinates):
                axes = {name: reference[name].values for name in self.problem.coordinates}
                computed = io.to_dataset(axes, self._evaluate_inside(io.grid_points(axes)), self._attributes())
                return self._aligned(computed, reference.transpose(*axes))
        computed = self.to_xarray(n)
        return self._aligned(computed, self.exact_on(computed))

    def _aligned(self, computed: xr.Dataset, reference: xr.Dataset | None) -> tuple[xr.Dataset, xr.Dataset | None]:
        """Move every field of the gauge by the constant that lies between it and its reference."""
        for name in self.problem.gauge:
            if reference is not None and name in reference:
                offset = (computed[name] - reference[name]).mean(self.problem.space)
                computed = computed.assign({name: computed[name] - offset})
        return computed, reference

    def _known(self) -> tuple[Tensor, dict[str, np.ndarray], np.ndarray] | None:
        """Points inside the domain (N, d), the exact or reference fields there, and quadrature weights, both (N,)."""
        if _offers(self.problem, "exact"):
            if self.problem.gauge and self.problem.time:  # a constant for each time needs many points at one time
                points = io.grid_points(io.axes_of(self.problem.domain))
                points = points[self._inside(points)]
            else:
                points = self.problem.domain.sample(COMPARED, torch.Generator().manual_seed(0), method="sobol")
            return points, self._exact(points), np.ones(len(points))
        if not _offers(self.problem, "reference"):
            return None
        points, dimensions, _ = io.dataset_points(self.reference, self.problem.coordinates)
        inside = self._inside(points).numpy()
        true = {
            str(name): values.transpose(*dimensions).values.reshape(-1)[inside]
            for name, values in self.reference.data_vars.items()
            if set(values.dims) == set(dimensions)
        }
        return points[inside], true, io.cell_sizes(self.reference, dimensions)[inside]

    def _attributes(self) -> dict[str, str]:
        return {"problem": name_of(type(self.problem)), "solver": self.solver.name}

    def _inside(self, points: Tensor) -> Tensor:
        low, high = self.problem.domain.bounds
        tolerance = 1e-6 * float((high - low).max())  # a boundary point in single precision is inside
        return self.problem.domain.contains(points, tolerance=tolerance)

    def _evaluate(self, points: Tensor) -> dict[str, Tensor]:
        device, dtype = io.place_of(self.solver)
        chunks = [self.solver.fields(part.to(device=device, dtype=dtype)) for part in points.split(CHUNK)]
        fields = {name: torch.cat([chunk[name].detach() for chunk in chunks]).to(points) for name in chunks[0]}
        return self._where_present(points, fields)

    def _where_present(self, points: Tensor, fields: dict[str, Tensor]) -> dict[str, Tensor]:
        """NaN where an interface separates a point from an unknown's side."""
        for name, present in zip(self.problem.unknowns, self.problem.present(points), strict=True):
            if name in fields:
                fields[name] = torch.where(present, fields[name], torch.nan)
        return fields

    def _evaluate_inside(self, points: Tensor) -> dict[str, np.ndarray]:
        return self._on_inside(points, lambda p: {name: value.numpy() for name, value in self._evaluate(p).items()})

    def _on_inside(self, points: Tensor, function: Any) -> dict[str, np.ndarray]:
        inside = self._inside(points)
        result = {}
        for name, values in function(points[inside]).items():
            result[name] = np.full(len(points), np.nan)
            result[name][inside.numpy()] = values
        return result

    def _exact(self, points: Tensor) -> dict[str, np.ndarray]:
        fields = {name: value.detach() for name, value in self.problem.exact_fields(points).items()}
        return {name: value.numpy() for name, value in self._where_present(points, fields).items()}


def _as_tensor(points: Any) -> Tensor:
    try:
        return torch.as_tensor(np.ascontiguousarray(points))
    except (TypeError, ValueError) as error:
        raise InputError(f"points must be an array of numbers (N, d): {error}") from error


def _offers(problem: Problem, name: str) -> bool:
    return callable(getattr(problem, name, None))
