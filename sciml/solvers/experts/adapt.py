"""Which boxes to cut and which to join, from what their highest modes hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sciml.problem import Problem
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes, faces
from sciml.solvers.experts.expansion import Expansion, project
from sciml.solvers.experts.tiling import Tiling

FAR = 30.0  # times the tolerance: one cut will not be enough
WORST = 0.1  # a box is cut if its tail is at least this part of the largest: the others may only be polluted by it


@dataclass(frozen=True)
class Criterion:
    """Measures expansions, and cuts and joins boxes along ``axes``.

    The root mean square of the modes of the two highest degrees, the tail, estimates the error of an expansion on its
    box. A box may hold ``tolerance / sqrt(n v)``, v being its share of the volume and n the number of boxes: then the
    whole holds ``tolerance`` in relative L2, shared out evenly.

    Attributes:
        axes: coordinates along which boxes are cut, and whose volume counts.
        lags: power of the box's width by which the tail of every unknown counts: how many derivatives fewer the
            equations take of it than of the foremost one, as a pressure acts through its gradient; less the derivatives
            in the problem's derived fields, which are to be resolved as well.
        widths: half widths (d,) of the domain.
    """

    axes: tuple[int, ...]
    lags: tuple[int, ...]
    widths: Tensor
    tiling: Tiling

    @classmethod
    def of(cls, problem: Problem, axes: Sequence[int], tiling: Tiling) -> Criterion:
        low, high = problem.domain.bounds
        orders = [max(problem.order(u, problem.coordinates[axis]) for axis in axes) for u in problem.unknowns]
        derived = problem.derivatives["derived"].order if "derived" in problem.derivatives else 0
        return cls(tuple(axes), tuple(max(orders) - order - derived for order in orders), (high - low) / 2, tiling)

    def tails(self, expansion: Expansion, whole: Tensor | None = None) -> Tensor:
        """Tails by direction (n, d), to be compared with the tolerance.

        Args:
            whole: number and volume of all boxes, where ``expansion`` has only some of them.
        """
        half = expansion.boxes.half[:, list(self.axes)]
        volume = half.prod(1)
        number, total = (len(volume), volume.sum()) if whole is None else whole.unbind()
        relative = (half / self.widths.to(half)[list(self.axes)]).amax(1)
        influence = relative[:, None] ** torch.tensor(self.lags).to(half)
        held = (expansion.tails * (influence * self._visible(expansion))[:, :, None]).amax(1)
        return held * (number * volume / total).sqrt()[:, None]

    def _visible(self, expansion: Expansion) -> Tensor:
        """What of the highest modes of every box and field (n, U) is where that exists: one for boxes that are not cut.

        Elsewhere nothing determines them, and they may be large there.
        """
        visible = torch.ones_like(expansion.coefficients[..., 0])
        cut = self.tiling.cut(expansion.boxes)
        if cut.any():
            inside, z = self.tiling.present(expansion.boxes[cut])
            last = expansion.basis.highest
            table = expansion.basis.jets(z, [(0,) * expansion.basis.dimension])[0][:, last]
            square = torch.einsum("num,qm->nuq", expansion.coefficients[cut][..., last], table).square()
            within = (square * inside).sum(2) / inside.sum(2).clamp(min=1)
            visible[cut] = (within / square.mean(2).clamp(min=1e-300)).sqrt()
        return visible

    def cuts(self, tails: Tensor, tolerance: float) -> Tensor:
        """The axis along which to cut every box (n,), -1 for one that stays; ``tails`` from the method above."""
        worst, place = tails[:, list(self.axes)].max(1)
        axis = torch.tensor(self.axes, device=tails.device)[place]
        return torch.where(worst > max(tolerance, WORST * float(worst.max())), axis, -1)

    def refined(self, boxes: Boxes, tails: Tensor, tolerance: float) -> Boxes:
        """``boxes`` cut as ``cuts`` says, and along a second axis too where both tails are far too large."""
        first = self.cuts(tails, tolerance)
        rest = torch.where(torch.arange(boxes.dimension, device=first.device) == first[:, None], -1.0, tails)
        far = (rest.amax(1) > 0.5 * tails.amax(1)) & (rest.amax(1) > FAR * tolerance) & (first >= 0)
        second = torch.where(far, rest.argmax(1), -1)
        cut = first >= 0
        return boxes.bisected(first).bisected(torch.cat([second[~cut], second[cut], second[cut]]))

    def joined(self, expansion: Expansion, tolerance: float) -> Boxes:
        """Boxes where neighbours of equal size are one wherever a single expansion serves both within ``tolerance``."""
        boxes = expansion.boxes
        volumes = boxes.half[:, list(self.axes)].prod(1)
        whole = torch.stack([volumes.new_tensor(len(boxes)), volumes.sum()])
        for axis in self.axes:
            pairs = _twins(boxes, axis)
            both = Boxes(boxes.low[pairs[:, 0]], boxes.high[pairs[:, 1]])
            joint = Expansion(both, expansion.basis, project(expansion.values, both, expansion.basis), expansion.size)
            good = self.tails(joint, whole).amax(1) <= tolerance
            kept = torch.ones(len(boxes), dtype=torch.bool, device=good.device)
            kept[pairs[good].flatten()] = False
            boxes = Boxes(torch.cat([boxes.low[kept], both.low[good]]), torch.cat([boxes.high[kept], both.high[good]]))
        return boxes

    def fit(
        self, function: Callable[[Tensor], Tensor], boxes: Boxes, basis: Legendre, tolerance: float, limit: int = 12
    ) -> Boxes:
        """``boxes`` cut until they resolve ``function``, points (N, d) -> (U, N); at most ``limit`` times."""
        for _ in range(limit):
            axes = self.cuts(self.tails(Expansion(boxes, basis, project(function, boxes, basis))), tolerance)
            if not (axes >= 0).any():
                break
            boxes = boxes.bisected(axes)
        return boxes


def _twins(boxes: Boxes, axis: int) -> Tensor:
    """Disjoint pairs (k, 2) of boxes that share a whole side normal to ``axis`` and are equally wide along it."""
    found = faces(boxes, axis)
    a, b = boxes[found.below], boxes[found.above]
    tiny = 1e-9 * boxes.half.amin(0)
    others = [i for i in range(boxes.dimension) if i != axis]
    same = ((a.half - b.half).abs() < tiny).all(1) & ((a.low - b.low).abs() < tiny)[:, others].all(1)
    used: set[int] = set()
    pairs = []
    for pair in zip(found.below[same].tolist(), found.above[same].tolist(), strict=True):
        if not used.intersection(pair):
            used.update(pair)
            pairs.append(pair)
    return torch.tensor(pairs, dtype=torch.long, device=boxes.low.device).reshape(-1, 2)
