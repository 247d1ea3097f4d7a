"""How far a computed field is from a true one."""

from __future__ import annotations

import numpy as np


def relative_l2(
    computed: np.ndarray, true: np.ndarray, weights: np.ndarray | None = None, groups: np.ndarray | None = None
) -> float:
    """||computed - true|| / ||true|| over the points where ``true`` is finite; NaN where ``true`` vanishes.

    Args:
        computed, true: values (N,).
        weights: quadrature weights (N,); equal by default.
        groups: number (N,) of the group that a point belongs to, such as its time: both fields are then compared up to
            a constant in every group, their weighted mean there.
    """
    known = np.isfinite(true)
    weights = np.ones(len(true)) if weights is None else weights
    if groups is not None:
        computed, true = (values - _means(values, weights * known, groups) for values in (computed, true))
    norm, error = (np.sqrt(np.sum((weights * values**2)[known])) for values in (true, computed - true))
    return float(error / norm) if norm > 0 else float("nan")


def _means(values: np.ndarray, weights: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The weighted mean over each point's group; a point of no weight may hold NaN."""
    sums = np.bincount(groups, np.where(weights > 0, weights * values, 0))
    totals = np.bincount(groups, weights)
    return np.divide(sums, totals, out=np.zeros_like(sums), where=totals > 0)[groups]
