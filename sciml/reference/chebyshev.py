"""Chebyshev collocation on an interval."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def chebyshev_nodes(n: int, low: float, high: float) -> Tensor:
    """The Chebyshev points of the second kind on [low, high], (n + 1,) in float64, increasing and with both ends."""
    angle = math.pi / (2 * n) * torch.arange(-n, n + 1, 2, dtype=torch.float64)
    return (low + high) / 2 + (high - low) / 2 * torch.sin(angle)  # the sine keeps them symmetric to the last digit


def differentiation_matrix(nodes: Tensor) -> Tensor:
    """The matrix (n + 1, n + 1) that differentiates the polynomial through values at Chebyshev ``nodes`` (n + 1,).

    The diagonal is minus the sum of the rest of a row, so constants are differentiated to zero exactly.
    Source: Baltensperger & Trummer, SIAM J. Sci. Comput. 24 (2003).
    """
    weights = _weights(len(nodes)).to(nodes)
    difference = nodes.unsqueeze(1) - nodes
    difference.fill_diagonal_(1)
    matrix = weights / weights.unsqueeze(1) / difference
    matrix.fill_diagonal_(0)
    return matrix - torch.diag(matrix.sum(1))


def interpolate(nodes: Tensor, values: Tensor, points: Tensor) -> Tensor:
    """The polynomial through ``values`` (..., n + 1) at Chebyshev ``nodes``, at ``points`` (m,): (..., m).

    Source: the barycentric formula, Berrut & Trefethen, SIAM Review 46 (2004).
    """
    difference = points.unsqueeze(1) - nodes
    hit = difference == 0
    terms = _weights(len(nodes)).to(nodes) / torch.where(hit, 1, difference)
    terms = torch.where(hit.any(1, keepdim=True), hit.to(terms), terms)
    return values @ (terms / terms.sum(1, keepdim=True)).T


def _weights(count: int) -> Tensor:
    """Barycentric weights of ``count`` Chebyshev points of the second kind, up to a common factor."""
    weights = torch.ones(count, dtype=torch.float64)
    weights[1::2] = -1
    weights[0] /= 2
    weights[-1] /= 2
    return weights
