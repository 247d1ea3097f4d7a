"""Wang, Teng and Perdikaris (2020), tables 2 and 3 and figure 18: what annealing and the modified MLP gain.

M1 plain network, M2 with learning-rate annealing, M3 modified MLP, M4 both; 128 fresh points a term and boundary piece,
Adam from 1e-3 decaying by 0.9 every 1000 steps, 40,000 steps, float32. The points are drawn by scrambled Sobol sequences,
the paper's independently. For the cavity the network has the five hidden layers of the paper's text, and the weight is
annealed layer by layer as in its code; in M4w the equations are multiplied by min(1, d / 0.2), with the distance d to
the nearer end of the lid, where the pressure is singular.

    python -m tests.benchmarks.gradient_pathologies [--quick] [--seeds 3] [--problems helmholtz ...] [--methods M4 ...]

With --published DIR, a folder that holds reference_u.csv and reference_v.csv of the paper's code, the cavity's error is
also given as that code computes it: in the spectral norm and against that velocity.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.common import add_seeds, load, markdown, median_and_worst, merge, parser, run_all, seeds

NAME = "gradient_pathologies"
PAPER = {  # relative L2, means of several runs: Helmholtz 50/3 of table 2, table 3, figures 17 and 18
    "helmholtz": {"M1": 1.06e-1, "M2": 1.12e-2, "M3": 2.46e-2, "M4": 3.87e-3},
    "klein_gordon": {"M1": 1.79e-1, "M2": 1.06e-2, "M3": 1.97e-2, "M4": 2.81e-3},
    "cavity": {"M1": 2.71e-1, "M2": 2.49e-1, "M3": 1.21e-1, "M4": 3.42e-2},
}
METHODS = {"M1": (False, False), "M2": (True, False), "M3": (False, True), "M4": (True, True), "M4w": (True, True)}
"""With annealing, with the modified MLP."""
PER_PIECE = 128
NEAR = 0.2  # of the lid's ends, in M4w


def setting(problem: str, method: str) -> tuple[Any, int, dict[str, int], dict[str, float]]:
    """The declared problem, the depth of the network (width 50), the points of every term, and its weight in the loss.

    The paper's loss adds the mean squares of the boundary's pieces, so that a term's own mean counts once for each; for
    the cavity it takes the mean over the velocity's two components.
    """
    from sciml.registry import get_problem

    declared = published_cavity(method == "M4w") if problem == "cavity" else get_problem(problem)
    depth = {"helmholtz": 3, "klein_gordon": 5, "cavity": 5}[problem]
    points, weights = {"interior": PER_PIECE}, {}
    for name, condition in declared.named_conditions().items():
        on = getattr(condition, "on", None)
        boundary = condition.kind in ("dirichlet", "neumann", "constraint")
        pieces = _pieces(declared.domain.space, on) if boundary else 1
        points[name] = PER_PIECE * pieces
        weights[name] = pieces / 2 if problem == "cavity" else float(pieces)
    return declared, depth, points, weights


def published_cavity(weighted: bool = False) -> Any:
    """The stream-function form with the paper's conditions, which are on the velocity alone and have one weight."""
    import torch

    from problems import Cavity
    from sciml import Constraint

    class PublishedCavity(Cavity):
        def equations(self, psi: Any, p: Any, x: Any, y: Any) -> dict[str, Any]:
            found = super().equations(psi, p, x, y)
            nearer = torch.sqrt(torch.minimum(x, 1 - x) ** 2 + (1 - y) ** 2)
            factor = (nearer / NEAR).clamp(max=1) if weighted else 1
            return {name: factor * momentum for name, momentum in found.items()}

        def conditions(self) -> list[Any]:
            def velocity(psi: Any, y: Any) -> Any:
                """Length of the difference from the boundary's velocity."""
                slip = psi.y - (y > 1 - 1e-6).to(y.dtype)
                return torch.sqrt(slip * slip + psi.x * psi.x)

            return [Constraint("velocity", velocity)]

    return PublishedCavity()


def _pieces(space: Any, on: Any) -> int:
    return len(on) if on else 2 * space.dimension  # the domains here are boxes


