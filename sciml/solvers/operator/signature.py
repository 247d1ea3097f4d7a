"""What a neural operator maps to what: the fields, their grid axes and the times between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from sciml.data import Trajectories
from sciml.errors import InputError


@dataclass(frozen=True)
class Signature:
    """Fields at one time, and further inputs that do not change, to the fields a lead time later; where there is only
    one time, the inputs to the steady fields.

    Attributes:
        channels, groups: names of the fields, and for every one the group in which errors are relative.
        input_channels: names of the inputs.
        axes, periodic: names of the grid axes, and whether the fields repeat along them.
        step: time between two snapshots of the training data, 0 for steady fields.
        unit: lead time that the network sees as one, the longest of the training data; 0 for steady fields.
    """

    channels: tuple[str, ...]
    groups: tuple[str, ...]
    input_channels: tuple[str, ...]
    axes: tuple[str, ...]
    periodic: tuple[bool, ...]
    step: float
    unit: float

    @classmethod
    def of(cls, data: Trajectories) -> Self:
        """Raises InputError when the data hold one time and no inputs: there is nothing to learn from."""
        times = data.times
        if len(times) == 1 and not data.input_channels:
            raise InputError("the data hold a single time and no inputs, so there is nothing to predict from")
        return cls(
            tuple(data.channels), tuple(data.groups), tuple(data.input_channels), tuple(data.grid),
            tuple(map(bool, data.periodic)), float(times[1] - times[0]) if len(times) > 1 else 0.0,
            float(times[-1] - times[0]),
        )  # fmt: skip

    @property
    def steady(self) -> bool:
        return self.step == 0

    @property
    def in_channels(self) -> tuple[str, ...]:
        """What the network takes: the fields, if they change, then the inputs."""
        return (() if self.steady else self.channels) + self.input_channels

    def check(self, data: Trajectories) -> None:
        """Raise InputError unless ``data`` hold what the operator was trained on, on whatever grid, at whatever times."""
        found = tuple(data.channels), tuple(data.input_channels), tuple(data.grid), tuple(map(bool, data.periodic))
        expected = self.channels, self.input_channels, self.axes, self.periodic
        for name, there, here in zip(("channels", "inputs", "axes", "periodic axes"), found, expected, strict=True):
            if there != here:
                raise InputError(f"the data have the {name} {_listed(there)}, but the operator was trained on {_listed(here)}")
        if self.steady and len(data.times) > 1:
            raise InputError(f"the data hold {len(data.times)} times, but the operator was trained on steady fields")

    def configuration(self) -> dict[str, Any]:
        """In TOML's types; ``Signature(**configuration)`` rebuilds it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values)) or "none"
