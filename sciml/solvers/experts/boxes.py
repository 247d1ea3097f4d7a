"""Axis-aligned boxes that tile a domain, and the faces that they share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Boxes:
    """``n`` boxes: corners ``low`` and ``high``, each (n, d)."""

    low: Tensor
    high: Tensor

    def __len__(self) -> int:
        return len(self.low)

    def __getitem__(self, rows: Tensor) -> Boxes:
        return Boxes(self.low[rows], self.high[rows])

    @property
    def dimension(self) -> int:
        return self.low.shape[1]

    @property
    def centre(self) -> Tensor:
        return (self.low + self.high) / 2

    @property
    def half(self) -> Tensor:
        """Half widths (n, d)."""
        return (self.high - self.low) / 2

    @property
    def weights(self) -> Tensor:
        """Root of every box's share of the volume, over that of a box of average size (n,)."""
        volume = self.half.prod(1)
        return (volume / volume.mean()).sqrt()

    def local(self, points: Tensor, owner: Tensor) -> Tensor:
        """``points`` (N, d) in the reference coordinates of their boxes ``owner`` (N,)."""
        return (points - self.centre[owner]) / self.half[owner]

    def points(self, z: Tensor) -> Tensor:
        """Reference points (Q, d) in every box: (n, Q, d)."""
        return self.centre[:, None] + self.half[:, None] * z

    def owner(self, points: Tensor) -> Tensor:
        """The box that holds each of ``points`` (N, d), the nearest one for points outside of all."""
        found = [self._owner(part) for part in points.split(max(1, 2**22 // max(1, self.low.numel())))]
        return torch.cat(found) if found else points.new_zeros(0, dtype=torch.long)

    def _owner(self, points: Tensor) -> Tensor:
        outside = torch.maximum(self.low - points[:, None], points[:, None] - self.high)
        return outside.amax(-1).clamp(min=0).argmin(1)

    def bisected(self, axes: Tensor) -> Boxes:
        """Each box cut in two along its entry of ``axes`` (n,), -1 for a box that stays whole."""
        cut = axes >= 0
        rows, along = cut.nonzero()[:, 0], axes[cut]
        middle = self.centre[rows, along]
        first, second = self.high[rows].clone(), self.low[rows].clone()
        index = torch.arange(len(rows), device=rows.device)
        first[index, along], second[index, along] = middle, middle
        return Boxes(torch.cat([self.low[~cut], self.low[rows], second]), torch.cat([self.high[~cut], first, self.high[rows]]))


@dataclass(frozen=True)
class Faces:
    """Pieces that two boxes share, all normal to ``axis``.

    Attributes:
        below, above: boxes (m,) at the piece's lower and upper side.
        low, high: corners (m, d) of the pieces, as seen from ``below``.
        shift: what a point of ``below`` adds along the axis to be in ``above``, (m,): a period, or zero.
    """

    axis: int
    below: Tensor
    above: Tensor
    low: Tensor
    high: Tensor
    shift: Tensor

    def __len__(self) -> int:
        return len(self.below)

    def sides(self) -> Iterable[tuple[Tensor, Tensor]]:
        """For both sides: the boxes (m,) and what is added to the piece's points there, (m, d)."""
        move = torch.zeros_like(self.low)
        yield self.below, move
        move = move.clone()
        move[:, self.axis] = self.shift
        yield self.above, move


def grid(breaks: list[Tensor]) -> Boxes:
    """The boxes between sorted ``breaks`` along every axis."""
    low = torch.cartesian_prod(*(b[:-1] for b in breaks)).reshape(-1, len(breaks))
    high = torch.cartesian_prod(*(b[1:] for b in breaks)).reshape(-1, len(breaks))
    return Boxes(low, high)


def faces(boxes: Boxes, axis: int, period: tuple[float, float] | None = None) -> Faces:
    """All shared pieces normal to ``axis``; with ``period`` = (low, high), across the ends of the domain too."""
    low, high = boxes.low, boxes.high
    tiny = 1e-9 * boxes.half.amin(0)
    overlap_low, overlap_high = torch.maximum(low[:, None], low), torch.minimum(high[:, None], high)
    beside = overlap_high - overlap_low > tiny
    beside[..., axis] = True
    touching = beside.all(-1)
    met = touching & ((high[:, None, axis] - low[None, :, axis]).abs() < tiny[axis])
    pairs = [met.nonzero()]
    if period is not None:
        wrapped = touching & ((high[:, axis] - period[1]).abs() < tiny[axis])[:, None]
        pairs.append((wrapped & ((low[:, axis] - period[0]).abs() < tiny[axis])).nonzero())
    below, above = torch.cat(pairs).unbind(1)
    shift = low.new_zeros(len(below))
    shift[len(pairs[0]) :] = 0.0 if period is None else period[0] - period[1]
    piece_low, piece_high = overlap_low[below, above], overlap_high[below, above]
    piece_low[:, axis] = piece_high[:, axis] = high[below, axis]
    return Faces(axis, below, above, piece_low, piece_high, shift)
