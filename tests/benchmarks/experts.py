"""The `experts` solver with defaults only: relative L2 within a budget of wall-clock seconds, by seed.

    python -m tests.benchmarks.experts [--quick] [--seeds 5] [--problems helmholtz burgers ...]
"""

from __future__ import annotations

import time
from typing import Any

from tests.benchmarks.common import load, markdown, median_and_worst, parser, run_all, save

NAME = "experts"
CASES: dict[str, tuple[str, dict[str, Any], float]] = {  # title: problem, settings, seconds
    "helmholtz a=(1,4)": ("helmholtz", {}, 10),
    "helmholtz a=(6,6)": ("helmholtz", {"a1": 6, "a2": 6}, 30),
    "convection beta=30": ("convection", {"beta": 30.0}, 10),
    "convection beta=100": ("convection", {"beta": 100.0}, 20),
    "klein_gordon": ("klein_gordon", {}, 20),
    "wave": ("wave", {}, 20),
    "heat": ("heat", {}, 20),
    "kovasznay": ("kovasznay", {}, 20),
    "poisson_l_shape": ("poisson_l_shape", {}, 30),
    "poisson_holes": ("poisson_holes", {}, 30),
    "burgers nu=0.01/pi": ("burgers", {}, 30),
    "allen_cahn D=1e-3": ("allen_cahn", {}, 60),
    "allen_cahn_periodic D=1e-4": ("allen_cahn_periodic", {}, 60),
    "kdv": ("kdv", {}, 60),
    "cavity Re=100": ("cavity", {}, 60),
}


def run(case: str, seed: int, seconds: float) -> dict[str, Any]:
    """Error, estimate and seconds of one run."""
    from sciml import SciMLError, solve
    from sciml.registry import get_problem

    name, settings, _ = CASES[case]
    problem = get_problem(name, settings)
    began = time.perf_counter()
    try:
        solution = solve(problem, solver="experts", seconds=seconds, seed=seed, progress=False)
    except SciMLError as error:
        return {"error": float("inf"), "estimate": None, "seconds": time.perf_counter() - began, "failed": str(error)}
    taken = time.perf_counter() - began
    errors, estimate = solution.relative_l2 or {}, solution.error_estimate or {}
    worst = max(errors, key=lambda field: errors[field])
    return {"error": errors[worst], "field": worst, "estimate": estimate.get(worst), "seconds": round(taken, 1)}


def tables() -> str:
    saved = load(NAME)
    if saved is None:
        return "Not measured yet."
    rows = []
    for case, (_, _, budget) in CASES.items():
        found = [r for r in saved["runs"] if r["case"] == case]
        if found:
            estimates = [r["estimate"] for r in found if r["estimate"] is not None]
            rows.append((case, f"{budget:g} s", len(found), median_and_worst(r["error"] for r in found),
                         median_and_worst(estimates).split(" ")[0]))  # fmt: skip
    return markdown(("problem", "budget", "seeds", "relative L2, median (worst)", "its own estimate, median"), rows)


def main() -> None:
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--problems", nargs="+", default=list(CASES), help="titles of cases, or problem names")
    chosen = arguments.parse_args()
    cases = [c for c in CASES if c in chosen.problems or CASES[c][0] in chosen.problems]
    seeds = 1 if chosen.quick else chosen.seeds
    jobs = [
        {"case": case, "seed": seed, "seconds": CASES[case][2] / (10 if chosen.quick else 1)}
        for case in cases
        for seed in range(seeds)
    ]
    results = run_all(run, jobs, chosen.workers)
    if not chosen.quick:
        earlier = [r for r in (load(NAME) or {"runs": []})["runs"] if r["case"] not in cases]
        save(NAME, f"python -m tests.benchmarks.{NAME}", earlier + results)
        print(tables())


if __name__ == "__main__":
    main()
