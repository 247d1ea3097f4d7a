"""Local polynomial bases on the reference box [-1, 1]^d."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from sciml.jets import MultiIndex


class Legendre:
    """Products of Legendre polynomials of total degree at most ``degree``, of mean square one on the box.

    The coefficients of an analytic function decay geometrically, so that the last ones tell how well, and in which
    direction how badly, it is resolved.

    Args:
        dimension: number of coordinates.
        degree: highest total degree.
    """

    def __init__(self, dimension: int, degree: int) -> None:
        self.dimension, self.degree = dimension, degree

    @cached_property
    def modes(self) -> Tensor:
        """Degree in every coordinate, (M, d), in the order of the coefficients."""
        degrees = itertools.product(range(self.degree + 1), repeat=self.dimension)
        return torch.tensor(sorted((m for m in degrees if sum(m) <= self.degree), key=lambda m: (sum(m), m)))

    def __len__(self) -> int:
        return math.comb(self.degree + self.dimension, self.dimension)

    @cached_property
    def highest(self) -> Tensor:
        """The modes of the two highest degrees, (M,) true or false."""
        return self.modes.sum(1) >= self.degree - 1

    def jets(self, z: Tensor, indices: Sequence[MultiIndex]) -> Tensor:
        """Derivatives ``indices`` with respect to z of every mode at ``z`` (N, d): shape (S, N, M)."""
        modes = self.modes.to(z.device)
        orders = [max(index[axis] for index in indices) for axis in range(self.dimension)]
        tables = [legendre(z[:, a], self.degree, orders[a]).index_select(2, modes[:, a]) for a in range(self.dimension)]
        return torch.stack([math.prod(tables[a][k] for a, k in enumerate(index)) for index in indices])  # type: ignore[misc]

    def tails(self, coefficients: Tensor) -> Tensor:
        """Root mean square of what the modes of the two highest degrees hold, by direction: (..., M) -> (..., d).

        A mode counts for the directions in the shares that they have in its degree.
        """
        modes = self.modes.to(coefficients)[self.highest]
        shares = modes / modes.sum(1, keepdim=True)
        return (coefficients[..., self.highest].square() @ shares).sqrt()


def legendre(z: Tensor, degree: int, order: int) -> Tensor:
    """Derivatives 0 ... ``order`` of the normalised polynomials 0 ... ``degree`` at z (N,): (order + 1, N, degree + 1).

    By (n + 1) P_n+1 = (2n + 1) z P_n - n P_n-1 and P'_n+1 = P'_n-1 + (2n + 1) P_n.
    """
    tables: list[list[Tensor]] = []
    for k in range(order + 1):
        row = [torch.ones_like(z) if k == 0 else torch.zeros_like(z)]
        for n in range(degree):
            before = row[n - 1] if n else torch.zeros_like(z)
            if k == 0:
                row.append(((2 * n + 1) * z * row[n] - n * before) / (n + 1))
            else:
                row.append(before + (2 * n + 1) * tables[k - 1][n])
        tables.append(row)
    norms = (2 * torch.arange(degree + 1, dtype=z.dtype, device=z.device) + 1).sqrt()
    return torch.stack([torch.stack(row, dim=-1) for row in tables]) * norms


@lru_cache(maxsize=64)
def _gauss(n: int, dimension: int) -> tuple[Tensor, Tensor]:
    nodes, weights = (torch.as_tensor(a) for a in np.polynomial.legendre.leggauss(n))
    grid = torch.tensor(list(itertools.product(range(n), repeat=dimension)), dtype=torch.long).reshape(n**dimension, dimension)
    return nodes[grid], (weights[grid] / 2).prod(1)


def gauss(n: int, dimension: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Tensor Gauss-Legendre points (n^d, d) of [-1, 1]^d and weights (n^d,) of sum one."""
    nodes, weights = _gauss(n, dimension)
    return nodes.to(like), weights.to(like)