def run(problem: str, method: str, seed: int, steps: int, published: str | None = None) -> dict[str, Any]:
    """Relative L2 errors and seconds of one training run."""
    import torch

    from sciml import MLP, PINN, Adam, ExponentialDecay, Fixed, GradientAnnealing, ModifiedMLP, Phase, Trainer, Uniform
    from sciml.losses import Product
    from sciml.solution import Solution

    annealing, modified = METHODS[method]
    declared, depth, points, weights = setting(problem, method)
    network = (ModifiedMLP if modified else MLP)(
        len(declared.coordinates), len(declared.unknowns), width=50, depth=depth,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    solver = PINN(declared, network, points=points, dtype=torch.float32)
    sums = Fixed({term: weights[key] for term, key in solver.term_points.items() if key in weights})
    weighting = Product(sums, GradientAnnealing(by_layer=problem == "cavity")) if annealing else sums
    schedule = ExponentialDecay(0.9, 1000)
    phase = Phase(Adam(1e-3), steps=steps, schedule=schedule, sampler=Uniform(method="sobol"), weighting=weighting)
    began = time.perf_counter()
    result = Trainer([phase], seed=seed, progress=False, log_every=1000).fit(solver)
    seconds = time.perf_counter() - began
    solution = Solution(declared, solver)
    errors = solution.relative_l2 or {}
    found = {"seconds": round(seconds, 1), "weights": result.weights}
    if problem == "cavity":
        errors = {"speed": errors["speed"]}
        found |= as_published(solution, Path(published)) if published else {}
    return {"error": max(errors.values())} | found


def as_published(solution: Any, folder: Path) -> dict[str, float]:
    """The errors that the paper's code gives for the speed of a solution, and of the exact one."""
    import numpy as np
    import torch

    from sciml.reference import cavity_flow

    u, v = (np.genfromtxt(folder / f"reference_{name}.csv", delimiter=",") for name in "uv")
    axis = torch.linspace(0, 1, len(u), dtype=torch.float64)
    exact = cavity_flow(100.0)(axis.numpy(), axis.numpy())
    speeds = {
        "as_published": solution(torch.cartesian_prod(axis, axis))["speed"].reshape(len(u), -1).numpy(),
        "exact_as_published": np.hypot(exact.psi_x, exact.psi_y),
    }
    true = np.hypot(u, v)
    errors = {name: speed - true for name, speed in speeds.items()}
    for error in errors.values():
        error[[0, -1], -1] = 0  # the ends of the lid, where the speed jumps
    return {name: float(np.linalg.norm(error, 2) / np.linalg.norm(true, 2)) for name, error in errors.items()}


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
                seconds = f"{statistics.median(r['seconds'] for r in found):.0f}"
                errors = median_and_worst(r["error"] for r in found)
                there = f"{paper[method]:.3g}" if method in paper else "-"
                known = [r["as_published"] for r in found if "as_published" in r]
                here = median_and_worst(known) if known else "-"
                rows.append((problem, method, len(found), errors, there, here, seconds))
    header = ("problem", "method", "seeds", "relative L2, median (worst)", "paper", "as its code has it", "seconds")
    exact = [r["exact_as_published"] for r in saved["runs"] if "exact_as_published" in r]
    text = f"\n\nAs the paper's code has it, the exact solution of the cavity has an error of {exact[0]:.2g}." if exact else ""
    return markdown(header, rows) + text


def main() -> None:
    arguments = parser(__doc__.splitlines()[0])
    add_seeds(arguments, default=3)
    arguments.add_argument("--problems", nargs="+", default=list(PAPER), choices=list(PAPER))
    arguments.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    arguments.add_argument("--published", metavar="DIR", help="folder of the velocity that comes with the paper's code")
    chosen = arguments.parse_args()
    steps = 2_000 if chosen.quick else 40_000
    jobs = [
        {"problem": problem, "method": method, "seed": seed, "steps": steps, "published": chosen.published}
        for problem in chosen.problems
        for seed in seeds(chosen)
        for method in chosen.methods
        if method != "M4w" or problem == "cavity"
    ]
    results = run_all(run, jobs, chosen.workers)
    if not chosen.quick:
        kept = [{key: value for key, value in result.items() if key != "published"} for result in results]
        merge(NAME, kept, ("problem", "method", "seed"))
        print(tables())


if __name__ == "__main__":
    main()
