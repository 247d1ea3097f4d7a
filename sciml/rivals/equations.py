"""The discrete equations of a problem on a grid: residuals at the nodes and their sparse Jacobian."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
import torch

from sciml.errors import InputError
from sciml.geometry import Domain, Interval, Product
from sciml.jets import MultiIndexSet
from sciml.problem import INTERIOR, Condition, Constraint, Dirichlet, Initial, Neumann, Periodic, Points, Problem, Robin
from sciml.rivals.grid import Grid
from sciml.solvers.linearise import Residuals, equations_at, linearise, residuals_of

Boundary = Dirichlet | Neumann | Robin | Constraint
OnFace = Boundary | Initial


@dataclass(frozen=True)
class _Term:
    """Residuals at some of the nodes: their derivative matrices (n, N), and the residuals (n,) from the jets there."""

    matrices: list[sparse.csr_matrix]
    residuals: Residuals
    indices: MultiIndexSet


class Equations:
    """Equations at all nodes but those of faces where the conditions take their place, one condition for every unknown.

    Raises:
        InputError: the domain is no box, there are coefficients to fit, or a condition is not pointwise on a face.
    """

    def __init__(self, problem: Problem, cells: int) -> None:
        check(problem)
        self.problem = problem
        low, high = (tuple(bound.tolist()) for bound in problem.domain.bounds)
        conditions = problem.named_conditions()
        axes = (problem.coordinates.index(c.coordinate) for c in conditions.values() if isinstance(c, Periodic))
        self.grid = Grid(low, high, cells, frozenset(axes))
        replaced, terms = self._faces(conditions)
        points = self.grid.points[~replaced]
        self.terms = [self._term(~replaced, INTERIOR, equations_at(points)), *terms]

    def __call__(self, values: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray]:
        """Jacobian (R, U N) and residuals (R,) at ``values`` (U N,)."""
        problem, fields = self.problem, values.reshape(len(self.problem.unknowns), -1)
        blocks, right = [], []
        for term in self.terms:
            jets = torch.from_numpy(np.stack([[matrix @ field for matrix in term.matrices] for field in fields]))
            found = linearise(term.residuals, problem, jets, term.indices, raw=jets.new_zeros(0))
            for item in found.values():
                rows = [
                    sum(sparse.diags(slope) @ matrix for slope, matrix in zip(slopes, term.matrices, strict=True))
                    for slopes in item.slopes.numpy()
                ]
                blocks.append(sparse.hstack(rows, format="csr"))
                right.append(item.value.numpy())
        return sparse.vstack(blocks, format="csr"), np.concatenate(right)

    def _faces(self, conditions: Mapping[str, Condition]) -> tuple[np.ndarray, list[_Term]]:
        """At which nodes (N,) conditions take the place of the equations, and the terms of the conditions.

        A node on several faces belongs to the first that has conditions, the initial time before the others.
        """
        problem, grid = self.problem, self.grid
        taken, replaced = (np.zeros(len(grid.points), dtype=bool) for _ in range(2))
        time_axes = [] if problem.time is None else [problem.coordinates.index(problem.time)]
        faces = [(axis, 0) for axis in time_axes] + [(axis, end) for axis in problem.space_axes for end in (0, 1)]
        terms = []
        for axis, end in faces:
            held = {name: c for name, c in conditions.items() if isinstance(c, OnFace) and self._holds(c, axis, end)}
            nodes = grid.face(axis, end) & ~taken
            if not held or not nodes.any():
                continue
            taken |= nodes
            if sum(len(c.values) for c in held.values()) >= len(problem.unknowns):
                replaced |= nodes
            points = grid.points[nodes]
            normals = torch.zeros_like(points)
            normals[:, axis] = 2.0 * end - 1.0
            for name in held:
                terms.append(self._term(nodes, name, residuals_of(name, Points(points, normals=normals))))
        return replaced, terms

    def _holds(self, condition: Condition, axis: int, end: int) -> bool:
        """Whether ``condition`` holds on a face."""
        problem = self.problem
        if axis not in problem.space_axes:
            return isinstance(condition, Initial)
        if not isinstance(condition, Boundary) or axis in self.grid.periodic:
            return False
        low, high = problem.domain.bounds
        centre = (low + high) / 2
        centre[axis] = (low, high)[end][axis]
        distance = float(problem.domain.boundary_distance(centre[None], condition.on))
        return distance <= 1e-9 * float(high[axis] - low[axis])

    def _term(self, nodes: np.ndarray, key: str, residuals: Residuals) -> _Term:
        indices = self.problem.derivatives[key]
        return _Term([self.grid.derivative(index)[nodes] for index in indices], residuals, indices)


def check(problem: Problem) -> None:
    """Raise InputError for what finite differences on a grid cannot treat."""
    if problem.parameters():
        raise InputError(f"finite differences cannot fit the unknown coefficients {', '.join(problem.parameters())}")
    if not _is_box(problem.domain):
        raise InputError(f"finite differences need a box, not {problem.domain!r}")
    for name, condition in problem.named_conditions().items():
        if not isinstance(condition, OnFace | Periodic):
            raise InputError(f"finite differences cannot impose the condition {name!r}")


def _is_box(domain: Domain) -> bool:
    if isinstance(domain, Product):
        return all(_is_box(factor) for factor in domain.factors)
    return isinstance(domain, Interval)
