"""A network with the normalisation of its data: fields in their own units in and out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from sciml.data import Trajectories
from sciml.errors import InputError
from sciml.solvers.operator.signature import Signature

BYTES = 2**26  # read at once


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation (C,) of every channel, 1 where a channel is constant, and mean of |value| once
    normalised."""

    mean: Tensor
    deviation: Tensor
    magnitude: Tensor

    @classmethod
    def of(cls, read: Callable[[slice], Tensor], samples: int, sample_bytes: int) -> Self:
        """From ``read(samples) -> (n, ..., C, *grid)`` with the channels in axis 1, a few samples at a time."""
        count = max(1, BYTES // max(sample_bytes, 1))
        slices = [slice(start, min(start + count, samples)) for start in range(0, samples, count)]

        def average(function: Callable[[Tensor], Tensor]) -> Tensor:
            sums = [function(read(s).double().transpose(0, 1).flatten(1)) for s in slices]
            return torch.stack([values.sum(1) for values in sums]).sum(0) / sum(values.shape[1] for values in sums)

        mean = average(lambda values: values)
        deviation = average(lambda values: (values - mean[:, None]).square()).sqrt()
        constant = deviation <= 1e-6 * mean.abs()
        deviation = torch.where(constant | (deviation == 0), 1.0, deviation)
        magnitude = average(lambda values: ((values - mean[:, None]) / deviation[:, None]).abs())
        return cls(mean.float(), deviation.float(), magnitude.float())


class GridOperator(nn.Module):
    """What was learned: called with fields, a lead time and nothing else, and exported as it is.

    Args:
        network: called as ``network(x, time)``, x (B, in channels, *grid), time (B,) of order one; returns (B, channels,
            *grid).
        signature: what the channels are.
    """

    mean_in: Tensor
    deviation_in: Tensor
    mean_out: Tensor
    deviation_out: Tensor

    def __init__(self, network: nn.Module, signature: Signature) -> None:
        super().__init__()
        self.network, self.signature = network, signature
        for name, channels in (("in", signature.in_channels), ("out", signature.channels)):
            shape = (len(channels), *(1,) * len(signature.axes))
            self.register_buffer(f"mean_{name}", torch.zeros(shape))
            self.register_buffer(f"deviation_{name}", torch.ones(shape))

    def forward(self, x: Tensor, lead: Tensor | None = None) -> Tensor:
        """The fields (B, channels, *grid) a lead time (B,) after ``x`` (B, in channels, *grid), the fields and then the
        inputs; by default one step of the training data later. Steady fields have no lead time.

        Raises InputError for channels or grids that the network does not take.
        """
        if lead is None and not self.signature.steady:
            lead = x.new_full(x.shape[:1], self.signature.step)
        time = None if lead is None else lead / self.signature.unit
        y = self.network((x - self.mean_in) / self.deviation_in, time)
        return y.to(x.dtype) * self.deviation_out + self.mean_out

    @torch.no_grad()
    def rollout(self, x: Tensor, steps: int, lead: float | None = None, each: Callable[[], object] | None = None) -> Tensor:
        """The fields (B, steps, channels, *grid) after ``lead``, 2 ``lead``, ...: every prediction starts from the last.

        Args:
            x: the first fields and the inputs (B, in channels, *grid).
            lead: time of one step; by default that of the training data.
            each: called after every step.

        Raises:
            InputError: the fields are steady, or ``steps`` is below 1.
        """
        if self.signature.steady:
            raise InputError("the operator predicts steady fields, which have no next step; call it with the inputs")
        if steps < 1:
            raise InputError(f"steps must be at least 1, got {steps}")
        channels = len(self.signature.channels)
        leads = None if lead is None else x.new_full(x.shape[:1], lead)
        fields, inputs, path = x[:, :channels], x[:, channels:], []
        for _ in range(steps):
            fields = self(torch.cat([fields, inputs], 1), leads)
            path.append(fields)
            if each is not None:
                each()
        return torch.stack(path, 1)

    @torch.no_grad()
    def learn_normalisation(self, data: Trajectories, samples: int) -> Tensor:
        """Take mean and deviation from the first ``samples`` of ``data``; returns the mean (channels,) of the modulus of
        the normalised fields."""
        size = 4 * torch.Size((len(data.times), len(data.channels), *map(len, data.grid.values()))).numel()
        fields = Statistics.of(lambda s: data.read(s).flatten(0, 1), samples, size)
        mean, deviation = fields.mean, fields.deviation
        if self.signature.steady:
            mean, deviation = mean[:0], deviation[:0]
        if self.signature.input_channels:
            inputs = Statistics.of(lambda s: data.inputs(s), samples, size)
            mean, deviation = torch.cat([mean, inputs.mean]), torch.cat([deviation, inputs.deviation])
        for buffer, values in (
            (self.mean_in, mean), (self.deviation_in, deviation),
            (self.mean_out, fields.mean), (self.deviation_out, fields.deviation),
        ):  # fmt: skip
            buffer.copy_(values.reshape(buffer.shape))
        return fields.magnitude
