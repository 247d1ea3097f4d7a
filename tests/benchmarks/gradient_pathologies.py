"""Wang, Teng and Perdikaris (2020), tables 2 and 3 and figure 18: what annealing and the modified MLP gain.

M1 plain network, M2 with learning-rate annealing, M3 modified MLP, M4 both; 128 fresh points a term and boundary piece,
Adam from 1e-3 decaying by 0.9 every 1000 steps, 40,000 steps, float32. The points are drawn by scrambled Sobol sequences,
the paper's independently.

    python -m tests.benchmarks.gradient_pathologies [--quick] [--seeds 3] [--problems helmholtz ...] [--methods M4 ...]
"""

from __future__ import annotations

import time
from typing import Any

from tests.benchmarks.common import add_seeds, load, markdown, median_and_worst, merge, parser, run_all, seeds

NAME = "gradient_pathologies"
PAPER = {  # relative L2, means of several runs: Helmholtz 50/3 of table 2, table 3, figures 17 and 18
    "helmholtz": {"M1": 1.06e-1, "M2": 1.12e-2, "M3": 2.46e-2, "M4": 3.87e-3},
    "klein_gordon": {"M1": 1.79e-1, "M2": 1.06e-2, "M3": 1.97e-2, "M4": 2.81e-3},
    "cavity": {"M1": 2.71e-1, "M2": 2.49e-1, "M3": 1.21e-1, "M4": 3.42e-2},
}
METHODS = {"M1": (False, False), "M2": (True, False), "M3": (False, True), "M4": (True, True)}
PER_PIECE = 128


def setting(problem: str) -> tuple[Any, int, dict[str, int], dict[str, int]]:
    """The declared problem, the depth of the network (width 50), the points of every term, and its boundary pieces.

    The paper's loss adds the mean squares of the pieces, so that a term's own mean counts once for each.
    """
    from sciml.registry import get_problem

    declared = published_cavity() if problem == "cavity" else get_problem(problem)
    depth = {"helmholtz": 3, "klein_gordon": 5, "cavity": 3}[problem]
    points, pieces = {"interior": PER_PIECE}, {}
    for name, condition in declared.named_conditions().items():
        on = getattr(condition, "on", None)
        boundary = condition.kind in ("dirichlet", "neumann", "constraint")
        pieces[name] = _pieces(declared.domain.space, on) if boundary else 1
        points[name] = PER_PIECE * pieces[name]
    return declared, depth, points, pieces


def published_cavity() -> Any:
    """The stream-function form with the paper's conditions, which are on the velocity alone."""
    from problems import Cavity
    from sciml import Constraint

    class PublishedCavity(Cavity):
        def conditions(self) -> list[Any]:
            return [
                Constraint("velocity_u", lambda psi, y: psi.y - (y > 1 - 1e-6).to(y.dtype)),
                Constraint("velocity_v", lambda psi: -psi.x),
            ]

    return PublishedCavity()


def _pieces(space: Any, on: Any) -> int:
    return len(on) if on else 2 * space.dimension  # the domains here are boxes


def run(problem: str, method: str, seed: int, steps: int) -> dict[str, Any]:
    """Relative L2 errors and seconds of one training run."""
    import torch

    from sciml import MLP, PINN, Adam, ExponentialDecay, Fixed, GradientAnnealing, ModifiedMLP, Phase, Trainer, Uniform
    from sciml.losses import Product
    from sciml.solution import Solution

    annealing, modified = METHODS[method]
    declared, depth, points, pieces = setting(problem)
    network = (ModifiedMLP if modified else MLP)(
        len(declared.coordinates), len(declared.unknowns), width=50, depth=depth,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    solver = PINN(declared, network, points=points, dtype=torch.float32)
    sums = Fixed({term: float(pieces[key]) for term, key in solver.term_points.items() if key in pieces})
    weighting = Product(sums, GradientAnnealing()) if annealing else sums
    schedule = ExponentialDecay(0.9, 1000)
    phase = Phase(Adam(1e-3), steps=steps, schedule=schedule, sampler=Uniform(method="sobol"), weighting=weighting)
    began = time.perf_counter()
    result = Trainer([phase], seed=seed, progress=False, log_every=1000).fit(solver)
    seconds = time.perf_counter() - began
    errors = Solution(declared, solver).relative_l2 or {}
    if problem == "cavity":
        errors = {"speed": errors["speed"]}
    return {"error": max(errors.values()), "seconds": round(seconds, 1), "weights": result.weights}


def tables() -> str:
    """Median and worst of the seeds beside the paper's figure."""
    saved = load(NAME)
    if saved is None:
        return "Not measured yet."
    rows = []
    for problem, paper in PAPER.items():
        for method in METHODS:
            found = [r for r in saved["runs"] if r["problem"] == problem and r["method"] == method]
            if found:
                seconds = median_and_worst(r["seconds"] for r in found).split(" ")[0]
                errors = median_and_worst(r["error"] for r in found)
                rows.append((problem, method, len(found), errors, f"{paper[method]:.3g}", seconds))
    return markdown(("problem", "method", "seeds", "relative L2, median (worst)", "paper", "seconds"), rows)


def main() -> None:
    arguments = parser(__doc__.splitlines()[0])
    add_seeds(arguments, default=3)
    arguments.add_argument("--problems", nargs="+", default=list(PAPER), choices=list(PAPER))
    arguments.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    chosen = arguments.parse_args()
    steps = 2_000 if chosen.quick else 40_000
    jobs = [
        {"problem": problem, "method": method, "seed": seed, "steps": steps}
        for problem in chosen.problems
        for seed in seeds(chosen)
        for method in chosen.methods
    ]
    results = run_all(run, jobs, chosen.workers)
    if not chosen.quick:
        merge(NAME, f"python -m tests.benchmarks.{NAME}", results, ("problem", "method", "seed"))
        print(tables())


if __name__ == "__main__":
    main()
