"""Piecewise expansions: what the experts on a set of boxes say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.jets import MultiIndex
from sciml.solvers.experts.basis import Legendre, gauss
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.singular import Singular
from sciml.solvers.experts.terms import powers

CHUNK = 2**22  # entries of the table of basis functions at once


@dataclass(frozen=True)
class Expansion:
    """Fields that are polynomials on every box, and perhaps singular functions of the whole domain.

    Attributes:
        coefficients: of ``basis`` on ``boxes``, (n, U, M).
        singular, amplitudes: J functions and what there is of them in every unknown, (U, J).
        size: what tails are measured by (U,); the root mean square of every field over the boxes unless given.
    """

    boxes: Boxes
    basis: Legendre
    coefficients: Tensor
    size: Tensor = None  # type: ignore[assignment]
    singular: Singular = Singular(())  # noqa: RUF009 - a frozen dataclass of tuples
    amplitudes: Tensor = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.size is None:
            object.__setattr__(self, "size", self._size())

    def __call__(self, points: Tensor, indices: Sequence[MultiIndex]) -> Tensor:
        """Derivatives (U, S, N) at ``points`` (N, d), continued beyond the boxes."""
        indices = list(indices)
        chunks = points.split(max(1, CHUNK // (len(indices) * len(self.basis))))
        return torch.cat([self._at(part, indices) for part in chunks], dim=-1)

    def _at(self, points: Tensor, indices: list[MultiIndex]) -> Tensor:
        owner = self.boxes.owner(points)
        table = self.basis.jets(self.boxes.local(points, owner), indices) * powers(self.boxes.half, indices)[:, owner, None]
        smooth = torch.einsum("num,snm->usn", self.coefficients[owner], table)
        if not len(self.singular):
            return smooth
        return smooth + torch.einsum("uj,jsn->usn", self.amplitudes, self.singular.jets(points, indices))

    @property
    def smooth(self) -> Expansion:
        """The polynomials alone."""
        return Expansion(self.boxes, self.basis, self.coefficients, self.size)

    def values(self, points: Tensor) -> Tensor:
        """The fields (U, N) at ``points`` (N, d)."""
        return self(points, [(0,) * self.boxes.dimension])[:, 0]

    def _size(self) -> Tensor:
        volume = (2 * self.boxes.half).prod(1)
        return ((self.coefficients.square().sum(2) * volume[:, None]).sum(0) / volume.sum()).sqrt()

    @property
    def tails(self) -> Tensor:
        """What the highest modes hold of every field by direction, (n, U, d), over the size of the field."""
        return self.basis.tails(self.coefficients) / self.size.clamp(min=1e-300)[:, None]

    @property
    def tail(self) -> Tensor:
        """What the highest modes hold of every field in relative L2, (U,)."""
        volume = self.boxes.half.prod(1)
        return ((self.tails.square().sum(2) * volume[:, None]).sum(0) / volume.sum()).sqrt()


def project(function: Callable[[Tensor], Tensor], boxes: Boxes, basis: Legendre) -> Tensor:
    """Coefficients (n, U, M) of the best approximation of ``function``, points (N, d) -> (U, N), in mean square."""
    z, weights = gauss(basis.degree + 1, boxes.dimension, boxes.low)
    values = function(boxes.points(z).reshape(-1, boxes.dimension))
    table = basis.jets(z, [(0,) * boxes.dimension])[0] * weights[:, None]
    return torch.einsum("unq,qm->num", values.reshape(len(values), len(boxes), len(z)), table)
