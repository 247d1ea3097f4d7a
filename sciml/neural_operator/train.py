"""Train an operator on a file of trajectories, and load what was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from sciml import io, run
from sciml.api import choose_device, interactive
from sciml.data import Trajectories, open_trajectories
from sciml.errors import InputError
from sciml.neural_operator.evaluate import evaluate
from sciml.neural_operator.folder import finish
from sciml.recipes.operator import OperatorTraining, build_operator, build_solver, split_settings, train_operator
from sciml.registry import get_problem
from sciml.settings import recordable
from sciml.solvers import GridOperator, NeuralOperator
from sciml.solvers.operator import Signature
from sciml.training import History
from sciml.training.distributed import rank

EPOCHS = 20


@dataclass(frozen=True)
class Trained:
    """What training leaves: the operator, the content of ``metrics.json`` and the run by row."""

    operator: GridOperator
    metrics: dict[str, Any]
    history: History


def train(
    operator: str,
    data: str | Path | Trajectories,
    *,
    seconds: float | None = None,
    epochs: int | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    folder: str | Path | None = None,
    resume: str | Path | None = None,
    progress: bool | None = None,
    callbacks: Sequence[Any] = (),
    loggers: Sequence[Any] = (),
    **settings: Any,
) -> Trained:
    """Train a registered operator on trajectories and evaluate it on those held out.

    Args:
        operator: its name, such as "drift_net".
        data: a file or folder of trajectories.
        seconds, epochs: budget in wall-clock seconds of training, or in passes over all pairs of snapshots; 20 epochs when
            neither is given.
        seed: of the weights and of everything that is drawn at random.
        device: where to compute; the accelerator when there is one, otherwise the CPU.
        folder: write the whole run there.
        resume: folder of an earlier run of the same operator, data and settings, to continue from its checkpoint;
            ``folder`` is the same one unless given.
        progress: show a progress bar; by default in a terminal or a notebook.
        callbacks, loggers: handed to the trainer.
        settings: of the network (arguments of its class) and of its training (``OperatorTraining``).

    Raises:
        InputError: any argument that cannot be used, before anything is computed; a finished run that is resumed without
            a larger budget.
        DivergenceError: the very first loss is not finite.
    """
    _check(seconds, epochs, seed)
    network, training = split_settings(operator, settings)
    trajectories = data if isinstance(data, Trajectories) else open_trajectories(data)
    signature, grid = Signature.of(trajectories), [len(axis) for axis in trajectories.grid.values()]
    samples = range(len(trajectories) - training.held_out(len(trajectories)), len(trajectories))
    place = choose_device(device)
    model = build_operator(operator, network, signature, grid, seed).to(place)
    problem = get_problem(trajectories.problem, trajectories.settings) if training.physics else None
    solver = build_solver(model, trajectories, training, problem)
    if seconds is None and epochs is None:
        epochs = EPOCHS
    configuration = _configuration(operator, network, training, trajectories, signature, grid)
    configuration["run"] = {"seed": seed, "seconds": seconds, "epochs": epochs, "device": str(place)}
    continued = None if resume is None else Path(resume)
    target = continued if folder is None else Path(folder)
    checkpoint = None if continued is None else run.checkpoint_of(continued, configuration)
    main = rank() == 0  # of several processes, the main one writes the folder
    if main and target is not None and target != continued:
        run.start(target, configuration)
    result = train_operator(
        solver, training, seconds=seconds, epochs=epochs, seed=seed, folder=target, resume=checkpoint,
        progress=interactive() if progress is None else progress, callbacks=callbacks, loggers=loggers,
    )  # fmt: skip
    if main and target is not None and target == continued:
        run.go_on(target, result, configuration)
    trained = solver.trained
    if not main:
        return Trained(trained, {}, result.history)
    found = _metrics(configuration, result, training) | _test(evaluate(trained, trajectories, samples))
    if target is not None:
        finish(target, trained, trajectories, samples[0], found, result.history)
    return Trained(trained, found, result.history)


def load_operator(folder: str | Path) -> GridOperator:
    """The operator that ``train`` left in ``folder``, on the CPU; call ``.to(device)`` to move it.

    Raises:
        InputError: the folder holds no finished training.
    """
    folder = Path(folder)
    solver = io.read_toml(folder / "config.toml").get("solver", {})
    if solver.get("name") != NeuralOperator.name:
        raise InputError(f"{folder} holds a run of the solver {solver.get('name')!r}; give the folder of `sciml train`")
    described = solver["configuration"]
    signature = Signature(**described["signature"])
    model = build_operator(described["operator"], described["settings"], signature, described["grid"])
    io.load_weights(model, folder / "weights.safetensors")
    return model.eval()


def _configuration(
    operator: str, network: dict[str, Any], training: OperatorTraining, data: Trajectories, signature: Signature,
    grid: list[int],
) -> dict[str, Any]:  # fmt: skip
    settings, lost = recordable(network)
    if lost:
        raise InputError(f"the setting {lost[0]}={network[lost[0]]!r} cannot be recorded; give numbers and texts")
    chosen, _ = recordable(asdict(training))
    described = {"operator": operator, "settings": settings, "signature": signature.configuration(), "grid": grid}
    options = {"operator": operator, "data": str(data.path.resolve())} | settings | chosen
    return {
        "problem": {"name": data.problem, "settings": dict(data.settings)},
        "solver": {"name": NeuralOperator.name, "options": options, "configuration": described},
    }


def _metrics(configuration: Mapping[str, Any], result: Any, training: OperatorTraining) -> dict[str, Any]:
    return run.facts(result, configuration) | {
        "operator": configuration["solver"]["options"]["operator"],
        "options": configuration["solver"]["options"],
        "parameters": sum(parameter.numel() for parameter in result.solver.operator.parameters()),
        "pairs": len(result.solver),
        "samples_per_second": result.steps * min(training.batch, len(result.solver)) / max(result.seconds, 1e-9),
        "error_estimate": None,
    }


def _test(found: Mapping[str, Any]) -> dict[str, Any]:
    """The figures on the trajectories held out, those that are compared most at the top."""
    return {
        "relative_l2": found["relative_l2_by_group"],
        "test_relative_l1": found["relative_l1"],
        "test_relative_l2": found["relative_l2_mean"],
        "rollout_relative_l1": found.get("rollout", {}).get("relative_l1", []),
        "test": dict(found),
    }


def _check(seconds: Any, epochs: Any, seed: Any) -> None:
    if seconds is not None and not seconds > 0:
        raise InputError(f"seconds must be a positive number, got {seconds!r}")
    if epochs is not None and (not isinstance(epochs, int) or epochs < 1):
        raise InputError(f"epochs must be a positive whole number, got {epochs!r}")
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed must be a whole number of at least 0, got {seed!r}")
