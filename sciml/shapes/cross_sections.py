"""The signed distances of solids as a problem: the eikonal equation, observed on the planes of cross-sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml.errors import InputError, nearest
from sciml.geometry import Box
from sciml.geometry.facets import Segments
from sciml.jets import Jet
from sciml.problem import Condition, Points, Problem
from sciml.problem.condition import Fields
from sciml.shapes.loops import resample
from sciml.shapes.slices import Plane, Slices

MARGIN = 0.1  # of the box in which solids are looked for, in units of the diagonal of the contours' box
LEVELS = (1 / 16, 1 / 32, 1 / 64)  # widths of the levels, in units of half that diagonal
LEAST = 24  # points on a contour, however small
LEAST_SLOPE = 0.1  # of a distance in space, within a plane
ON = 1e-9  # points so near to a contour, in the same units, lie on it
TARGETS = ("distance", "indicator")


class OnPlanes(Condition):
    """What the planes say at some of their points: where the contours are, what is inside and what is outside.

    Args:
        levels: points (M_k, 3) of every level of sampling.
        distances: signed distance to the contours of every unknown within the plane, negative inside, (M,) for the
            points of all levels.
        widths: of every level; half the width of the band around the contours in which distances are asked for.
        target: "distance": in space a field lies at most as far from zero as the distance within the plane, which the
            surface may meet obliquely, and at least ``LEAST_SLOPE`` times as far; beyond the band only the latter, of its
            edge. "indicator": ``field / width`` is the logit of being outside, 1/2 on a contour (deviance residuals).
    """

    kind = "planes"

    def __init__(self, levels: Sequence[Tensor], distances: Mapping[str, Tensor], widths: Sequence[float], target: str) -> None:
        self.points, self.distances, self.target = torch.cat(list(levels)), dict(distances), target
        self.sizes = [len(points) for points in levels]
        self.widths = torch.cat([points.new_full((len(points),), w) for points, w in zip(levels, widths, strict=True)])

    @property
    def name(self) -> str:
        return self.kind

    def rows(self, n: int, generator: torch.Generator, level: int | None = None) -> Tensor:
        """Numbers (n,) of points of a level, or of any, drawn with replacement."""
        first, count = (0, len(self.points)) if level is None else (sum(self.sizes[:level]), self.sizes[level])
        return first + torch.randint(count, (n,), generator=generator, device=generator.device)

    def sample(self, problem: Problem, n: int, generator: torch.Generator, method: str = "uniform",
               device: torch.device | None = None, dtype: torch.dtype = torch.float64) -> Points:  # fmt: skip
        rows = self.rows(n, generator).to(device)
        return Points(self.points.to(device=device, dtype=dtype)[rows], rows=rows)

    def residuals(self, problem: Problem, fields: Fields, points: Points, images: Fields | None = None) -> dict[str, Tensor]:
        assert points.rows is not None
        width = self.widths.to(points.coordinates)[points.rows]
        return {
            f"{self.kind}_{unknown}": self.compare(fields[unknown].value / width, known.to(width)[points.rows] / width)
            for unknown, known in self.distances.items()
        }

    def compare(self, value: Tensor, distance: Tensor) -> Tensor:
        """Residuals of values beside known distances, both in units of the width."""
        return (_deviance if self.target == "indicator" else _beyond)(value, distance)


def _beyond(value: Tensor, distance: Tensor) -> Tensor:
    """How far a value lies from the interval that a distance within the plane leaves to a distance in space."""
    side, depth = torch.where(distance < 0, -1.0, 1.0).to(value), distance.abs()
    value = side * value
    return side * (value - value.clamp(LEAST_SLOPE * depth.clamp(max=1), depth.where(depth < 1, torch.inf)))


def _deviance(logit: Tensor, distance: Tensor) -> Tensor:
    """Its square is twice the cross-entropy of the indicator, less that of a perfect answer; near contours alike."""
    missed = (2 * torch.nn.functional.softplus(-logit * distance.sign()) + 1e-12).sqrt()
    return torch.where(distance == 0, logit / 2, missed)


class CrossSections(Problem):
    """Signed distances, one a label, of the solids whose cross-sections are ``slices``.

    Args:
        slices: planes with contours.
        samples: points on the planes at every level: a third on the contours, a third beside them within the level's
            width, the rest anywhere.
        levels: widths from coarse to fine, in units of half the diagonal of the contours' box.
        target: see ``OnPlanes``.
        seed: of the points.

    Raises:
        InputError: no contours, or an unknown target.
    """

    coordinates = ("x", "y", "z")

    def __init__(
        self, slices: Slices, samples: int = 30_000, levels: Sequence[float] = LEVELS, target: str = "distance", seed: int = 0
    ) -> None:
        if target not in TARGETS:
            raise InputError(f"there is no target {target!r}; {nearest(target, TARGETS)}")
        low, high = slices.bounds
        self.slices, self.samples, self.levels, self.target, self.seed = slices, samples, tuple(levels), target, seed
        self.scale = float(np.linalg.norm(high - low)) / 2
        margin = 2 * MARGIN * self.scale
        self._domain = Box(self.coordinates, (low - margin).tolist(), (high + margin).tolist())

    @property
    def unknowns(self) -> tuple[str, ...]:  # type: ignore[override]
        labels = self.slices.labels
        return ("distance",) if len(labels) == 1 else tuple(f"distance_{k}" for k in range(1, len(labels) + 1))

    @property
    def domain(self) -> Box:
        return self._domain

    def equations(self, *arguments: Jet) -> dict[str, Any]:
        fields = zip(self.unknowns, arguments, strict=False)  # followed by the coordinates
        return {f"eikonal_{name}": u.x * u.x + u.y * u.y + u.z * u.z - 1 for name, u in fields}

    def conditions(self) -> list[Condition]:
        return [self.planes]

    @cached_property
    def planes(self) -> OnPlanes:
        """What is known on the planes, at the points of all levels."""
        generator = torch.Generator().manual_seed(self.seed)
        loops = [contour.vertices for plane in self.slices.planes for contour in plane.contours]
        length = sum(float(np.linalg.norm(loop - np.roll(loop, 1, axis=0), axis=1).sum()) for loop in loops)
        widths = [width * self.scale for width in self.levels]
        levels, distances = [], []
        for width in widths:
            planes = [*self.slices.planes, *self.slices.ends]
            places = [self._places(plane, width, 3 * length / self.samples, generator) for plane in planes]
            found = [plane.frame.lift(place.numpy()) for plane, place in zip(planes, places, strict=True)]
            levels.append(torch.from_numpy(np.concatenate(found)))
            distances += [self._distances(plane, place) for plane, place in zip(planes, places, strict=True)]
        columns = torch.cat(distances).unbind(1)
        return OnPlanes(levels, dict(zip(self.unknowns, columns, strict=True)), widths, self.target)

    def _places(self, plane: Plane, width: float, step: float, generator: torch.Generator) -> Tensor:
        """In-plane coordinates (n, 2) of samples."""
        loops = [plane.frame.flatten(contour.vertices) for contour in plane.contours]
        on = torch.from_numpy(np.concatenate([np.empty((0, 2)), *(resample(loop, step, LEAST) for loop in loops)]))
        beside = on + width * torch.randn(on.shape, generator=generator, dtype=on.dtype)
        low, high = (bound.numpy() for bound in self.domain.bounds)
        corners = plane.frame.flatten(np.array(list(product(*zip(low, high, strict=True)))))
        first, last = torch.from_numpy(corners.min(0)), torch.from_numpy(corners.max(0))
        unit = torch.rand(self.samples // (3 * len(self.slices)) + 1, 2, generator=generator, dtype=on.dtype)
        places = torch.cat([on, beside, first + unit * (last - first)])
        return places[self.domain.contains(torch.from_numpy(plane.frame.lift(places.numpy())))]

    def _distances(self, plane: Plane, places: Tensor) -> Tensor:
        """Signed distances (n, labels) within the plane, infinite where there is no contour, zero on one."""
        columns = []
        for label in self.slices.labels:
            ends = plane.ends(label)
            segments = Segments(torch.from_numpy(ends))
            distance = segments.distance(places) if len(ends) else torch.full_like(places[:, 0], torch.inf)
            distance = torch.where(distance < ON * self.scale, 0.0, distance)
            columns.append(torch.where(segments.contains(places), -distance, distance) if len(ends) else distance)
        return torch.stack(columns, dim=1)
