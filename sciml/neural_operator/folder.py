"""The folder of a training run, when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sciml import io
from sciml.data import Trajectories
from sciml.neural_operator.picture import TIME, example
from sciml.solvers.operator import GridOperator
from sciml.training import History
from sciml.viz import plot_convergence, plot_errors, plot_fields, to_png


def finish(
    folder: Path, operator: GridOperator, data: Trajectories, sample: int, metrics: Mapping[str, Any], history: History
) -> None:
    """Write weights, metrics, history, the prediction of trajectory number ``sample``, pictures and a report."""
    io.save_weights(operator, folder / "weights.safetensors")
    history.to_csv(folder / "history.csv")
    computed, true = example(operator, data, sample)
    io.save_dataset(computed, folder / "solution.nc")
    picture = to_png(plot_fields(computed, true, None if operator.signature.steady else TIME))
    (folder / "solution.png").write_bytes(picture)
    pictures = {f"Trajectory {sample}, held out": picture}
    rollout = metrics["test"].get("rollout")
    if rollout:
        pictures["Rollouts of the trajectories held out"] = to_png(plot_errors(rollout))
    pictures["Convergence"] = to_png(plot_convergence(io.read_history(folder / "history.csv")))
    names = ("test_relative_l1", "test_relative_l2", "rollout_relative_l1", "stop_reason")
    run = ("operator", "problem", "parameters", "pairs", "samples_per_second", "seconds", "steps", "seed", "device")
    tables = {
        "Result": {name.replace("_", " "): metrics[name] for name in names},
        "Run": {name.replace("_", " "): metrics[name] for name in run},
        "Options": metrics["options"],
        "Data": metrics["settings"],
        "Versions": metrics["versions"],
    }
    io.write_report(folder / "report.html", f"{metrics['operator']} on {metrics['problem']}", tables, pictures)
    io.write_json(folder / "metrics.json", metrics)  # the last one: with it the run is finished
