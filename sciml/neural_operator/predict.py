"""Predictions of an operator for a file of trajectories, written as NetCDF."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sciml import metrics
from sciml.data import Trajectories
from sciml.errors import InputError
from sciml.neural_operator.evaluate import SAMPLES, predict_fields
from sciml.neural_operator.picture import TIME
from sciml.solvers.operator import GridOperator


def predict(
    operator: GridOperator,
    data: Trajectories,
    path: str | Path,
    steps: int | None = None,
    samples: int | None = None,
    each: Callable[[], object] | None = None,
) -> dict[str, Any]:
    """Roll out every trajectory of ``data`` from its first snapshot and write all predictions to ``path``.

    The file has the dimensions sample, time (unless the fields are steady) and those of the grid, and a variable a channel.

    Args:
        steps: of the rollout, also beyond the times of the data; as many as the data have by default. None for steady
            fields.
        samples: the first so many; all by default.
        each: called after every step of computation.

    Returns:
        The figures of ``metrics.summary`` on the steps for which the data hold the truth, empty without any.

    Raises:
        InputError: data of other channels, axes or time step, steps or samples out of range, or a file that cannot be
            written.
    """
    signature = operator.signature
    signature.check(data)
    count = len(data) if samples is None else samples
    if not 1 <= count <= len(data):
        raise InputError(f"samples must be between 1 and {len(data)}, the trajectories of {data.path}, got {samples}")
    steps = _steps(operator, data, steps)
    figures = []
    times = None if steps is None else data.times[0] + signature.step * (torch.arange(steps).double() + 1).numpy()
    with _written(Path(path), data, count, times) as write:
        for start in range(0, count, SAMPLES):
            chunk = slice(start, min(start + SAMPLES, count))
            inputs = data.inputs(chunk) if data.input_channels else None
            fields = data.read(chunk) if steps is None else data.read(chunk, slice(0, steps + 1))
            computed = predict_fields(operator, fields[:, 0, :0] if steps is None else fields[:, 0], inputs, steps, each)
            write(chunk, computed)
            true, told = (fields, computed[:, None]) if steps is None else (fields[:, 1:], computed[:, : fields.shape[1] - 1])
            if true.shape[1]:
                leads = [0.0] if steps is None else [signature.step * (i + 1) for i in range(true.shape[1])]
                figures.append(metrics.rollout_figures(told, true, signature.groups, leads, all(signature.periodic)))
    return metrics.summary({k: torch.cat([found[k] for found in figures]) for k in figures[0]}) if figures else {}


def _steps(operator: GridOperator, data: Trajectories, steps: int | None) -> int | None:
    """The steps of the rollout, None for steady fields."""
    if operator.signature.steady:
        if steps is not None:
            raise InputError(f"the operator predicts steady fields, which have no {steps} steps; leave steps out")
        return None
    if len(data.times) > 1:
        step = float(data.times[1] - data.times[0])
        if abs(step - operator.signature.step) > 1e-3 * operator.signature.step:
            raise InputError(
                f"the snapshots of {data.path} are {step:g} apart, those that the operator learned from "
                f"{operator.signature.step:g}; write the data with that step"
            )
    steps = len(data.times) - 1 if steps is None else steps
    if steps < 1:
        raise InputError(f"steps must be at least 1, got {steps}")
    return steps


@contextmanager
def _written(
    path: Path, data: Trajectories, samples: int, times: Sequence[float] | Any
) -> Iterator[Callable[[slice, Tensor], None]]:
    """A function that writes fields (n, [times], channels, *grid) of a slice of samples; the file appears when all are in."""
    import h5netcdf

    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    axes = ({} if times is None else {TIME: times}) | dict(data.grid)
    try:
        with h5netcdf.File(partial, "w") as file:
            file.dimensions = {"sample": samples} | {name: len(values) for name, values in axes.items()}
            file.attrs["problem"], file.attrs["settings"] = data.problem, json.dumps(data.settings)
            for name, values in axes.items():
                file.create_variable(name, (name,), data=values)
            chunks = (1, *([1] if times is not None else []), *map(len, data.grid.values()))
            variables = [
                file.create_variable(name, ("sample", *axes), "f4", chunks=chunks, compression="gzip", compression_opts=1)
                for name in data.channels
            ]

            def write(chunk: slice, fields: Tensor) -> None:
                for variable, values in zip(variables, fields.movedim(-len(data.grid) - 1, 0), strict=True):
                    variable[chunk] = values.float().numpy()

            yield write
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
