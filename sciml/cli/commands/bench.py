"""``sciml bench``: one problem by a solver of ours and by rivals, at the same seconds."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

SOLVER, RIVALS, SECONDS, SEEDS = "pinn", "deepxde,classical", 60.0, 3


def command(
    problem: Annotated[str, typer.Argument(metavar="PROBLEM", help="A registered name or FILE.py:ClassName.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the figures, the table and the picture.")],
    rivals: Annotated[str, typer.Option(help="Names, with commas between them.")] = RIVALS,
    solver: Annotated[str, typer.Option(help="Name of the solver that is compared with them.")] = SOLVER,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A coefficient of the problem; repeatable.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Budget of wall-clock time of every run.")] = SECONDS,
    seeds: Annotated[int, typer.Option(help="Runs of whatever is random.")] = SEEDS,
) -> None:
    """Compare a solver with DeepXDE and with finite differences on the same problem at the same seconds."""
    from rich.console import Console

    from sciml.bench import bench
    from sciml.cli.settings import pairs
    from sciml.registry import get_problem

    instance = get_problem(problem, pairs(settings or [], "nu=0.01"))
    console = Console(stderr=True, markup=False, highlight=False)
    with console.status("") as status:

        def report(line: str) -> None:
            status.update(line)
            console.print(line, soft_wrap=True)

        metrics = bench(
            instance, solver, [name.strip() for name in rivals.split(",") if name.strip()],
            seconds=seconds, seeds=seeds, folder=out,
            command=shlex.join(["sciml", *sys.argv[1:]]), report=report,
        )  # fmt: skip
    _print(metrics, out)


def _print(metrics: dict[str, Any], folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from sciml.bench import COLUMNS, table

    shown = Table(box=None, pad_edge=False, title=f"{metrics['problem']}: best is {metrics['winner']}")
    for column in COLUMNS:
        shown.add_column(column, overflow="fold")
    for cells in table(metrics):
        shown.add_row(*cells, style="bold" if cells[0] else None)
    console = Console(markup=False)
    if not console.is_terminal:
        console.width = 200
    console.print(shown)
    console.print(f"folder {folder}")
