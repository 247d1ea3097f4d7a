"""Least squares over experts: processor seconds from 4 to 256 of them, and polynomials beside random sines.

    python -m tests.benchmarks.expert_scaling [--quick] [--seeds N]

The first table keeps the features of an expert fixed and doubles the number of experts. The second one gives both bases the
same boxes, rows and number of features; sines draw theirs at random, with the best of several scales, chosen by the true
error, which a user could not do.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sciml.jets import MultiIndex
from sciml.solvers.experts.basis import Legendre
from tests.benchmarks.common import RESULTS, load, markdown, median_and_worst, parser, save

NAME = "expert_scaling"
GRIDS = ((2, 2), (4, 2), (4, 4), (8, 4), (8, 8), (16, 8), (16, 16))
DEGREE = 10  # 66 features
REPEATS = 9
SCALES = (1.5, 2.0, 3.0, 4.0, 6.0)
Case = tuple[str, dict[str, Any], tuple[int, int]]  # problem, settings, boxes along each axis
COMPARED: tuple[Case, ...] = (
    ("helmholtz", {}, (2, 4)),
    ("helmholtz", {"a1": 6, "a2": 6}, (4, 4)),
    ("wave", {}, (2, 4)),
)
DEGREES = (8, 12, 16)


class Sines(Legendre):
    """As many sines of random waves as ``Legendre`` has polynomials: sin(k . z + b), k in [-R, R]^d, b in [-pi, pi].

    Source: the random feature method, Chen, Chi, E & Yang, J. Mach. Learn. 1 (2022).
    """

    def __init__(self, dimension: int, degree: int, scale: float, seed: int) -> None:
        super().__init__(dimension, degree)
        generator = torch.Generator().manual_seed(seed)
        self.waves = scale * (2 * torch.rand(len(self), dimension, generator=generator, dtype=torch.float64) - 1)
        self.phases = math.pi * (2 * torch.rand(len(self), generator=generator, dtype=torch.float64) - 1)

    def jets(self, z: Tensor, indices: Sequence[MultiIndex]) -> Tensor:
        angles = z @ self.waves.T.to(z) + self.phases.to(z)
        return torch.stack([
            torch.sin(angles + math.pi / 2 * sum(index)) * (self.waves.to(z) ** torch.tensor(index).to(z)).prod(1)
            for index in indices
        ])  # fmt: skip


def solved(problem: str, settings: dict[str, Any], grid: tuple[int, int], basis: Legendre) -> tuple[float, float]:
    """Relative L2 error and processor seconds of one linear solve on equal boxes."""
    from sciml.registry import get_problem
    from sciml.solvers.experts.boxes import grid as boxes_between
    from sciml.solvers.experts.system import System
    from sciml.solvers.experts.terms import State
    from sciml.solvers.experts.tiling import Tiling

    declared = get_problem(problem, settings)
    low, high = (bound.tolist() for bound in declared.domain.bounds)
    sides = zip(low, high, grid, strict=True)
    boxes = boxes_between([torch.linspace(a, b, n + 1, dtype=torch.float64) for a, b, n in sides])
    tiling = Tiling(declared, torch.device("cpu"))
    began = time.process_time()
    system = System(declared, tiling, boxes, basis)
    found = system.step(State(boxes.low.new_zeros(system.shape), boxes.low.new_zeros(0)))
    taken = time.process_time() - began
    points = declared.domain.sample(4096, torch.Generator().manual_seed(0), method="sobol")
    exact = declared.exact(*points.unbind(1))["u"]
    return float((system.expansion(found).values(points)[0] - exact).norm() / exact.norm()), taken


def scaling(grids: Sequence[tuple[int, int]], degree: int, repeats: int) -> list[dict[str, Any]]:
    """Median seconds by number of experts."""
    runs = []
    settings = {"a1": 6, "a2": 6}
    solved("helmholtz", settings, grids[0], Legendre(2, degree))  # the first one loads libraries
    for grid in grids:
        found = [solved("helmholtz", settings, grid, Legendre(2, degree)) for _ in range(repeats)]
        seconds = statistics.median(taken for _, taken in found)
        runs.append({"kind": "scaling", "experts": math.prod(grid), "features": len(Legendre(2, degree)),
                     "seconds": seconds, "error": found[0][0]})  # fmt: skip
        print(runs[-1], flush=True)
    return runs


def bases(
    cases: Sequence[tuple[str, dict[str, Any], tuple[int, int]]], degrees: Sequence[int], seeds: int
) -> list[dict[str, Any]]:
    """Errors of both bases with equal numbers of features; of the sines by seed, at their best scale."""
    runs = []
    for problem, settings, grid in cases:
        for degree in degrees:
            error, seconds = solved(problem, settings, grid, Legendre(2, degree))
            by_scale = {
                scale: [solved(problem, settings, grid, Sines(2, degree, scale, seed)) for seed in range(seeds)]
                for scale in SCALES
            }
            scale, found = min(by_scale.items(), key=lambda item: statistics.median(e for e, _ in item[1]))
            runs.append({
                "kind": "bases", "problem": problem, "settings": settings, "experts": math.prod(grid),
                "features": len(Legendre(2, degree)), "polynomials": error, "polynomial_seconds": seconds,
                "sines": [e for e, _ in found], "sine_seconds": statistics.median(s for _, s in found), "scale": scale,
            })  # fmt: skip
            print(runs[-1], flush=True)
    return runs


def tables() -> str:
    saved = load(NAME)
    if saved is None:
        return "Not measured yet."
    rows, before = [], None
    for run in (r for r in saved["runs"] if r["kind"] == "scaling"):
        ratio = "-" if before is None else f"{run['seconds'] / before:.2f}"
        rows.append((run["experts"], run["features"], f"{run['seconds']:.2g}", ratio, f"{run['error']:.1e}"))
        before = run["seconds"]
    first = markdown(("experts", "features of each", "seconds", "times the row above", "relative L2"), rows)
    rows = [
        (
            " ".join((f"`{r['problem']}`", *(f"{key}={value:g}" for key, value in r["settings"].items()))), r["experts"],
            r["features"], f"{r['polynomials']:.1e}", median_and_worst(r["sines"]), f"{r['scale']:g}",
        )
        for r in saved["runs"] if r["kind"] == "bases"
    ]  # fmt: skip
    header = ("problem", "experts", "features", "polynomials", "sines, median (worst)", "their best scale")
    return f"{first}\n\n{markdown(header, rows)}"


def figure(runs: list[dict[str, Any]], path: Path) -> None:
    """Seconds over the number of experts, beside a time that grows as it."""
    from matplotlib.figure import Figure

    experts, seconds = zip(*((r["experts"], r["seconds"]) for r in runs if r["kind"] == "scaling"), strict=True)
    drawing = Figure((5, 3.2), layout="constrained")
    axes = drawing.add_subplot()
    axes.loglog(experts, seconds, marker="o", label="one solve")
    axes.loglog(experts, [seconds[-1] * n / experts[-1] for n in experts], "k:", label="linear")
    axes.set(xlabel="experts of 66 features", ylabel="processor seconds", title="helmholtz")
    axes.legend()
    drawing.savefig(path, dpi=120)


def main() -> None:
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--seeds", type=int, default=3)
    chosen = arguments.parse_args()
    torch.set_num_threads(1)
    if chosen.quick:
        scaling(GRIDS[:3], 6, 1)
        bases(COMPARED[:1], DEGREES[:1], 1)
        return
    runs = scaling(GRIDS, DEGREE, REPEATS) + bases(COMPARED, DEGREES, chosen.seeds)
    save(NAME, runs)
    figure(runs, RESULTS / f"{NAME}.png")
    print(tables())


if __name__ == "__main__":
    main()
