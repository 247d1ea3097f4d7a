"""Random instances of a problem, solved: the contents of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import torch
from torch import Tensor

from sciml.data.layout import Header
from sciml.data.write import Batch
from sciml.errors import InputError, nearest
from sciml.problem import Problem, RandomProblem, Simulation
from sciml.reference import solve_periodic
from sciml.registry import describe

_CACHE, _DEVICE = 2**15, 2**22  # points of the grid times instances solved at once, on the CPU and elsewhere


def generate(
    problem: Problem,
    samples: int,
    resolution: int,
    *,
    times: int = 21,
    refine: int = 1,
    channels: Sequence[str] | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> tuple[Header, Iterator[Batch]]:
    """Solve random instances of a problem, batch by batch, for ``write_trajectories``.

    The same arguments give the same numbers. The seed of every instance is stored as a parameter, so that the problem of any
    trajectory can be built again.

    Args:
        problem: any instance of the family; its settings, apart from the seed, hold for all.
        samples: number of instances.
        resolution: points of the grid along every axis.
        times: number of equally spaced times from ``problem.warm_up`` to the end; a steady problem has a single one.
        refine: the solver's grid is so many times as fine as the one that is stored.
        channels: fields to store; those of ``problem.channels`` by default.
        seed: of the instances.
        device: where to compute, in float64.

    Returns:
        The header, and the batches, the first of which has been computed.

    Raises:
        InputError: the problem has no random data, a number is too small, a channel does not exist.
        DivergenceError: the solver left the finite numbers.
    """
    if not isinstance(problem, RandomProblem):
        raise InputError(
            f"{type(problem).__name__} has no random data to draw instances from; `sciml list data` shows the families, and a "
            "problem of your own becomes one as a subclass of sciml.RandomProblem"
        )
    numbers = {
        "samples": (samples, 1), "resolution": (resolution, 4), "times": (times, 2), "refine": (refine, 1), "seed": (seed, 0),
    }  # fmt: skip
    for name, (value, least) in numbers.items():
        if value < least:
            raise InputError(f"{name} must be at least {least}, got {value}")
    instants = torch.zeros(1, dtype=torch.float64)
    if problem.time is not None:
        instants = torch.linspace(problem.warm_up, problem.domain.time.bounds[1].item(), times, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    instances = [problem.sample(generator) for _ in range(samples)]
    place = torch.device(device)
    size = max(1, (_CACHE if place.type == "cpu" else _DEVICE) // (resolution * refine) ** len(problem.space))
    groups = [instances[i : i + size] for i in range(0, samples, size)]
    solved = ((group, _simulate(group, resolution, instants, refine, place)) for group in groups)
    first, simulation = next(solved)
    names = _channels(problem, simulation, channels)
    provenance: dict[str, object] = {"seed": seed, "refine": refine}
    if not hasattr(problem, "simulate"):
        provenance["finest_waves"] = finest_waves(torch.stack([simulation.fields[name] for name in names], dim=2))
    header = _header(problem, simulation, names, instants, provenance)
    return header, (_batch(group, done, names) for group, done in chain([(first, simulation)], solved))


def finest_waves(fields: Tensor) -> float:
    """How much of a periodic field (samples, times, channels, *grid) is in the finest third of its waves along some axis.

    It is the norm of these waves over that of all but the mean, of the worst channel and sample at the last time: small when
    the grid resolves the field.
    """
    axes = tuple(range(2, fields.ndim - 1))
    power = torch.fft.fftn(fields[:, -1], dim=axes).abs().square()
    power[(..., *(0,) * len(axes))] = 0
    fine = torch.zeros(fields.shape[3:], dtype=torch.bool, device=fields.device)
    for axis, n in enumerate(fields.shape[3:]):
        waves = torch.fft.fftfreq(n, 1 / n, device=fields.device).abs()
        fine |= (waves > n / 3).reshape(-1, *(1,) * (len(axes) - axis - 1))
    share = (power * fine).sum(axes) / power.sum(axes).clamp(min=torch.finfo(power.dtype).tiny)
    return share.max().sqrt().item()


def _simulate(instances: Sequence[RandomProblem], points: int, times: Tensor, refine: int, device: torch.device) -> Simulation:
    first = instances[0]
    if hasattr(first, "simulate"):
        return first.simulate(instances, points, times, refine, device)
    fields = solve_periodic(instances, points, times, refine=refine, courant=first.courant, device=device)
    low, high = (bound[list(first.space_axes)].tolist() for bound in first.domain.bounds)
    fraction = torch.arange(points, dtype=torch.float64, device=device) / points
    axes = {name: a + (b - a) * fraction for name, a, b in zip(first.space, low, high, strict=True)}
    return Simulation(fields, axes, (True,) * len(axes))


def _channels(problem: RandomProblem, simulation: Simulation, chosen: Sequence[str] | None) -> list[str]:
    names = list(chosen or problem.channels or problem.unknowns)
    for name in names:
        if name not in simulation.fields:
            raise InputError(f"channels: {type(problem).__name__} has no field {name!r}; {nearest(name, simulation.fields)}")
    return names


def _header(
    problem: RandomProblem, simulation: Simulation, names: Sequence[str], times: Tensor, provenance: dict[str, object]
) -> Header:
    described = describe(problem)
    return Header(
        problem=described["name"],
        channels=tuple(names),
        groups=tuple(problem.channels.get(name, name) for name in names),
        times=times.numpy(),
        grid={name: axis.cpu().numpy() for name, axis in simulation.axes.items()},
        periodic=simulation.periodic,
        input_channels=tuple(simulation.inputs),
        settings={name: value for name, value in described["settings"].items() if name != "seed"},
        provenance=provenance,
    )


def _batch(instances: Sequence[RandomProblem], simulation: Simulation, names: Sequence[str]) -> Batch:
    inputs = list(simulation.inputs.values())
    return Batch(
        fields=torch.stack([simulation.fields[name] for name in names], dim=2),
        inputs=torch.stack(inputs, dim=1) if inputs else None,
        parameters={"seed": torch.tensor([float(instance.seed) for instance in instances], dtype=torch.float64)},
    )
