"""A neural field between planar cross-sections (OReX; Sawdayee, Vaxman, Bermano, arXiv 2211.12886)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciml.jets import MultiIndexSet
from sciml.jets.backends import columns
from sciml.losses import Sampler
from sciml.nn import FeatureGrids, IteratedNetwork, LearnedFrequencies
from sciml.problem import Points
from sciml.shapes.cross_sections import CrossSections
from sciml.shapes.methods.rbf import rbf
from sciml.solvers.solver import Batch, Solver

BETWEEN = "between"
PAIRS = 2**13  # of neighbouring points between the planes
VALUE = MultiIndexSet((), 3)


class NeuralField(Solver):
    """Signed distances of solids as the estimate that an iterated network reaches.

    The first estimate is an interpolation by radial basis functions, so that the network learns only what that misses.
    Terms, all in units of the level's width or without one:

    - ``planes``: every estimate against what is known on the planes;
    - ``slope``: by how much the last one rises faster than a distance between neighbouring points near the surface;
    - ``correction``: the slope of what was added to the first estimate, which carries it over from plane to plane.

    Points of a batch are in the network's coordinates, in which the diagonal of the contours' box has length 2.

    Args:
        problem: the cross-sections.
        centres: of the radial basis functions of a label; 0 starts from nothing.
        refits: of these functions, see ``rbf``.
        points: on the planes in a batch; between them there are half as many pairs.
        slope, correction: weights of the terms; 0 leaves one out.
        frequencies: of a learnable encoding; 0 takes features on ``grids`` with so many cells a side.
        network: options of ``IteratedNetwork``.
        generator: draws the weights and the points between the planes.
    """

    name = "neural_field"
    problem: CrossSections
    first: Tensor
    places: Tensor
    pairs: Tensor
    pairs_first: Tensor

    def __init__(
        self,
        problem: CrossSections,
        *,
        centres: int = 12_000,
        refits: int = 2,
        points: int = 2048,
        slope: float = 1.0,
        correction: float = 1.0,
        frequencies: int = 0,
        grids: Sequence[int] = (8, 16, 32, 64),
        network: dict[str, Any] | None = None,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(problem, {"planes": points, BETWEEN: points // 2})
        self.slope, self.correction = slope, correction if centres else 0.0
        options: dict[str, Any] = {"steps": 2, "hidden": 8, "width": 32, "depth": 2, "scale": 0.1} | (network or {})
        self._configuration = {
            "centres": centres, "refits": refits, "points": points, "slope": slope, "correction": correction,
            "frequencies": frequencies, "grids": list(grids), "network": options,
        }  # fmt: skip
        generator = generator or torch.Generator().manual_seed(0)
        low, high = problem.domain.bounds
        self._centre = (low + high) / 2
        self._start = rbf(problem.slices, centres, refits) if centres else None
        encoding = LearnedFrequencies(3, frequencies) if frequencies else FeatureGrids(grids, generator=generator)
        self.network = IteratedNetwork(encoding, len(problem.unknowns), generator=generator, **options)
        self.register_buffer("places", self._inward(problem.planes.points), persistent=False)
        self.register_buffer("first", self._first(problem.planes.points), persistent=False)
        pairs = self._pairs(generator)
        self.register_buffer("pairs", self._inward(pairs), persistent=False)
        first = torch.stack([self._first(ends) for ends in pairs.unbind(1)], dim=1)
        self.register_buffer("pairs_first", first, persistent=False)
        self.to(device=device, dtype=dtype)
        terms = {f"planes_{unknown}": ("condition", "planes") for unknown in problem.unknowns}
        for term, weight in (("slope", slope), ("correction", self.correction)):
            terms |= {f"{term}_{unknown}": ("equation", BETWEEN) for unknown in problem.unknowns if weight}
        self.term_kinds = {term: kind for term, (kind, _) in terms.items()}
        self.term_points = {term: key for term, (_, key) in terms.items()}

    def sample(self, generator: torch.Generator, method: str = "uniform", scale: int = 1, level: int | None = None) -> Batch:
        """Draw a batch, of the points of one ``level`` unless it is None."""
        rows = self.problem.planes.rows(self.points["planes"], generator, level).to(self.device)
        other = torch.randint(len(self.pairs), (self.points[BETWEEN],), generator=generator, device=generator.device)
        other = other.to(self.device)
        ends = self.pairs[other]
        return {"planes": Points(self.places[rows], rows=rows), BETWEEN: Points(ends[:, 0], images=ends[:, 1], rows=other)}

    def residuals(self, batch: Batch) -> dict[str, Tensor]:
        planes, between = batch["planes"], batch[BETWEEN]
        assert between.images is not None
        first = torch.cat([self.first[planes.rows], *self.pairs_first[between.rows].unbind(1)])
        points = torch.cat([planes.coordinates, between.coordinates, between.images])
        estimates = self.network(points, first)
        sizes = [len(planes), len(between), len(between)]
        found = [self._on_planes(estimate[: len(planes)], planes) for estimate in estimates]
        residuals = {term: torch.cat([one[term] for one in found]) for term in found[0]}
        step = (between.images - between.coordinates).norm(dim=1, keepdim=True)
        terms = {
            "slope": (self.slope, estimates[-1], lambda slope: (slope.abs() - 1).clamp(min=0)),
            "correction": (self.correction, estimates[-1] - first, lambda slope: slope),
        }
        for term, (weight, values, function) in terms.items():
            if weight:
                _, one, other = values.split(sizes)
                slopes = weight**0.5 * function((other - one) / step)
                residuals |= {f"{term}_{u}": s for u, s in zip(self.problem.unknowns, slopes.unbind(1), strict=True)}
        return residuals

    def fields(self, points: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            estimates = self.network(self._inward(points).to(self.dtype), self._first(points).to(self.dtype))
        return self._named(estimates[-1].to(points))

    def configuration(self) -> dict[str, Any]:
        return self._configuration

    @classmethod
    def from_configuration(cls, problem: CrossSections, configuration: dict[str, Any]) -> NeuralField:
        """The untrained solver that ``configuration`` describes."""
        return cls(problem, **configuration)

    # ------------------------------------------------------------------------------------------------------------
    def _on_planes(self, estimate: Tensor, points: Points) -> dict[str, Tensor]:
        values = estimate * self.problem.scale
        fields = dict(zip(self.problem.unknowns, columns(values, self.problem.coordinates, VALUE), strict=True))
        return self.problem.planes.residuals(self.problem, fields, points)

    def _named(self, estimate: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.problem.unknowns, (estimate * self.problem.scale).unbind(1), strict=True))

    def _inward(self, points: Tensor) -> Tensor:
        """The network's coordinates of points (..., 3)."""
        return (points - self._centre.to(points)) / self.problem.scale

    @torch.no_grad()
    def _first(self, points: Tensor) -> Tensor:
        """The first estimate (N, unknowns) at points (N, 3) of the user's, in the network's units."""
        if self._start is None:
            return points.new_zeros(len(points), len(self.problem.unknowns))
        return self._start(points) / self.problem.scale

    def _pairs(self, generator: torch.Generator) -> Tensor:
        """Neighbouring points (PAIRS, 2, 3), one half near the contours and the other anywhere."""
        problem = self.problem
        width, (low, high) = problem.levels[-1] * problem.scale, problem.domain.bounds
        on = problem.planes.points[problem.planes.rows(PAIRS // 2, generator)]
        near = on + 4 * width * torch.randn(on.shape, generator=generator, dtype=on.dtype)
        anywhere = low + torch.rand(PAIRS // 2, 3, generator=generator, dtype=on.dtype) * (high - low)
        points = torch.cat([near, anywhere])
        direction = torch.randn(points.shape, generator=generator, dtype=on.dtype)
        return torch.stack([points, points + width * direction / direction.norm(dim=1, keepdim=True)], dim=1)


@dataclass(eq=False, kw_only=True)
class Level(Sampler):
    """Points of one of the levels of sampling, from coarse to fine."""

    level: int

    def draw(self, solver: Any, generator: torch.Generator) -> Batch:
        return solver.sample(generator, level=self.level)
