"""What an operator predicts for one trajectory, as labelled fields beside the true ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from sciml.data import Trajectories
from sciml.neural_operator.evaluate import predict_fields
from sciml.solvers.operator import GridOperator

if TYPE_CHECKING:
    import xarray as xr

TIME = "time"


def example(
    operator: GridOperator, data: Trajectories, sample: int, steps: int | None = None
) -> tuple[xr.Dataset, xr.Dataset | None]:
    """The computed and the true fields of trajectory number ``sample``: those of a rollout begin with the first snapshot
    and end with the data; where these hold that snapshot alone, the rollout has ``steps``, and nothing is known to be true.
    """
    inputs = data.inputs([sample]) if data.input_channels else None
    fields = data.read([sample])
    if operator.signature.steady:
        computed = predict_fields(operator, fields[:, 0, :0], inputs)[0]
        return labelled(data, computed), labelled(data, fields[0, 0])
    known = len(data.times) - 1
    count = known if steps is None else min(steps, known or steps)
    computed = torch.cat([fields[0, :1], predict_fields(operator, fields[:, 0], inputs, count)[0]])
    times = data.times[0] + operator.signature.step * np.arange(count + 1)
    return labelled(data, computed, times), labelled(data, fields[0, : count + 1], times) if known else None


def labelled(data: Trajectories, fields: Tensor, times: np.ndarray | None = None) -> xr.Dataset:
    """Fields ([times], channels, *grid) as a data set."""
    import xarray as xr

    coordinates = ({} if times is None else {TIME: times}) | dict(data.grid)
    channels = fields.movedim(-len(data.grid) - 1, 0).numpy()
    return xr.Dataset(
        {name: (tuple(coordinates), values) for name, values in zip(data.channels, channels, strict=True)}, coords=coordinates
    )
