"""The folder of a run: what is checked before it starts, and what it holds when it ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciml import io
from sciml.errors import InputError

if TYPE_CHECKING:
    from sciml.training import Result


def start(folder: Path, configuration: Mapping[str, Any]) -> None:
    """Claim ``folder`` for a new run and write ``config.toml``.

    Raises:
        InputError: the folder cannot be written to, or holds a run already.
    """
    if (folder / "config.toml").exists():
        raise InputError(f"the folder {str(folder)!r} holds a run already; choose another one, or resume that run")
    io.writable_folder(folder)
    io.write_toml(folder / "config.toml", configuration)


def checkpoint_of(folder: Path, configuration: Mapping[str, Any]) -> Path:
    """The checkpoint in ``folder`` from which a run of ``configuration`` can continue.

    Raises:
        InputError: the folder holds no checkpoint, or one of another problem, solver or seed.
    """
    earlier = io.read_toml(folder / "config.toml")
    there, here = _identity(earlier), _identity(configuration)
    for key in there | here:
        if there.get(key) != here.get(key):
            raise InputError(
                f"the folder {str(folder)!r} holds a run with {key} {there.get(key)!r}, not {here.get(key)!r}; "
                "give the same to resume it, or start a new run in another folder"
            )
    if not (folder / "checkpoint").exists():
        raise InputError(f"the folder {str(folder)!r} has no checkpoint to resume from; start a new run")
    return io.writable_folder(folder) / "checkpoint"


def go_on(folder: Path, result: Result, configuration: Mapping[str, Any]) -> None:
    """Record in ``folder`` that the run there was continued.

    Raises:
        InputError: it took no step more than ``metrics.json`` says: it was finished.
    """
    path = folder / "metrics.json"
    if path.exists() and json.loads(path.read_text(encoding="utf-8")).get("steps") == result.steps:
        raise InputError(
            f"the run in {str(folder)!r} was finished and stays as it is ({result.stop_reason}); "
            "more seconds or steps may take it further"
        )
    io.write_toml(folder / "config.toml", io.read_toml(folder / "config.toml") | {"run": configuration["run"]})


def facts(result: Result, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """What ``metrics.json`` says of every run, whatever was solved or trained."""
    return {
        "problem": configuration["problem"]["name"],
        "settings": configuration["problem"]["settings"],
        "solver": configuration["solver"]["name"],
        "seconds": result.seconds,
        "steps": result.steps,
        "stop_reason": result.stop_reason,
        "seed": configuration["run"]["seed"],
        "device": configuration["run"]["device"],
        "phases": [asdict(phase) for phase in result.phases],
        "versions": io.versions(),
    }


def finish(folder: Path, result: Result, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Write everything that a finished run leaves; returns the content of ``metrics.json``."""
    solution = result.solution
    metrics = facts(result, configuration) | {
        "relative_l2": solution.relative_l2,
        "error_estimate": solution.error_estimate,
        "parameters": solution.parameters,
        "choices": dict(getattr(solution.solver, "choices", {})),
    }
    result.history.to_csv(folder / "history.csv")
    solution.save(folder)
    _write_report(folder, metrics)
    io.write_json(folder / "metrics.json", metrics)  # the last one: with it the run is finished
    return metrics


_HOW = ("shard",)  # options that change how a run is computed and not its result


def _identity(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """What a continued run must share with the run that it continues."""
    problem, solver, run = (configuration.get(table, {}) for table in ("problem", "solver", "run"))
    identity = {"problem": problem.get("name"), "solver": solver.get("name"), "seed": run.get("seed")}
    options = {name: value for name, value in solver.get("options", {}).items() if name not in _HOW}
    return identity | problem.get("settings", {}) | options


def _write_report(folder: Path, metrics: Mapping[str, Any]) -> None:
    from sciml.viz import plot_convergence, to_png

    tables = {
        "Result": {name.replace("_", " "): metrics[name] for name in ("relative_l2", "error_estimate", "stop_reason")},
        "Fitted coefficients": metrics["parameters"],
        "Run": {name: metrics[name] for name in ("problem", "solver", "seconds", "steps", "seed", "device")},
        "Phases": {f"{i}. {p['name']}": p["stop_reason"] for i, p in enumerate(metrics["phases"], 1)},
        "Settings": metrics["settings"],
        "Choices": metrics["choices"],
        "Versions": metrics["versions"],
    }
    pictures = {
        "Solution": (folder / "solution.png").read_bytes(),
        "Convergence": to_png(plot_convergence(io.read_history(folder / "history.csv"))),
    }
    io.write_report(folder / "report.html", f"{metrics['problem']} by {metrics['solver']}", tables, pictures)
