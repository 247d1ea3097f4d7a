"""Checkpoints from which a run continues exactly."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from sciml.errors import InputError
from sciml.losses import Fixed
from sciml.nn.sharding import held, is_share, share_like, whole
from sciml.training import distributed
from sciml.training.callback import Callback
from sciml.training.epochs import Epochs
from sciml.training.history import History
from sciml.training.run import PhaseReport, Run

_FILE = "state.pt"
_ATTRIBUTES = ("phase_step", "seconds", "phase_began", "evaluated", "lowest", "converged", "errors")


def save_checkpoint(run: Run, folder: Path) -> Path | None:
    """Replace ``folder/checkpoint`` in one stroke, so that whatever happens a complete one is there.

    Returns its path; None where nothing was written: on other processes than the main one, and when weights are not
    finite, which must not replace a good checkpoint.
    """
    found = distributed.gather((_own_state(run), _is_sound(run)))
    state = _full(_shared_state(run), keep=distributed.rank() == 0)
    if distributed.rank() > 0 or not all(sound for _, sound in found):
        return None
    path = folder / "checkpoint"
    path.mkdir(parents=True, exist_ok=True)
    partial = path / f"{_FILE}.partial"
    with partial.open("wb") as file:
        torch.save(state | {"ranks": [own for own, _ in found]}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path / _FILE)
    return path


def load_checkpoint(run: Run, path: Path) -> None:
    """Continue ``run``, which has just begun, from the checkpoint at ``path`` or in the run's folder ``path``.

    Raises:
        InputError: there is no readable checkpoint, or it belongs to other phases or to another solver.
    """
    state = _read(path, run)
    _check(run, state, path)
    for index in range(state["index"] + 1):  # the same casts as before, for buffers that no state holds
        run.enter(index)
    own_part = run.solver.state_dict()
    run.solver.load_state_dict({name: share_like(value, own_part[name]) for name, value in state["solver"].items()})
    run.step = state["step"]
    run.prepare()
    run.optimiser.load_state_dict(state["optimiser"])
    for name in _ATTRIBUTES:
        setattr(run, name, state[name])
    run.history = History(state["history"])
    run.reports = [PhaseReport(**report) for report in state["reports"][: run.index]]
    for name, callback in _named(run.callbacks).items():
        if name in state["callbacks"]:
            callback.load_state_dict(state["callbacks"][name])
    own = state["ranks"][min(distributed.rank(), len(state["ranks"]) - 1)]  # all alike where their number may change
    run.generator.set_state(own["generator"].cpu())
    run.sampler.load_state_dict(own["sampler"])
    if run.phase.weighting is not None:
        run.phase.weighting.load_state_dict(own["weighting"])
    weights = {name: weight.to(run.device) for name, weight in state["weights"].items()}
    run.objective.restore(run.sampler.batch or {}, weights, state["version"])


def _shared_state(run: Run) -> dict[str, Any]:
    return {
        "identity": _identity(run),
        "solver": run.solver.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "weights": dict(run.objective.weights),
        "version": run.objective.version,
        "index": run.index,
        "step": run.step,
        "history": run.history.to_dict(),
        "reports": [asdict(report) for report in run.reports],
        "callbacks": {name: state for name, c in _named(run.callbacks).items() if (state := c.state_dict())},
    } | {name: getattr(run, name) for name in _ATTRIBUTES}


def _is_sound(run: Run) -> bool:
    """Whether all weights are finite, as far as this process holds them."""
    return not run.diverged and all(bool(held(parameter).isfinite().all()) for parameter in run.objective.parameters)


def _full(state: Any, keep: bool) -> Any:
    """``state`` with whole tensors in the place of shares, so that it is that of a single process; None unless kept."""
    if isinstance(state, dict):
        return {name: _full(value, keep) for name, value in state.items()}
    if isinstance(state, list):
        return [_full(value, keep) for value in state]
    if isinstance(state, torch.Tensor) and is_share(state):
        tensor = whole(state)
        return tensor.cpu() if keep else None
    return state


def _named(callbacks: Sequence[Callback]) -> dict[str, Callback]:
    """Callbacks by class name, numbered, so that those without a state may come and go."""
    kinds = [type(callback).__name__ for callback in callbacks]
    return {f"{kind} {kinds[:i].count(kind)}": callbacks[i] for i, kind in enumerate(kinds)}


def _own_state(run: Run) -> dict[str, Any]:
    """What differs between the processes of a distributed run."""
    return {
        "generator": run.generator.get_state(),
        "sampler": run.sampler.state_dict(),
        "weighting": {} if run.phase.weighting is None else run.phase.weighting.state_dict(),
    }


def _identity(run: Run) -> dict[str, Any]:
    """What the runs before and after must share."""
    return {
        "phases": [phase.description for phase in run.phases],
        "parameters": {name: list(tensor.shape) for name, tensor in run.solver.state_dict().items()},
        "seed": run.seed,
        "processes": distributed.world_size(),
    }


def _check(run: Run, state: dict[str, Any], path: Path) -> None:
    earlier, now = state["identity"], _identity(run)
    for what in ("processes", "seed", "phases", "parameters"):
        if earlier[what] != now[what] and not (what == "processes" and _any_processes(run)):
            raise InputError(
                f"{path} holds a run with other {what}: {_difference(earlier[what], now[what])}; "
                "resume with the same, or start a new run"
            )


def _any_processes(run: Run) -> bool:
    """Whether the number of processes makes no difference: they share every batch, and no weight is learned."""
    return all(isinstance(phase.sampler, Epochs) and isinstance(phase.weighting, Fixed | None) for phase in run.phases)


def _difference(earlier: Any, now: Any) -> str:
    if isinstance(now, list) and len(now) == len(earlier):
        return next(f"{a} and now {b}" for a, b in zip(earlier, now, strict=True) if a != b)
    if isinstance(now, dict):
        names = [name for name in {**earlier, **now} if earlier.get(name) != now.get(name)]
        return f"{names[0]!r} has shape {earlier.get(names[0])} and now {now.get(names[0])}"
    return f"{earlier} and now {now}"


def _read(path: Path, run: Run) -> dict[str, Any]:
    file = path / _FILE if (path / _FILE).exists() else path / "checkpoint" / _FILE
    shares = is_share(run.objective.parameters[0])  # of a file that need not fit into anyone's memory
    try:
        return torch.load(file, "cpu" if shares else run.device, weights_only=True, mmap=shares)
    except FileNotFoundError:
        raise InputError(f"there is no checkpoint in {path}; start a new run") from None
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"the checkpoint {file} cannot be read: {error}") from error
