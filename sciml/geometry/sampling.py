"""Points drawn from the unit cube and placed on the patches of a domain.

Everything that is sampled, interior or boundary, is a list of patches: images of the unit cube under maps that keep
measure, thinned by a test where the image is larger than what is wanted. One draw from the cube, uniform or of low
discrepancy, serves all patches: its first coordinate chooses the patch and is then rescaled to be uniform again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sciml.errors import InputError, nearest

METHODS = ("uniform", "sobol", "latin_hypercube")
GIVE_UP = 2**20
"""Draws without a single hit after which a domain counts as empty."""
ROUND = 2**18
ESTIMATE = 2**17


class Placed(NamedTuple):
    """Points (N, d), their outward unit normals (N, d), zero inside, and which of them belong (N,)."""

    points: Tensor
    normals: Tensor
    kept: Tensor


def inside(points: Tensor) -> Placed:
    """Interior ``points``, all of which belong."""
    return Placed(points, torch.zeros_like(points), torch.ones_like(points[:, 0], dtype=torch.bool))


def on_surface(points: Tensor, normals: Tensor) -> Placed:
    """Boundary ``points``, all of which belong."""
    return Placed(points, normals, torch.ones_like(points[:, 0], dtype=torch.bool))


@dataclass(frozen=True)
class Patch:
    """Part of a domain or of its boundary.

    Attributes:
        measure: volume, area, length or number of points, before thinning.
        parameters: dimension of the unit cube that is mapped.
        place: maps (N, parameters) in the unit cube, uniform points to uniform points.
        thinned: whether ``place`` may drop points.
    """

    measure: float
    parameters: int
    place: Callable[[Tensor], Placed]
    thinned: bool = False


def thin(patch: Patch, test: Callable[[Tensor, Tensor], Tensor], orientation: int = 1) -> Patch:
    """The part of ``patch`` where ``test(points, normals)`` holds; ``orientation`` -1 turns the normals round."""

    def place(unit: Tensor) -> Placed:
        points, normals, kept = patch.place(unit)
        return Placed(points, normals * orientation, kept & test(points, normals))

    return Patch(patch.measure, patch.parameters, place, thinned=True)


def cross(patches: Sequence[Patch]) -> Patch:
    """The Cartesian product of ``patches``."""
    sizes = [patch.parameters for patch in patches]

    def place(unit: Tensor) -> Placed:
        placed = [patch.place(part) for patch, part in zip(patches, unit.split(sizes, dim=1), strict=True)]
        kept = placed[0].kept
        for other in placed[1:]:
            kept = kept & other.kept
        return Placed(torch.cat([p.points for p in placed], 1), torch.cat([p.normals for p in placed], 1), kept)

    return Patch(math.prod(p.measure for p in patches), sum(sizes), place, any(p.thinned for p in patches))


def stratify(unit: Tensor, measures: Tensor) -> tuple[Tensor, Tensor]:
    """Spread ``unit`` (N,) over strata: the stratum of each point and its place, uniform in [0, 1), within it."""
    ends = (measures / measures.sum()).cumsum(0)
    index = torch.searchsorted(ends, unit.contiguous(), right=True).clamp(max=len(ends) - 1)
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    within = (unit - starts[index]) / (ends - starts)[index]
    return index, within.clamp(0, 1 - 2**-53)


def draw(patches: Sequence[Patch], n: int, generator: torch.Generator, method: str, what: str) -> tuple[Tensor, Tensor]:
    """Exactly ``n`` points and normals, uniform by measure over ``patches``, in float64 on the generator's device.

    Raises:
        InputError: unknown ``method``; or nothing is left of ``what`` after thinning.
    """
    unit = _unit_points(method, max(1, *(patch.parameters for patch in patches)), generator)
    found: list[tuple[Tensor, Tensor]] = []
    hits = draws = 0
    size = n
    while hits < n:
        points, normals, kept = _place(patches, unit(size))
        if any(patch.thinned for patch in patches):
            points, normals = points[kept], normals[kept]
        found.append((points, normals))
        hits, draws = hits + len(points), draws + size
        if not hits and draws >= GIVE_UP:
            raise InputError(f"{what} is empty: none of {draws} points drawn lies in it")
        size = min(ROUND, math.ceil(1.1 * (n - hits) * draws / max(hits, 1)) + 16)
    return torch.cat([points for points, _ in found])[:n], torch.cat([normals for _, normals in found])[:n]


def total_measure(patches: Sequence[Patch]) -> float:
    """Measure of ``patches``: exact where nothing is thinned, otherwise by quasi-Monte Carlo to about 3 digits."""
    total = math.fsum(patch.measure for patch in patches)
    if not any(patch.thinned for patch in patches):
        return total
    unit = _unit_points("sobol", max(1, *(p.parameters for p in patches)), torch.Generator().manual_seed(0))
    return total * _place(patches, unit(ESTIMATE)).kept.double().mean().item()


def _place(patches: Sequence[Patch], unit: Tensor) -> Placed:
    """Place every row of ``unit`` on one of ``patches``, chosen in proportion to their measures."""
    if len(patches) == 1:
        return patches[0].place(unit[:, : patches[0].parameters])
    choice, first = stratify(unit[:, 0], unit.new_tensor([patch.measure for patch in patches]))
    unit = torch.cat([first[:, None], unit[:, 1:]], dim=1)
    rows = [(choice == i).nonzero()[:, 0] for i in range(len(patches))]
    parts = [patch.place(unit[row, : patch.parameters]) for patch, row in zip(patches, rows, strict=True)]
    order = torch.cat(rows)  # back to the order of the sequence: its first points are a good sample by themselves
    columns = (torch.cat(values) for values in zip(*parts, strict=True))
    return Placed(*(torch.empty_like(column).index_copy_(0, order, column) for column in columns))


def _unit_points(method: str, dimension: int, generator: torch.Generator) -> Callable[[int], Tensor]:
    """A function that returns the next n points (n, dimension) of a sequence in the unit cube."""
    device = generator.device

    def uniform(n: int) -> Tensor:
        return torch.rand(n, dimension, dtype=torch.float64, generator=generator, device=device)

    def latin_hypercube(n: int) -> Tensor:
        cells = [torch.randperm(n, generator=generator, device=device) for _ in range(dimension)]
        return (torch.stack(cells, dim=1) + uniform(n)) / n

    if method == "uniform":
        return uniform
    if method == "latin_hypercube":
        return latin_hypercube
    if method == "sobol":
        seed = int(torch.randint(2**31, (1,), generator=generator, device=device))
        engine = torch.quasirandom.SobolEngine(dimension, scramble=True, seed=seed)
        return lambda n: engine.draw(n, dtype=torch.float64).to(device)
    raise InputError(f"method={method!r} is no way to sample; {nearest(str(method), METHODS)}")
