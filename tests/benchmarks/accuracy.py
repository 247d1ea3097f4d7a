"""Every solver with defaults only: relative L2 within a budget of wall-clock seconds, by seed.

    python -m tests.benchmarks.accuracy [--quick] [--seeds N] [--solvers experts pinn lagrangian] [--problems burgers ...]
                                           [--rivals [deepxde] [classical]] [--rivals-only]

Rivals get the same problems, DeepXDE (``sciml.rivals``) the same seconds too; ``--rivals`` alone leaves them out.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from tests.benchmarks.common import add_seeds, load, markdown, median_and_worst, merge, parser, run_all, seeds

NAME = "accuracy"
Case = tuple[str, dict[str, Any], float]  # problem, settings, seconds
CASES: dict[str, list[Case]] = {
    "experts": [
        ("helmholtz", {}, 10),
        ("helmholtz", {"a1": 6, "a2": 6}, 30),
        ("convection", {"beta": 30.0}, 10),
        ("convection", {"beta": 100.0}, 20),
        ("klein_gordon", {}, 20),
        ("wave", {}, 20),
        ("heat", {}, 20),
        ("kovasznay", {}, 20),
        ("poisson_l_shape", {}, 30),
        ("poisson_holes", {}, 30),
        ("burgers", {}, 30),
        ("allen_cahn", {}, 60),
        ("allen_cahn_periodic", {}, 60),
        ("kdv", {}, 60),
        ("cavity", {"re": 100.0}, 60),
        ("inverse_diffusion", {}, 20),
        ("inverse_poisson", {}, 30),
    ],
    "pinn": [
        ("helmholtz", {}, 60),
        ("burgers", {}, 60),
        ("convection", {"beta": 30.0}, 60),
        ("allen_cahn", {}, 60),
        ("inverse_diffusion", {}, 30),
    ],
    "lagrangian": [("convection", {"beta": beta}, 20) for beta in (0.0, 30.0, 50.0, 100.0, 1000.0)],
}
SEEDS = {"experts": 5, "pinn": 3, "lagrangian": 5}


RIVALS = ("deepxde", "classical")


def run(solver: str, problem: str, settings: dict[str, Any], seed: int, seconds: float) -> dict[str, Any]:
    """Error, estimate and seconds of one run."""
    if solver in RIVALS:
        return rival(solver, problem, settings, seed, seconds)
    from sciml import SciMLError, solve
    from sciml.registry import get_problem

    began = time.perf_counter()
    try:
        solution = solve(get_problem(problem, settings), solver=solver, seconds=seconds, seed=seed, progress=False)
    except SciMLError as error:
        return {"error": None, "seconds": round(time.perf_counter() - began, 1), "failed": str(error)}
    taken = round(time.perf_counter() - began, 1)
    errors, estimate = solution.relative_l2 or {}, solution.error_estimate or {}
    worst = max(errors, key=lambda field: errors[field])
    found = {"error": errors[worst], "field": worst, "estimate": estimate.get(worst), "seconds": taken}
    return found | ({"parameters": solution.parameters} if solution.parameters else {})


def rival(name: str, problem: str, settings: dict[str, Any], seed: int, seconds: float) -> dict[str, Any]:
    """Error and seconds of a run of another solver, without an error where it cannot solve the problem."""
    from sciml.registry import get_problem
    from sciml.rivals import RIVALS as TREATED
    from tests.benchmarks import rival_classical

    declared = get_problem(problem, settings)
    try:
        if name == "classical":
            found = rival_classical.run(problem, declared)
        else:
            outcome = TREATED[name].solve(declared, seconds, seed)
            found = {"errors": outcome.relative_l2, "seconds": outcome.seconds, "note": outcome.note}
    except Exception as error:  # another library's; the other rows are still measured
        return {"error": None, "seconds": None, "budget": seconds, "failed": f"{type(error).__name__}: {error}"}
    if found is None:
        return {"error": None, "seconds": None, "budget": seconds}
    errors = found.pop("errors")
    worst = max(errors, key=lambda field: errors[field])
    return found | {"error": errors[worst], "field": worst, "seconds": round(found["seconds"], 2), "budget": seconds}


def _beside(runs: list[dict[str, Any]], name: str, problem: str, settings: dict[str, Any], budget: float) -> str:
    """What a rival reached on a row's problem; DeepXDE within the row's budget."""
    found = [
        r for r in runs
        if (r["solver"], r["problem"], r["settings"]) == (name, problem, settings) and r["error"] is not None
        and (name == "classical" or r["budget"] == budget)
    ]  # fmt: skip
    if not found:
        return "-"
    text = median_and_worst([r["error"] for r in found])
    if name == "classical":
        return f"{found[0]['error']:.2g} in {found[0]['seconds']:.2g} s ({found[0]['method']})"
    return text


def tables() -> str:
    saved = load(NAME)
    if saved is None:
        return "Not measured yet."
    rows, present = [], {r["solver"] for r in saved["runs"]}
    for solver, cases in CASES.items():
        for problem, settings, budget in cases:
            found = [r for r in saved["runs"] if (r["solver"], r["problem"], r["settings"]) == (solver, problem, settings)]
            if found:
                title = " ".join((f"`{problem}`", *(f"{key}={value:g}" for key, value in settings.items())))
                errors = [float("inf") if r["error"] is None else r["error"] for r in found]
                estimates = [r["estimate"] for r in found if r.get("estimate") is not None]
                taken = statistics.median(r["seconds"] for r in found)
                known = f"{statistics.median(estimates):.2g}" if estimates else "-"
                others = [_beside(saved["runs"], name, problem, settings, budget) for name in RIVALS if name in present]
                rows.append((title, solver, f"{taken:.0f} of {budget:g}", len(found), median_and_worst(errors), known, *others))
    header = ("problem", "solver", "seconds", "seeds", "relative L2, median (worst)", "its own estimate")
    titles = {"deepxde": "DeepXDE, same seconds", "classical": "classical method"}
    return markdown((*header, *(titles[name] for name in RIVALS if name in present)), rows)


def main() -> None:
    arguments = parser(__doc__.splitlines()[0])
    add_seeds(arguments, default=None)
    arguments.add_argument("--solvers", nargs="+", default=list(CASES), choices=list(CASES))
    arguments.add_argument("--rivals", nargs="*", default=list(RIVALS), choices=RIVALS)
    arguments.add_argument("--rivals-only", action="store_true", help="on the problems of the solvers, whose rows are kept")
    arguments.add_argument("--problems", nargs="+", help="all unless given")
    chosen = arguments.parse_args()
    jobs = [
        {"solver": solver, "problem": problem, "settings": settings, "seed": seed,
         "seconds": budget / (10 if chosen.quick else 1)}
        for solver in chosen.solvers
        for problem, settings, budget in CASES[solver]
        if (chosen.problems is None or problem in chosen.problems) and not chosen.rivals_only
        for seed in seeds(chosen, SEEDS[solver])
    ]  # fmt: skip
    asked = {(problem, str(settings), budget): (problem, settings, budget)
             for solver in chosen.solvers for problem, settings, budget in CASES[solver]
             if chosen.problems is None or problem in chosen.problems}  # fmt: skip
    for problem, settings, budget in asked.values():
        jobs += [
            {"solver": name, "problem": problem, "settings": settings, "seed": seed,
             "seconds": budget / (10 if chosen.quick else 1)}
            for name in chosen.rivals
            for seed in (range(1) if name == "classical" else seeds(chosen, 2))
        ]  # fmt: skip
    results = run_all(run, jobs, chosen.workers)
    if not chosen.quick:
        merge(NAME, results, ("solver", "problem", "settings", "budget", "seed"))
        print(tables())


if __name__ == "__main__":
    main()
