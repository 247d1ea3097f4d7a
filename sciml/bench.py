"""One problem by one of our solvers and by rivals, at the same seconds."""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sciml import api, io, run
from sciml.errors import InputError, SciMLError, nearest
from sciml.registry import describe, get_solver
from sciml.rivals import RIVALS, Outcome

if TYPE_CHECKING:
    from sciml.problem import Problem

COLUMNS = ("", "solver", "relative L2, median (worst)", "seconds", "seeds", "notes")


def bench(
    problem: Problem,
    solver: str,
    rivals: Sequence[str],
    *,
    seconds: float,
    seeds: int,
    folder: str | Path,
    command: str = "",
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Solve ``problem`` by ``solver`` and by every one of ``rivals``, each for ``seconds`` and the seeds 0, 1, ...

    The error of a run is that of its worst field. A rival that draws nothing at random runs once.

    Args:
        folder: gets ``metrics.json``, rewritten after every run, ``table.md`` and ``comparison.png``.
        command: what to record as the way to repeat this.
        report: is told before and after every run, in one line.

    Returns:
        What ``metrics.json`` holds: ``runs``, ``summary`` by solver from the best to the worst, ``winner`` and the rest.

    Raises:
        InputError: an unknown name, a wrong number, or a problem of which no solution is known.
    """
    _check(problem, solver, rivals, seconds, seeds)
    folder = Path(folder)
    described = describe(problem)
    asked = {"solver": solver, "rivals": list(rivals), "seconds": seconds, "seeds": seeds}
    run.start(folder, {"problem": described, "bench": asked})
    ways: dict[str, tuple[Callable[[Problem, float, int], Outcome], int]] = {solver: (partial(_ours, solver), seeds)}
    ways |= {name: (RIVALS[name].solve, seeds if RIVALS[name].random else 1) for name in rivals}
    runs: list[dict[str, Any]] = []
    metrics: dict[str, Any] = {}
    for name, (solve, count) in ways.items():
        for seed in range(count):
            report(f"{name}, seed {seed}: {seconds:g} s")
            runs.append({"solver": name, "seed": seed} | _measured(solve, problem, seconds, seed))
            report(f"{name}, seed {seed}: {_result(runs[-1])}")
            summary = summarise(runs)
            metrics = {
                "problem": described["name"],
                "settings": described["settings"],
                "command": command,
                "budget_seconds": seconds,
                "winner": winner(summary),
                "summary": summary,
                "runs": runs,
                "environment": _environment(),
                "versions": io.versions() | {"deepxde": metadata.version("deepxde")},
            }
            io.write_json(folder / "metrics.json", metrics)
            if runs[-1].get("refused"):
                break
    _draw(folder, described["name"], metrics)
    return metrics


def summarise(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Median and worst error and median seconds by solver, the best median first; a failed run is infinitely wrong."""
    rows = []
    for name in dict.fromkeys(r["solver"] for r in runs):
        own = [r for r in runs if r["solver"] == name]
        errors = [math.inf if r["error"] is None else r["error"] for r in own]
        rows.append({
            "solver": name,
            "median": statistics.median(errors),
            "worst": max(errors),
            "seconds": statistics.median(r["seconds"] for r in own),
            "seeds": len(own),
            "notes": "; ".join(dict.fromkeys(r["note"] for r in own if r["note"])),
        })  # fmt: skip
    return sorted(rows, key=lambda row: row["median"])


def winner(summary: Sequence[Mapping[str, Any]]) -> str | None:
    """The solver with the least median error; None where all failed."""
    best = min(summary, key=lambda row: row["median"], default=None)
    return best["solver"] if best is not None and math.isfinite(best["median"]) else None


def table(metrics: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Cells by row, in the order of ``COLUMNS``; the first says who won."""
    return [
        (
            "best" if row["solver"] == metrics["winner"] else "",
            row["solver"],
            f"{row['median']:.2g} ({row['worst']:.2g})" if math.isfinite(row["median"]) else "none",
            f"{row['seconds']:.3g} of {metrics['budget_seconds']:g}",
            str(row["seeds"]),
            row["notes"],
        )
        for row in metrics["summary"]
    ]


def _ours(solver: str, problem: Problem, seconds: float, seed: int) -> Outcome:
    began = time.perf_counter()
    solution = api.solve(problem, solver, seconds=seconds, seed=seed, progress=False)
    spent = time.perf_counter() - began
    return Outcome(solution.relative_l2 or {}, spent)


def _measured(solve: Callable[[Problem, float, int], Outcome], problem: Problem, seconds: float, seed: int) -> dict[str, Any]:
    """The error of the worst field, None without a finite solution, with what else is known of the run."""
    began = time.perf_counter()
    try:
        outcome = solve(problem, seconds, seed)
    except SciMLError as error:
        spent = time.perf_counter() - began
        refused = isinstance(error, InputError)
        note = " ".join(str(error).split())
        return {"error": None, "relative_l2": None, "seconds": spent, "note": note, "refused": refused}
    errors = list(outcome.relative_l2.values())
    finite = bool(errors) and all(map(math.isfinite, errors))
    return {
        "error": max(errors) if finite else None,
        "relative_l2": dict(outcome.relative_l2),
        "seconds": outcome.seconds,
        "note": outcome.note,
    }


def _result(row: Mapping[str, Any]) -> str:
    if row["error"] is None:
        return row["note"] or "no finite solution"
    return f"relative L2 {row['error']:.2e} in {row['seconds']:.1f} s"


def _check(problem: Problem, solver: str, rivals: Sequence[str], seconds: float, seeds: int) -> None:
    get_solver(solver)
    for name in rivals:
        if name not in RIVALS:
            raise InputError(f"there is no rival {name!r}; {nearest(name, RIVALS)}")
    if not 0 < seconds < math.inf:
        raise InputError(f"seconds must be a positive number, got {seconds!r}")
    if seeds < 1:
        raise InputError(f"seeds must be a positive whole number, got {seeds!r}")
    problem.validate()
    if not any(callable(getattr(problem, name, None)) for name in ("exact", "reference")):
        raise InputError(
            f"nothing can be compared: {type(problem).__name__} has no exact or reference solution; "
            "give it a method exact or reference"
        )


def _environment() -> dict[str, Any]:
    return {
        "processor": platform.processor() or platform.machine(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _draw(folder: Path, name: str, metrics: Mapping[str, Any]) -> None:
    from sciml.viz import plot_comparison, to_png

    lines = ["| " + " | ".join(cells) + " |" for cells in (COLUMNS, ["---"] * len(COLUMNS), *table(metrics))]
    (folder / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    errors = {
        row["solver"]: [r["error"] for r in metrics["runs"] if r["solver"] == row["solver"]] for row in metrics["summary"]
    }
    (folder / "comparison.png").write_bytes(to_png(plot_comparison(errors, name)))
