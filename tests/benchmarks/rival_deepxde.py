"""DeepXDE's documented recipe for any declared problem: a tanh network, Adam and then L-BFGS, cut at a budget of seconds.

Layers, points and rates are those of its Burgers example (Lu et al., SIAM Review 63, 2021); single precision, its default.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml.geometry import Disk, Domain, Interval, Polygon, Rectangle
from sciml.geometry.combination import Combination
from sciml.jets import Field, Jet, MultiIndex, autograd
from sciml.problem import Condition, Initial, Observations, Periodic, Points, Problem

LAYERS = [20] * 3
DOMAIN, BOUNDARY, INITIAL = 2540, 80, 160
ADAM = 15_000  # iterations, or half of the seconds
CHUNK = 20  # iterations of L-BFGS between two looks at the clock
NEAR = 1e-5  # a point that far from a piece of the boundary is on it, in single precision


def run(problem: Problem, seconds: float, seed: int) -> dict[str, Any] | None:
    """The relative L2 errors and coefficients that it reaches; None for a geometry that it does not have."""
    os.environ.setdefault("DDE_BACKEND", "pytorch")
    import deepxde as dde

    from sciml.solution import Solution

    geometry = _geometry(dde, problem)
    if geometry is None:
        return None
    dde.config.set_random_seed(seed)
    began = time.monotonic()
    raw = {name: dde.Variable(float(p.to_raw(p.start))) for name, p in problem.parameters().items()}

    def bound() -> Problem:
        return problem.bind({name: p.from_raw(raw[name]) for name, p in problem.parameters().items()})

    def equations(x: Tensor, y: Tensor) -> list[Tensor]:
        return [r[:, None] for r in bound().residuals(_jets(dde, problem, x, y), x).values()]

    sizes: dict[str, int] = {"num_domain": DOMAIN, "num_boundary": BOUNDARY * (1 if problem.time else 4)}
    kind = dde.data.PDE
    if problem.time is not None:
        sizes["num_initial"], kind = INITIAL, dde.data.TimePDE
    conditions = [c for item in problem.named_conditions().items() for c in _conditions(dde, problem, geometry, bound, *item)]
    data = kind(geometry, equations, conditions, **sizes)
    model = dde.Model(data, dde.nn.FNN([len(problem.coordinates), *LAYERS, len(problem.unknowns)], "tanh", "Glorot normal"))
    trained = list(raw.values()) or None
    model.compile("adam", lr=1e-3, external_trainable_variables=trained)
    model.train(iterations=ADAM, display_every=10**9, verbose=0, callbacks=[_Cut(dde, began + seconds / 2)])
    dde.optimizers.set_LBFGS_options(maxiter=10**6)
    dde.optimizers.LBFGS_options |= {"iter_per_step": CHUNK, "fun_per_step": CHUNK * 5 // 4}
    model.compile("L-BFGS", external_trainable_variables=trained)
    model.train(display_every=10**9, verbose=0, callbacks=[_Cut(dde, began + seconds)])
    taken = time.monotonic() - began
    fitted = {name: float(p.from_raw(raw[name].detach())) for name, p in problem.parameters().items()}
    errors = Solution(problem, _Evaluator(problem, model.net, fitted)).relative_l2 or {}
    return {"errors": errors, "seconds": taken} | ({"parameters": fitted} if fitted else {})


def _Cut(dde: Any, deadline: float) -> Any:
    class Cut(dde.callbacks.Callback):
        def on_epoch_end(self) -> None:
            if time.monotonic() > deadline:
                self.model.stop_training = True

    return Cut()


class _Evaluator:
    name = "deepxde"

    def __init__(self, problem: Problem, network: torch.nn.Module, coefficients: Mapping[str, float]) -> None:
        values = {name: torch.tensor(value, dtype=torch.float64) for name, value in coefficients.items()}
        self.problem, self.network = problem.bind(values), network

    def fields(self, points: Tensor) -> dict[str, Tensor]:
        problem = self.problem
        found = autograd(lambda p: self.network(p.float()).to(p), points, problem.coordinates)
        jets = dict(zip(problem.unknowns, found, strict=True))
        fields = {name: jet.value for name, jet in jets.items()} | problem.derived_fields(jets, points)
        return {name: value.detach() for name, value in fields.items()}

    def configuration(self) -> dict[str, Any]:
        return {}


def _jets(dde: Any, problem: Problem, x: Tensor, y: Tensor, rows: slice = slice(None)) -> dict[str, Jet]:
    """The jets of the network's outputs, by DeepXDE's own derivatives, at some of its points."""

    def field(column: int) -> Jet:
        def partial(index: MultiIndex) -> Tensor:
            values = y[:, column : column + 1]
            for axis, order in enumerate(index):
                for _ in range(order):
                    values = dde.grad.jacobian(values, x, i=0, j=axis)
            return values[rows, 0]

        return Field(problem.coordinates, partial)

    return {unknown: field(column) for column, unknown in enumerate(problem.unknowns)}


def _geometry(dde: Any, problem: Problem) -> Any:
    space = _shape(dde, problem.domain.space)
    time_ = problem.domain.time
    if space is None or time_ is None:
        return space
    return dde.geometry.GeometryXTime(space, dde.geometry.TimeDomain(time_.low, time_.high))


def _shape(dde: Any, shape: Domain | None) -> Any:
    if isinstance(shape, Interval):
        return dde.geometry.Interval(shape.low, shape.high)
    if isinstance(shape, Rectangle):
        return dde.geometry.Rectangle(*(bound.tolist() for bound in shape.bounds))
    if isinstance(shape, Polygon):
        return _single(dde.geometry.Polygon)([list(vertex) for vertex in shape.vertices])
    if isinstance(shape, Disk):
        return dde.geometry.Disk(list(shape.centre), shape.radius)
    if isinstance(shape, Combination):
        left, right = _shape(dde, shape.left), _shape(dde, shape.right)
        kind = {"|": "CSGUnion", "&": "CSGIntersection", "-": "CSGDifference"}[shape.operation]
        return None if left is None or right is None else getattr(dde.geometry.csg, kind)(left, right)
    return None


def _single(kind: Any) -> Any:
    """A geometry whose points are in single precision, as those of the others are."""

    class Single(kind):
        def random_points(self, n: int, random: str = "pseudo") -> np.ndarray:
            return super().random_points(n, random).astype(np.float32)

        def random_boundary_points(self, n: int, random: str = "pseudo") -> np.ndarray:
            return super().random_boundary_points(n, random).astype(np.float32)

    return Single


def _conditions(
    dde: Any, problem: Problem, geometry: Any, bound: Callable[[], Problem], name: str, condition: Condition
) -> list[Any]:
    """A declared condition as DeepXDE's, one for every residual."""
    if isinstance(condition, Periodic):
        axis = problem.coordinates.index(condition.coordinate)
        ends = [float(bound_[axis]) for bound_ in problem.domain.bounds]
        return [
            dde.icbc.PeriodicBC(
                geometry, axis, lambda x, on: on and min(abs(x[axis] - end) for end in ends) < NEAR,
                derivative_order=order, component=component,
            )
            for component, unknown in enumerate(problem.unknowns)
            for order in range(min(2, max(1, problem.order(unknown, condition.coordinate))))
        ]  # fmt: skip
    if isinstance(condition, Observations):
        return [
            dde.icbc.PointSetBC(
                condition.points.numpy().astype(np.float32), values.numpy()[:, None].astype(np.float32),
                component=problem.unknowns.index(unknown),
            )
            for unknown, values in condition.values.items()
        ]  # fmt: skip
    initial, pieces = isinstance(condition, Initial), getattr(condition, "on", None)

    class Declared(dde.icbc.BC):
        def __init__(self, term: str) -> None:
            super().__init__(geometry, lambda x, on: on, 0)
            self.term = term

        def filter(self, points: np.ndarray) -> np.ndarray:
            if initial:
                return points[geometry.on_initial(points)]
            distance = problem.domain.boundary_distance(torch.as_tensor(points, dtype=torch.float64), on=pieces)
            return points[(distance < NEAR).numpy()]

        def error(self, points: Any, x: Tensor, y: Tensor, begin: int, end: int, aux_var: Any = None) -> Tensor:
            rows, there = slice(begin, end), x[begin:end]
            normals = None if initial else self.boundary_normal(points, begin, end, None)
            fields = _jets(dde, problem, x, y, rows)
            declared = bound().named_conditions()[name]
            return declared.residuals(problem, fields, Points(there, normals=normals))[self.term][:, None]

    return [Declared(term) for term in _terms(problem.start(), name)]


def _terms(problem: Problem, name: str) -> list[str]:
    condition = problem.named_conditions()[name]
    points = condition.sample(problem, 3, torch.Generator().manual_seed(0))
    fields = {u: Field(problem.coordinates, lambda _: torch.full((len(points),), math.pi)) for u in problem.unknowns}
    return list(condition.residuals(problem, fields, points))
