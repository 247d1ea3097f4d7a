"""Collocation points of one term of a problem."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Points:
    """Where a term is evaluated.

    Attributes:
        coordinates: shape (N, d), in the order of ``problem.coordinates``.
        normals: outward unit normals (N, d), zero in time; only on a boundary.
        images: the partner points (N, d) of a periodic condition.
        weights: quadrature weights (N,) of an integral condition.
        rows: which observations the points are, or which instant of an integral condition they belong to, shape (N,).
    """

    coordinates: Tensor
    normals: Tensor | None = None
    images: Tensor | None = None
    weights: Tensor | None = None
    rows: Tensor | None = None

    def __len__(self) -> int:
        return len(self.coordinates)

    def _map(self, function: Any) -> Points:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        mapped: dict[str, Any] = {name: None if value is None else function(value) for name, value in values.items()}
        return Points(**mapped)

    def __getitem__(self, key: Any) -> Points:
        return self._map(lambda tensor: tensor[key])

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Points:
        return self._map(lambda t: t.to(device=device, dtype=dtype if t.is_floating_point() else None))

    def state_dict(self) -> dict[str, Tensor]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def concatenate(parts: list[Points]) -> Points:
    """One set of points after another; all must carry the same attributes."""
    states = [part.state_dict() for part in parts]
    return Points(**{name: torch.cat([state[name] for state in states]) for name in states[0]})
