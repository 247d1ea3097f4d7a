"""``sciml solve``: solve a problem and leave a folder with everything about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

SOLVER, SEED = "pinn", 0


def command(
    problem: Annotated[
        str,
        typer.Argument(
            metavar="PROBLEM",
            help="A registered name (see sciml list), FILE.py:ClassName, or a run's config.toml to repeat it.",
        ),
    ],
    solver: Annotated[str | None, typer.Option(help=f"Name of a solver; {SOLVER} by default.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A coefficient of the problem; repeatable.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Budget of wall-clock time.")] = None,
    steps: Annotated[int | None, typer.Option(help="Budget of optimiser steps.")] = None,
    seed: Annotated[int | None, typer.Option(help=f"Seed of everything random; {SEED} by default.")] = None,
    device: Annotated[str | None, typer.Option(help="Where to compute, such as cpu or cuda:1.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the run; runs/PROBLEM-SOLVER-SEED by default.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(metavar="DIR", help="Continue the run in this folder.")] = None,
) -> None:
    """Solve a problem; print its error and write metrics, fields, weights, pictures and a report."""
    from sciml import api
    from sciml.io import read_toml, unused_folder
    from sciml.registry import name_of
    from sciml.training.distributed import rank

    request = _request(problem, settings or [])
    run = (request if resume is None else read_toml(resume / "config.toml")).get("run", {})
    chosen = solver or request["solver"]["name"]
    seed = run.get("seed", SEED) if seed is None else seed
    if seconds is None and steps is None:
        seconds, steps = run.get("seconds"), run.get("steps")
    instance = api.rebuild(request["problem"])
    folder = out or resume or unused_folder(Path("runs") / f"{name_of(type(instance))}-{chosen}-{seed}")
    options = request["solver"].get("options", {}) if chosen == request["solver"]["name"] else {}
    api.solve(
        instance,
        chosen,
        seconds=seconds,
        steps=steps,
        seed=seed,
        device=device,
        folder=folder,
        resume=resume,
        progress=True,
        **options,
    )
    if rank() == 0:
        _print(folder)


def _request(problem: str, given: list[str]) -> dict[str, Any]:
    """What is asked for, in the layout of ``config.toml``."""
    from sciml.cli.settings import pairs
    from sciml.errors import InputError
    from sciml.io import read_toml

    settings = pairs(given, "nu=0.01")
    if not problem.endswith(".toml"):
        return {"problem": {"name": problem, "settings": settings}, "solver": {"name": SOLVER}}
    request = read_toml(Path(problem))
    if not {"problem", "solver"} <= request.keys():
        raise InputError(f"{problem} is not the config.toml of a run: it has no [problem] and [solver]")
    if request["solver"].get("not_recorded"):
        lost = ", ".join(request["solver"]["not_recorded"])
        raise InputError(f"{problem} could not record the solver's {lost}; repeat that run from Python")
    request["problem"]["settings"] = request["problem"].get("settings", {}) | settings
    return request


def _print(folder: Path) -> None:
    from sciml.cli.output import print_table

    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    rows = {
        "relative L2": metrics["relative_l2"],
        "error estimate": metrics["error_estimate"],
        "coefficients": metrics["parameters"],
        "seconds": metrics["seconds"],
        "steps": metrics["steps"],
        "stopped": metrics["stop_reason"],
        "folder": str(folder),
    }
    print_table({name: value for name, value in rows.items() if value != {}})
