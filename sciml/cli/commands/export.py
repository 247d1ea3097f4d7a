"""``sciml export``: a trained operator for programs that know nothing of sciml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that sciml train left.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="FILE.pt2 for torch.export, FILE.onnx for ONNX.")],
    grid: Annotated[
        str | None, typer.Option(metavar="N,N", help="Points along every axis; those of the training data by default.")
    ] = None,
) -> None:
    """Write a trained operator with its normalisation as a torch.export or ONNX program."""
    from sciml.errors import InputError
    from sciml.io import read_toml
    from sciml.neural_operator import export, load_operator

    operator = load_operator(folder)
    points = read_toml(folder / "config.toml")["solver"]["configuration"]["grid"]
    if grid is not None:
        parts = grid.split(",")
        if len(parts) != len(points) or not all(part.strip().isdigit() for part in parts):
            raise InputError(f"--grid {grid!r} must be {len(points)} whole numbers, such as {','.join(map(str, points))}")
        points = [int(part) for part in parts]
    export(operator, out, points)
    typer.echo(str(out))
