"""``sciml predict``: what a trained operator makes of trajectories."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that sciml train left.")],
    data: Annotated[Path, typer.Option(metavar="FILE", help="Trajectories, whose first snapshots are the start.")],
    out: Annotated[Path, typer.Option(metavar="FILE.nc", help="Where the predicted fields go; pictures beside it.")],
    steps: Annotated[
        int | None, typer.Option(help="Steps of the rollout, beyond the data too; as many as the data have by default.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="The first so many trajectories; all by default.")] = None,
    animation: Annotated[str, typer.Option(help="Format of the moving picture: gif, html or none.")] = "gif",
    device: Annotated[str | None, typer.Option(help="Where to compute, such as cpu or cuda:1.")] = None,
) -> None:
    """Roll a trained operator out; write the fields, a picture and an animation beside the truth, and the errors."""
    from rich.progress import Progress

    from sciml import io
    from sciml.api import choose_device
    from sciml.cli.output import print_table
    from sciml.data import open_trajectories
    from sciml.errors import InputError, nearest
    from sciml.neural_operator import load_operator, predict
    from sciml.neural_operator.evaluate import SAMPLES
    from sciml.neural_operator.picture import TIME, example
    from sciml.viz import animate_fields, plot_fields

    formats = ("gif", "html", "none")
    if animation not in formats:
        raise InputError(f"--animation {animation!r} is not known; {nearest(animation, formats)}")
    if out.suffix != ".nc":
        raise InputError(f"--out {str(out)!r} must end in .nc, the suffix of NetCDF")
    operator = load_operator(folder).to(choose_device(device))
    io.writable_folder(out.parent)
    with open_trajectories(data) as trajectories, Progress(transient=True) as progress:
        count = -(-(samples or len(trajectories)) // SAMPLES)
        task = progress.add_task("rollout", total=count * (steps or max(len(trajectories.times) - 1, 1)))
        figures = predict(operator, trajectories, out, steps, samples, lambda: progress.advance(task))
        progress.update(task, description="pictures")
        computed, true = example(operator, trajectories, 0, steps)
        steady = operator.signature.steady
        plot_fields(computed, true, None if steady else TIME).savefig(out.with_suffix(".png"))
        moving = animation != "none" and not steady and len(trajectories.grid) < 3
        if moving:
            animate_fields(computed, true, TIME, out.with_suffix(f".{animation}"))
    io.write_json(out.with_suffix(".json"), figures)
    errors = {name.replace("_", " "): figures[name][-1] for name in ("relative_l1", "relative_l2") if name in figures}
    files = [out, out.with_suffix(".png"), *([out.with_suffix(f".{animation}")] if moving else []), out.with_suffix(".json")]
    print_table({f"{name}, last step": value for name, value in errors.items()} | {"files": ", ".join(map(str, files))})
