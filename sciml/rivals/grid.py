"""A uniform grid over a box: its nodes, faces, difference matrices and the splines through its values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
import scipy.sparse as sparse
import torch
from scipy.interpolate import NdBSpline, make_interp_spline
from torch import Tensor

from sciml.jets import MultiIndex
from sciml.jets.grid import difference_matrix

ACCURACY, DEGREE = 2, 3


@dataclass(frozen=True)
class Grid:
    """Nodes in the order of the last axis running fastest.

    Attributes:
        low, high: limits (d,) of the box.
        cells: cells along every axis.
        periodic: axes along which the last node is the first one again and is left out.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    cells: int
    periodic: frozenset[int] = frozenset()

    @property
    def dimension(self) -> int:
        return len(self.low)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.cells + (axis not in self.periodic) for axis in range(self.dimension))

    @cached_property
    def points(self) -> Tensor:
        """Nodes (N, d), float64."""
        mesh = np.meshgrid(*(self._ends(axis)[:size] for axis, size in enumerate(self.shape)), indexing="ij")
        return torch.from_numpy(np.stack([values.reshape(-1) for values in mesh], axis=-1))

    def face(self, axis: int, end: int) -> np.ndarray:
        """Which nodes (N,) lie on the first (``end`` 0) or the last (1) face across ``axis``."""
        return np.indices(self.shape)[axis].reshape(-1) == end * self.cells

    def derivative(self, index: MultiIndex) -> sparse.csr_matrix:
        """Matrix (N, N) of the partial derivative ``index``, of second order."""
        factors = [self._matrix(axis, order) for axis, order in enumerate(index)]
        return sparse.csr_matrix(reduce(lambda left, right: sparse.kron(left, right, format="csr"), factors))

    def spline(self, values: np.ndarray) -> NdBSpline:
        """The cubic tensor-product spline through ``values`` (N,); ``spline(points, nu=index)`` differentiates it."""
        coefficients = values.reshape(self.shape)
        knots = []
        for axis in range(self.dimension):
            if axis in self.periodic:
                coefficients = np.concatenate([coefficients, np.take(coefficients, [0], axis)], axis)
            line = make_interp_spline(self._ends(axis), coefficients, DEGREE, axis=axis)
            knots.append(line.t)
            coefficients = np.moveaxis(line.c, 0, axis)
        return NdBSpline(tuple(knots), np.ascontiguousarray(coefficients), DEGREE)

    def _ends(self, axis: int) -> np.ndarray:
        """Nodes along an axis, both ends included."""
        return np.linspace(self.low[axis], self.high[axis], self.cells + 1)

    def _matrix(self, axis: int, order: int) -> sparse.csr_matrix:
        size = self.shape[axis]
        if order == 0:
            return sparse.identity(size, format="csr")
        matrix = difference_matrix(size, order, ACCURACY)
        if axis in self.periodic:
            middle = size // 2
            matrix = np.stack([np.roll(matrix[middle], row - middle) for row in range(size)])
        spacing = (self.high[axis] - self.low[axis]) / self.cells
        return sparse.csr_matrix(matrix / spacing**order)
