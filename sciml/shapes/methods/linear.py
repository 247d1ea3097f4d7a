"""Linear interpolation between the signed distances on neighbouring parallel planes.

Source: G. T. Herman, J. Zheng, C. A. Bucholtz, Shape-based interpolation, IEEE Computer Graphics and Applications 12 (1992).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sciml.geometry.facets import Segments
from sciml.shapes.frame import Frame
from sciml.shapes.loops import fill
from sciml.shapes.slices import Slices

DEPTH_GRID = 32  # points a side, at which the depth of a cross-section is measured


def linear(slices: Slices) -> Callable[[Tensor], Tensor]:
    """A field (N, 3) -> (N, labels), negative inside, from parallel planes.

    On an empty plane, and one distance beyond the last one, the value is the largest depth inside the neighbour, so
    that a solid closes in a dome whose height is half the distance between the planes.
    """
    normal = slices.planes[0].normal
    frame = Frame.across(normal, np.mean(slices.bounds, axis=0))
    heights = slices.heights
    order = np.argsort(heights)
    columns = [_Stack([slices.planes[k].ends(label, frame) for k in order], heights[order]) for label in slices.labels]

    def field(points: Tensor) -> Tensor:
        place = (points - torch.from_numpy(frame.origin).to(points)) @ torch.from_numpy(frame.axes).to(points).T
        height = points @ torch.from_numpy(normal).to(points)
        return torch.stack([column(place, height) for column in columns], dim=1)

    return field


class _Stack:
    """The field of one label; its planes are extended by an empty one at either end."""

    def __init__(self, ends: list[np.ndarray], heights: np.ndarray) -> None:
        below, above = 2 * heights[0] - heights[1], 2 * heights[-1] - heights[-2]
        self.heights = torch.from_numpy(np.concatenate([[below], heights, [above]]))
        nothing = np.empty((0, 2, 2))
        self.segments = [Segments(torch.from_numpy(e)) for e in (nothing, *ends, nothing)]
        self.depths = [_depth(e) for e in (nothing, *ends, nothing)]

    def __call__(self, place: Tensor, height: Tensor) -> Tensor:
        heights = self.heights.to(height)
        lower = (torch.searchsorted(heights, height.contiguous(), right=True) - 1).clamp(0, len(heights) - 2)
        share = ((height - heights[lower]) / (heights[lower + 1] - heights[lower])).clamp(0, 1)
        result = torch.zeros_like(height)
        for k in range(len(heights) - 1):
            rows = (lower == k).nonzero()[:, 0]
            if len(rows):
                ends = self._on(k, k + 1, place[rows]), self._on(k + 1, k, place[rows])
                result[rows] = torch.lerp(*ends, share[rows])
        return result

    def _on(self, plane: int, other: int, place: Tensor) -> Tensor:
        """Values on ``plane`` for an interpolation towards ``other``."""
        segments = self.segments[plane]
        if not len(segments.ends):
            spacing = float((self.heights[plane] - self.heights[other]).abs())
            return torch.full_like(place[:, 0], self.depths[other] or spacing)
        distance = segments.distance(place)
        return torch.where(segments.contains(place), -distance, distance)


def _depth(ends: np.ndarray) -> float:
    """The largest distance from the outline inside it; zero where there is none."""
    if not len(ends):
        return 0.0
    low, high = ends.min((0, 1)), ends.max((0, 1))
    middle = (np.arange(DEPTH_GRID) + 0.5) / DEPTH_GRID
    x, y = (low[i] + (high[i] - low[i]) * middle for i in (0, 1))
    row, column = fill(ends, x, y).nonzero()
    places = torch.from_numpy(np.stack([x[column], y[row]], axis=1))
    # a sliver may lie between the points of the grid
    return float(Segments(torch.from_numpy(ends)).distance(places).max()) if len(places) else float((high - low).min()) / 2
