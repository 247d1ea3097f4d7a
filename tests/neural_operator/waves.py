"""Trajectories of which everything is known: smooth random waves that travel at a constant speed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sciml.data import Batch, Header, write_trajectories
from sciml.geometry import Rectangle, Time
from sciml.problem import Initial, Periodic, Problem

SPEED = 0.5, 0.25
STEP = 0.25


class Waves(Problem):
    """u_t + c . grad u = 0 on a periodic rectangle, twice as long as it is wide."""

    coordinates, unknowns = ("x", "y", "t"), ("u", "v")
    domain = Rectangle(("x", "y"), (0, 0), (2, 1)) * Time("t", 0, 1)

    def equations(self, u, v, x, y, t):
        return {f"transport_{n}": w.t + SPEED[0] * w.x + SPEED[1] * w.y for n, w in (("u", u), ("v", v))}

    def conditions(self):
        return [Initial(u=0.0, v=0.0), Periodic("x"), Periodic("y")]


def waves(samples: int, times: int, grid: tuple[int, ...], channels: int = 2, seed: int = 0) -> Tensor:
    """Fields (samples, times, channels, *grid) on a rectangle of length 2 and width 1, or an interval of length 2."""
    generator = torch.Generator().manual_seed(seed)
    axes = [torch.arange(n).double() * length / n for n, length in zip(grid, (2, 1), strict=False)]
    points = torch.meshgrid(*axes, indexing="ij")
    fields = torch.zeros(samples, times, channels, *grid, dtype=torch.float64)
    for _ in range(4):
        k = torch.randint(-2, 3, (len(grid), samples, channels), generator=generator).double()
        phase = 2 * math.pi * torch.rand(samples, channels, generator=generator).double()
        amplitude = torch.randn(samples, channels, generator=generator).double()
        for time in range(times):
            angle = phase[..., None, None][..., *[0] * (2 - len(grid))]
            for i, x in enumerate(points):
                wave = 2 * math.pi * k[i] / (2, 1)[i]
                shape = (samples, channels, *[1] * len(grid))
                angle = angle + wave.reshape(shape) * (x - SPEED[i] * time * STEP)
            fields[:, time] += amplitude.reshape(samples, channels, *[1] * len(grid)) * torch.cos(angle)
    return fields.float() + torch.tensor([1.0, -2.0])[:channels].reshape(-1, *[1] * len(grid))


def write_waves(path: Path, samples: int = 10, times: int = 5, grid: tuple[int, ...] = (16, 8), problem: str = "waves") -> Path:
    """A file of them."""
    lengths = {"x": 2.0, "y": 1.0}
    header = Header(
        problem=problem, channels=("u", "v"), groups=("velocity", "velocity"), times=STEP * np.arange(times),
        grid={name: lengths[name] * np.arange(n) / n for name, n in zip(lengths, grid, strict=False)},
        periodic=(True,) * len(grid),
    )  # fmt: skip
    write_trajectories(path, header, [Batch(waves(samples, times, grid))])
    return path


def write_squares(path: Path, samples: int = 10, grid: tuple[int, ...] = (12, 12)) -> Path:
    """Steady fields: a linear map of smooth inputs that do not repeat."""
    inputs = waves(samples, 1, grid, channels=1)[:, 0]
    header = Header(
        problem="squares", channels=("u",), groups=("u",), times=np.zeros(1),
        grid={name: np.linspace(0, 1, n) for name, n in zip(("x", "y"), grid, strict=False)}, periodic=(False,) * len(grid),
        input_channels=("a",),
    )  # fmt: skip
    write_trajectories(path, header, [Batch(inputs[:, None] ** 2, inputs)])
    return path


class Transport(nn.Module):
    """The exact solution operator of ``Waves`` for the right ``speed``, over lead times in units of ``unit``."""

    def __init__(self, speed: tuple[float, float] = SPEED, unit: float = 1.0) -> None:
        super().__init__()
        self.speed, self.unit = nn.Parameter(torch.tensor(speed)), unit

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        waves = [2 * math.pi * torch.fft.fftfreq(n, length / n) for n, length in zip(x.shape[2:], (2, 1), strict=True)]
        phase = self.speed[0] * waves[0][:, None] + self.speed[1] * waves[1]
        lead = (self.unit * time)[:, None, None, None]
        return torch.fft.ifft2(torch.fft.fft2(x) * torch.exp(-1j * lead * phase)).real
