"""``sciml train``: train a neural operator on trajectories and leave a folder with everything about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def command(
    operator: Annotated[
        str,
        typer.Argument(metavar="OPERATOR", help="A registered name (see sciml list), or a run's config.toml to repeat it."),
    ],
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Trajectories: a file of sciml data, or one in another layout.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the network or of its training; repeatable."),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Budget of wall-clock time of the training.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over all pairs of snapshots; 20 by default.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random; 0 by default.")] = None,
    device: Annotated[str | None, typer.Option(help="Where to compute, such as cpu or cuda:1.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the run; runs/OPERATOR-FILE-SEED by default.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(metavar="DIR", help="Continue the run in this folder.")] = None,
) -> None:
    """Train a neural operator; print its errors on trajectories held out, write weights, metrics, pictures and a report."""
    from sciml.cli.settings import pairs
    from sciml.errors import InputError
    from sciml.io import unused_folder
    from sciml.neural_operator import train
    from sciml.training.distributed import rank

    given = pairs(settings or [], "lead_steps=4")
    run: dict[str, Any] = {}
    again = Path(operator) if operator.endswith(".toml") else None
    if again or resume:
        recorded, file, options, run = _recorded(again or (resume or Path()) / "config.toml")
        operator, data, given = recorded if again else operator, data or file, options | given
    if data is None:
        raise InputError("--data FILE is missing: the trajectories to learn from; `sciml data` makes some")
    if seconds is None and epochs is None:
        seconds, epochs = run.get("seconds"), run.get("epochs")
    seed = run.get("seed", 0) if seed is None else seed
    folder = out or resume or unused_folder(Path("runs") / f"{operator}-{data.stem}-{seed}")
    trained = train(
        operator, data, seconds=seconds, epochs=epochs, seed=seed, device=device, folder=folder, resume=resume,
        progress=True, **given,
    )  # fmt: skip
    if rank() == 0:
        _print(trained.metrics, folder)


def _recorded(path: Path) -> tuple[str, Path, dict[str, Any], dict[str, Any]]:
    """Operator, data, settings and [run] of an earlier run's ``config.toml``."""
    from sciml.errors import InputError
    from sciml.io import read_toml

    configuration = read_toml(path)
    options = dict(configuration.get("solver", {}).get("options", {}))
    if not {"operator", "data"} <= options.keys():
        raise InputError(f"{path} is not the config.toml of a trained operator; give a name from `sciml list operators`")
    return options.pop("operator"), Path(options.pop("data")), options, configuration.get("run", {})


def _print(metrics: dict[str, Any], folder: Path) -> None:
    from sciml.cli.output import print_table

    rollout = metrics["rollout_relative_l1"]
    rows = {
        "test relative L1": metrics["test_relative_l1"],
        "test relative L2": metrics["test_relative_l2"],
        "rollout, last step": rollout[-1] if rollout else None,
        "parameters": metrics["parameters"],
        "samples per second": metrics["samples_per_second"],
        "seconds": metrics["seconds"],
        "steps": metrics["steps"],
        "stopped": metrics["stop_reason"],
        "folder": str(folder),
    }
    print_table({name: value for name, value in rows.items() if value is not None})
