"""What an operator is worth on trajectories that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from sciml import io, metrics
from sciml.data import Trajectories
from sciml.solvers.operator import GridOperator

SAMPLES = 16  # rolled out at once


def evaluate(
    operator: GridOperator, data: Trajectories, samples: Sequence[int], each: Callable[[], object] | None = None
) -> dict[str, Any]:
    """Figures of ``operator`` on the trajectories number ``samples``, in the units of the data.

    Steady fields have ``relative_l1`` and ``relative_l2`` alone; others also ``rollout``, the figures by step of
    ``metrics.summary`` when every step starts from the prediction of the last, from the first snapshot on.

    Args:
        each: called after every step of computation, ``computations(...)`` times in all.

    Raises:
        InputError: the data are of other channels or axes.
    """
    operator.signature.check(data)
    groups, steady = operator.signature.groups, operator.signature.steady
    one_step, rollouts = [], []
    for chunk in (samples[i : i + SAMPLES] for i in range(0, len(samples), SAMPLES)):
        inputs = data.inputs(chunk) if data.input_channels else None
        fields = data.read(chunk)
        true = fields if steady else fields[:, 1:]
        computed = []
        for start in [fields[:, 0, :0]] if steady else fields[:, :-1].unbind(1):
            computed.append(predict_fields(operator, start, inputs))
            if each is not None:
                each()
        one_step.append(_errors(torch.stack(computed, 1), true, groups))
        if not steady:
            path = predict_fields(operator, fields[:, 0], inputs, true.shape[1], each)
            leads = (data.times[1:] - data.times[0]).tolist()
            rollouts.append(metrics.rollout_figures(path, true, groups, leads, all(operator.signature.periodic)))
    errors = {name: torch.cat([found[name] for found in one_step]).flatten(0, 1) for name in one_step[0]}
    told: dict[str, Any] = {}
    for name, values in errors.items():
        told[name] = float(metrics.median(values).mean())
        told[f"{name}_mean"] = float(values.mean())
        told[f"{name}_by_group"] = dict(zip(dict.fromkeys(groups), metrics.median(values).tolist(), strict=True))
    if rollouts:
        joined = {name: torch.cat([found[name] for found in rollouts]) for name in rollouts[0]}
        told["rollout"] = metrics.summary(joined)
    return told


def computations(operator: GridOperator, data: Trajectories, samples: int) -> int:
    """How often ``evaluate`` calls its ``each``."""
    steps = 1 if operator.signature.steady else 2 * (len(data.times) - 1)
    return -(-samples // SAMPLES) * steps


def predict_fields(
    operator: GridOperator,
    fields: Tensor,
    inputs: Tensor | None,
    steps: int | None = None,
    each: Callable[[], object] | None = None,
) -> Tensor:
    """What follows ``fields`` (B, channels, *grid), wherever the operator computes: one step later (B, channels, *grid), or
    a rollout of ``steps`` (B, steps, channels, *grid). Steady fields follow from the ``inputs`` alone."""
    device, dtype = io.place_of(operator)
    x = (fields if inputs is None else torch.cat([fields, inputs], 1)).to(device, dtype)
    with torch.no_grad():
        return (operator(x) if steps is None else operator.rollout(x, steps, each=each)).to(fields)


def _errors(computed: Tensor, true: Tensor, groups: Sequence[str]) -> dict[str, Tensor]:
    return {
        "relative_l1": metrics.relative_l1(computed, true, groups),
        "relative_l2": metrics.relative_l2(computed, true, groups),
    }
