"""``sciml data``: solve random instances of a problem and write them to one file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sciml.data import Batch

_UNRESOLVED = 0.01
_LINE_INTERVAL = 10.0  # seconds


def command(
    family: Annotated[
        str, typer.Argument(metavar="FAMILY", help="A problem with random data (see sciml list data), or FILE.py:ClassName.")
    ],
    samples: Annotated[int, typer.Option(help="Number of instances.")],
    resolution: Annotated[int, typer.Option(help="Points of the grid along every axis.")],
    out: Annotated[Path, typer.Option(metavar="FILE.h5", help="The file to write.")],
    times: Annotated[int, typer.Option(help="Snapshots of each trajectory.")] = 21,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of the family; repeatable.")
    ] = None,
    channels: Annotated[
        str | None, typer.Option(metavar="A,B", help="Fields to store, such as w for the vorticity of a flow.")
    ] = None,
    refine: Annotated[int, typer.Option(help="Solve on a grid so many times as fine as the one that is stored.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the instances.")] = 0,
    device: Annotated[str | None, typer.Option(help="Where to compute, such as cpu or cuda:1.")] = None,
) -> None:
    """Solve random instances of a problem by a classical method and write the trajectories, to train operators on."""
    from sciml.api import choose_device
    from sciml.cli.output import print_table
    from sciml.cli.settings import pairs
    from sciml.data import generate, write_trajectories
    from sciml.errors import InputError
    from sciml.io import writable_folder
    from sciml.registry import get_family

    if out.exists():
        raise InputError(f"--out {out} exists; choose another name or delete it first")
    given = pairs(settings or [], "nu=0.001")
    if "seed" in given:
        raise InputError(f"--set seed={given['seed']} is the seed of a single instance; give that of the data set as --seed")
    problem = get_family(family, given)
    writable_folder(out.parent)
    begun = time.perf_counter()
    header, batches = generate(
        problem, samples, resolution, times=times, refine=refine, channels=channels.split(",") if channels else None,
        seed=seed, device=choose_device(device),
    )  # fmt: skip
    write_trajectories(out, header, _shown(batches, samples, family))
    spent = time.perf_counter() - begun
    share = header.provenance.get("finest_waves", 0.0)
    print_table(
        {
            "problem": f"{header.problem} {' '.join(f'{name}={value}' for name, value in header.settings.items())}",
            "samples, times, channels, grid": " x ".join(
                map(str, (samples, len(header.times), ",".join(header.channels), *header.points))
            ),
            "seconds": spent,
            "file": f"{out} ({out.stat().st_size / 1e6:.3g} MB)",
        }
    )
    if share > _UNRESOLVED:
        print(
            f"note: {100 * share:.0f} % of a field is in the finest third of the waves that {resolution} points can show; "
            "raise --resolution or --refine for the equation's own solution"
        )


def _shown(batches: Iterator[Batch], samples: int, name: str) -> Iterator[Batch]:
    """The batches, with a bar for how many samples are done; where there is no terminal, a line every ten seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn()
    done, begun = 0, time.monotonic()
    following = begun + _LINE_INTERVAL
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=samples)
        for batch in batches:
            yield batch
            done += len(batch.fields)
            bar.update(task, completed=done)
            now = time.monotonic()
            if not console.is_terminal and now >= following:
                following = now + _LINE_INTERVAL
                left = (now - begun) / done * (samples - done)
                console.print(f"{name}: {done} of {samples}, {left:.0f} s left", highlight=False)
