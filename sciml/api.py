"""Solve a problem with one call, and load what was solved."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sciml import run
from sciml.errors import InputError, nearest
from sciml.io import load_weights, read_toml
from sciml.registry import Recipe, describe, get_problem, get_solver
from sciml.settings import recordable
from sciml.solution import Solution
from sciml.training.distributed import rank

if TYPE_CHECKING:
    from sciml.problem import Problem


def solve(
    problem: Problem | str,
    solver: str = "pinn",
    *,
    seconds: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    folder: str | Path | None = None,
    resume: str | Path | None = None,
    progress: bool | None = None,
    callbacks: Sequence[Any] = (),
    loggers: Sequence[Any] = (),
    **options: Any,
) -> Solution:
    """Solve ``problem``.

    Args:
        problem: a declared problem, or the name of a registered one.
        solver: name of a registered solver.
        seconds, steps: budget in wall-clock seconds or in optimiser steps; the solver's own when neither is given.
        seed: of everything that is drawn at random.
        device: where to compute; the accelerator when there is one that has double precision, otherwise the CPU.
        folder: write the whole run there: metrics, configuration, history, fields, weights, pictures and a report.
        resume: folder of an earlier run of the same problem, solver and seed, to continue from its checkpoint;
            ``folder`` is the same one unless given.
        progress: show a progress bar; by default in a terminal or a notebook.
        callbacks, loggers: handed to the trainer.
        options: of the solver.

    Raises:
        InputError: any argument that cannot be used, before anything is computed; a finished run that is resumed without
            a larger budget.
        DivergenceError: no finite solution was reached.
    """
    recipe = get_solver(solver)
    if isinstance(problem, str):
        problem = get_problem(problem)
    _check(problem, solver, recipe, seconds, steps, seed, options)
    place = choose_device(device)
    configuration = _configuration(problem, solver, options) | {
        "run": {"seed": seed, "seconds": seconds, "steps": steps, "device": str(place)}
    }
    continued = None if resume is None else Path(resume)
    target = continued if folder is None else Path(folder)
    checkpoint = None if continued is None else run.checkpoint_of(continued, configuration)
    main = rank() == 0  # of several processes, the main one writes the folder
    if main and target is not None and target != continued:
        run.start(target, configuration)
    result = recipe.solve(
        problem,
        seconds=seconds,
        steps=steps,
        seed=seed,
        device=place,
        folder=target,
        resume=checkpoint,
        progress=interactive() if progress is None else progress,
        callbacks=callbacks,
        loggers=loggers,
        **options,
    )
    if main and target is not None:
        if target == continued:
            run.go_on(target, result, configuration)
        run.finish(target, result, configuration)
    return result.solution


def load(folder: str | Path, problem: Problem | None = None) -> Solution:
    """The solution that ``Solution.save`` or a run wrote to ``folder``.

    Args:
        problem: what was solved; needed only where ``config.toml`` cannot describe it, as with a function among the
            settings.

    Raises:
        InputError: the folder holds no solution, or ``problem`` is needed.
    """
    folder = Path(folder)
    configuration = read_toml(folder / "config.toml")
    try:
        described, solver = configuration["problem"], configuration["solver"]
        name, rebuilt = solver["name"], solver["configuration"]
    except KeyError as error:
        raise InputError(f"{folder} holds no finished solution: config.toml has no {error}") from None
    if name == "operator":
        raise InputError(f"{folder} holds a trained operator; use sciml.load_operator")
    if problem is None:
        problem = rebuild(described)
    evaluator = get_solver(name).solver.from_configuration(problem, rebuilt)  # type: ignore[attr-defined]
    load_weights(evaluator, folder / "weights.safetensors")
    return Solution(problem, evaluator)


def rebuild(described: dict[str, Any]) -> Problem:
    """The problem that a ``config.toml`` describes; raises InputError where it cannot."""
    if described.get("not_recorded"):
        lost = ", ".join(described["not_recorded"])
        raise InputError(f"config.toml does not record {lost} of the problem; build it in Python, pass it as problem=")
    return get_problem(described["name"], described.get("settings", {}))


def _configuration(problem: Problem, solver: str, options: dict[str, Any]) -> dict[str, Any]:
    recorded, lost = recordable(options)
    described: dict[str, Any] = {"name": solver, "options": recorded}
    return {"problem": describe(problem), "solver": described | ({"not_recorded": lost} if lost else {})}


def _check(
    problem: Any, solver: str, recipe: Recipe, seconds: Any, steps: Any, seed: Any, options: dict[str, Any]
) -> None:
    from sciml.problem import Problem

    if not isinstance(problem, Problem):
        hint = f"; write {problem.__name__}()" if isinstance(problem, type) else ""
        raise InputError(f"problem must be an instance of a sciml.Problem, got {problem!r}{hint}")
    for name in options:
        if name not in recipe.options:
            raise InputError(f"solver {solver!r} has no option {name!r}; {nearest(name, recipe.options)}")
    if seconds is not None and not (_is_number(seconds) and 0 < seconds < math.inf):
        raise InputError(f"seconds must be a positive number, got {seconds!r}")
    if steps is not None and not (_is_whole(steps) and steps > 0):
        raise InputError(f"steps must be a positive whole number, got {steps!r}")
    if not (_is_whole(seed) and 0 <= seed < 2**63):
        raise InputError(f"seed must be a whole number of at least 0, got {seed!r}")
    problem.validate()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def choose_device(device: str | torch.device | None) -> torch.device:
    """The device that is meant; the accelerator, where there is one with double precision, for None."""
    if device is None:
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        if accelerator is None or not _has_double(accelerator):
            return torch.device("cpu")
        local = os.environ.get("LOCAL_RANK")  # torchrun's processes take one accelerator each
        return accelerator if local is None else torch.device(accelerator.type, int(local))
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"device {str(device)!r} cannot be used ({reason}); try 'cpu'") from error
    return place


def _has_double(device: torch.device) -> bool:
    try:
        torch.empty(0, device=device, dtype=torch.float64)
    except (RuntimeError, TypeError):
        return False
    return True


def interactive() -> bool:
    return sys.stderr.isatty() or "ipykernel" in sys.modules
