"""Which boxes to cut and to merge, from what the highest modes hold.

The mean square of the two highest degrees' modes estimates the error of an expansion on its box. A box may hold
``tolerance / sqrt(n v)``, v being its share of the volume and n the number of boxes: then the whole holds ``tolerance``
in relative L2, shared out evenly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes, faces
from sciml.solvers.experts.expansion import Expansion, project


def excess(expansion: Expansion, axes: Sequence[int]) -> Tensor:
    """Tails by direction (n, d), weighted so that the tolerance is to be compared with each of them.

    Args:
        axes: coordinates whose volume counts: those of space.
    """
    widths = expansion.boxes.half[:, list(axes)]
    volume = widths.prod(1)
    share = volume / volume.sum()
    return expansion.tails * (len(share) * share).sqrt()[:, None]


def cuts(tails: Tensor, axes: Sequence[int], tolerance: float) -> Tensor:
    """Along which of ``axes`` to cut every box, -1 for those within ``tolerance``; ``tails`` as from ``excess``."""
    spatial = tails[:, list(axes)]
    worst, axis = spatial.max(1)
    chosen = torch.tensor(list(axes), device=tails.device)[axis]
    return torch.where(worst > tolerance, chosen, -1)


def merged(expansion: Expansion, axes: Sequence[int], tolerance: float) -> Boxes:
    """Boxes in which neighbours of equal size are joined wherever one expansion serves both within ``tolerance``."""
    boxes = expansion.boxes
    for axis in axes:
        pairs = _twins(boxes, axis)
        if not len(pairs):
            continue
        joined = Boxes(boxes.low[pairs[:, 0]], boxes.high[pairs[:, 1]])
        zero = (0,) * boxes.dimension
        candidate = Expansion(joined, expansion.basis, project(lambda p: expansion(p, [zero])[:, 0], joined, expansion.basis))
        size = expansion.size.clamp(min=1e-300)
        held = (expansion.basis.tails(candidate.coefficients) / size[:, None]).amax((1, 2))
        everything = boxes.half[:, list(axes)].prod(1).sum()
        share = joined.half[:, list(axes)].prod(1) / everything
        good = held * (len(boxes) * share).sqrt() <= tolerance
        gone = pairs[good].flatten()
        kept = torch.ones(len(boxes), dtype=torch.bool, device=gone.device)
        kept[gone] = False
        boxes = Boxes(torch.cat([boxes.low[kept], joined.low[good]]), torch.cat([boxes.high[kept], joined.high[good]]))
    return boxes


def _twins(boxes: Boxes, axis: int) -> Tensor:
    """Disjoint pairs (k, 2) of boxes that share a whole side normal to ``axis`` and are equally wide along it."""
    found = faces(boxes, axis)
    a, b = boxes[found.below], boxes[found.above]
    tiny = 1e-9 * boxes.half.amin()
    others = [i for i in range(boxes.dimension) if i != axis]
    same = ((a.half - b.half).abs() < tiny).all(1) & ((a.low - b.low)[:, others].abs() < tiny).all(1)
    used: set[int] = set()
    pairs = []
    for below, above in zip(found.below[same].tolist(), found.above[same].tolist(), strict=True):
        if below not in used and above not in used:
            used |= {below, above}
            pairs.append((below, above))
    return torch.tensor(pairs, dtype=torch.long, device=boxes.low.device).reshape(-1, 2)


def fit(
    function: Callable[[Tensor], Tensor], boxes: Boxes, basis: Legendre, axes: Sequence[int], tolerance: float, limit: int = 12
) -> Expansion:
    """The projection of ``function``, points (N, d) -> (U, N), on ``boxes`` cut until it is within ``tolerance``."""
    for _ in range(limit):
        expansion = Expansion(boxes, basis, project(function, boxes, basis))
        axes_to_cut = cuts(excess(expansion, axes), axes, tolerance)
        if not (axes_to_cut >= 0).any():
            break
        boxes = boxes.bisected(axes_to_cut)
    return Expansion(boxes, basis, project(function, boxes, basis))
