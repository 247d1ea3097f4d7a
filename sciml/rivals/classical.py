"""Second-order finite differences for any problem on a box, space and time at once.

Central differences, one-sided at the ends of an axis; Newton's method with a sparse direct solver finds the values at all
nodes together. In time this is the boundary value method of the midpoint rule (Brugnano & Trigiante, "Solving Differential
Problems by Multistep Initial and Boundary Value Methods", 1998). Where conditions and equations are not as many as the
values, as with derivatives of high order or several unknowns, their least squares are taken.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse
import torch
from scipy.interpolate import NdBSpline
from scipy.sparse.linalg import splu
from torch import Tensor

from sciml.errors import DivergenceError, InputError
from sciml.jets import Field, MultiIndex
from sciml.problem import Problem
from sciml.rivals.equations import Equations, check
from sciml.rivals.rival import Outcome, Rival
from sciml.solution import Solution
from sciml.solvers.linearise import is_linear

COARSEST = 16  # cells along every axis
GROWTH = {1: 2, 2: 8, 3: 64}  # in time, of elimination by nested dissection on a grid twice as fine
MOST = {1: 10**6, 2: 600_000, 3: 120_000}  # values at once, by the memory that elimination takes
ITERATIONS, HALVINGS, TOLERANCE = 20, 8, 1e-7
EXPECTED = 4  # iterations from the solution on the grid before


@dataclass(frozen=True)
class GridSolution:
    """The splines through the values at the nodes."""

    problem: Problem
    splines: Mapping[str, NdBSpline]
    name: str = "classical"

    def fields(self, points: Tensor) -> dict[str, Tensor]:
        def field(spline: NdBSpline) -> Field:
            def derivative(index: MultiIndex) -> Tensor:
                return torch.from_numpy(spline(points.numpy(), nu=index))

            return Field(self.problem.coordinates, derivative)

        jets = {name: field(spline) for name, spline in self.splines.items()}
        return {name: jet.value for name, jet in jets.items()} | self.problem.derived_fields(jets, points)

    def configuration(self) -> dict[str, Any]:
        return {}


def solve(problem: Problem, seconds: float, seed: int = 0) -> Outcome:
    """Solve on ever finer grids, until the next one would take longer than ``seconds``; ``seed`` changes nothing.

    Raises:
        InputError: the domain is no box of up to three dimensions, or a condition is not pointwise on its faces.
        DivergenceError: Newton's method converged on no grid.
    """
    began = time.perf_counter()
    check(problem)
    dimension = len(problem.coordinates)
    if dimension not in GROWTH:
        raise InputError(f"finite differences on a grid of {dimension} dimensions do not fit into memory")
    linear = is_linear(problem)
    cells, found = COARSEST, 0
    start: GridSolution | None = None
    solution: GridSolution | None = None
    while True:
        started = time.perf_counter()
        equations = Equations(problem, cells)
        deadline = began + seconds if found else math.inf
        values, converged, iterations = _newton(equations, _guess(equations, start, linear), linear, deadline)
        start = None  # what did not converge is no guess for the next grid
        if converged:
            splines = [equations.grid.spline(part) for part in values.reshape(len(problem.unknowns), -1)]
            start = GridSolution(problem, dict(zip(problem.unknowns, splines, strict=True)))
            found, solution = cells, start
        now = time.perf_counter()
        ahead = GROWTH[dimension] * (now - started) * (1 if linear else EXPECTED / iterations)
        if now - began + ahead > seconds or len(values) * 2**dimension > MOST[dimension]:
            break
        cells *= 2
    if solution is None:
        raise DivergenceError(f"Newton's method did not converge on grids of up to {cells} cells an axis")
    spent = time.perf_counter() - began
    return Outcome(Solution(problem, solution).relative_l2 or {}, spent, f"{found} cells an axis")


def _guess(equations: Equations, solution: GridSolution | None, linear: bool) -> np.ndarray:
    """The coarser solution at the nodes (U N,); without one zeros, or the initial values at all times."""
    problem, grid = equations.problem, equations.grid
    if solution is not None:
        return np.concatenate([spline(grid.points.numpy()) for spline in solution.splines.values()])
    zeros = np.zeros(len(problem.unknowns) * len(grid.points))
    if linear or problem.time is None:
        return zeros
    matrix, residual = equations(zeros)
    first = -_factorised(matrix)(residual)  # linear conditions hold after one step
    axis = 1 + problem.coordinates.index(problem.time)
    fields = first.reshape(len(problem.unknowns), *grid.shape)
    return np.broadcast_to(fields.take([0], axis), fields.shape).reshape(-1)


def _newton(equations: Equations, values: np.ndarray, linear: bool, deadline: float) -> tuple[np.ndarray, bool, int]:
    """Newton's or Gauss-Newton's method from ``values``; with the result, whether it converged and its iterations.

    A step is halved until the next one, by the same Jacobian, is shorter (Deuflhard's natural monotonicity test).
    """
    matrix, residual = equations(values)
    for iteration in range(1, ITERATIONS + 1):
        solver = _factorised(matrix)
        step = -solver(residual)
        if linear or np.linalg.norm(step) <= TOLERANCE * np.linalg.norm(values):
            return values + step, bool(np.isfinite(step).all()), iteration
        for length in 0.5 ** np.arange(HALVINGS):
            ahead = equations(values + length * step)
            if np.linalg.norm(solver(ahead[1])) <= (1 - length / 4) * np.linalg.norm(step):
                break
        else:
            break
        values, (matrix, residual) = values + length * step, ahead
        if time.perf_counter() > deadline:
            break
    return values, False, iteration


def _factorised(matrix: sparse.csr_matrix) -> Callable[[np.ndarray], np.ndarray]:
    """Solves for least squares, by elimination in the matrix itself where it is square and regular."""
    rows, columns = matrix.shape
    size = abs(matrix).max(axis=1).toarray()[:, 0]
    scale = 1 / np.where(size > 0, size, 1)  # an equation then weighs less the finer the grid, a condition does not
    matrix = sparse.csr_matrix(sparse.diags(scale) @ matrix)
    if rows == columns:
        try:
            factors = splu(matrix.tocsc())
            if np.isfinite(factors.solve(scale)).all():
                return lambda right: factors.solve(scale * right)
        except RuntimeError:  # exactly singular
            pass
    normal = (matrix.T @ matrix).tocsc()
    shift = 1e-13 * normal.diagonal().max()  # keeps what the equations leave open, such as a pressure's constant
    root = splu(
        normal + shift * sparse.identity(columns, format="csc"),
        permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True},
    )  # fmt: skip

    def solve(right: np.ndarray) -> np.ndarray:
        found = np.zeros(columns)
        for _ in range(3):  # refined, as the normal equations square the condition and the shift moves the solution
            found = found + root.solve(matrix.T @ (scale * right - matrix @ found))
        return found

    return solve


classical = Rival(solve, random=False)
