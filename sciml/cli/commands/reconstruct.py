"""``sciml reconstruct``: fill the space between cross-sections and leave a folder with the surface."""

from __future__ import annotations

import re
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sciml.shapes import Shape, Slices
    from sciml.shapes.surface import Topology

PLANES, METHOD, PRESET, SEED = 15, "auto", "fast", 0
GRID = 64  # points along each side of the box in solution.nc, at most
SHOWN = (
    "method", "slice_iou", "euler", "volume", "iou", "chamfer", "hausdorff", "repairs", "warnings", "stop_reason", "seconds",
)  # fmt: skip


def command(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Cross-sections (.csl, .contour, DICOM RT-STRUCT, masks as NIfTI or NRRD), a mesh to cut, "
            "or a run's config.toml to repeat it.",
        ),
    ],
    planes: Annotated[
        int | None, typer.Option(help=f"Parallel planes that a mesh is cut by along its longest axis; {PLANES} by default.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help=f"orex (a neural field), rbf (any planes), linear (parallel planes) or auto; {METHOD} by default."),
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Size of the neural field: fast (the default), default or paper.")] = None,
    reference: Annotated[
        Path | None, typer.Option(metavar="MESH", help="The true surface; the mesh itself when FILE is one.")
    ] = None,
    resolution: Annotated[
        int | None,
        typer.Option(help="Cells along the longest side of the surface's box; by default as many as the planes ask for."),
    ] = None,
    betti: Annotated[
        tuple[int, int, int] | None,
        typer.Option(
            metavar="PIECES HANDLES CAVITIES", help="What the solid is known to have, such as 1 0 0 for a ball; kept to."
        ),
    ] = None,
    simplest: Annotated[
        bool,
        typer.Option("--simplest", help="As few pieces, handles and cavities as the planes leave open."),
    ] = False,
    seconds: Annotated[float | None, typer.Option(help="Budget of the training; rbf and linear need none.")] = None,
    seed: Annotated[int | None, typer.Option(help=f"Seed of everything random; {SEED} by default.")] = None,
    device: Annotated[str | None, typer.Option(help="Where to train, such as cpu or cuda:1.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the run; runs/FILE-METHOD by default.")] = None,
    resume: Annotated[Path | None, typer.Option(metavar="DIR", help="Continue the training in this folder.")] = None,
) -> None:
    """Reconstruct solids from planar cross-sections; write meshes, metrics, a picture and a viewer."""
    from rich.console import Console

    from sciml import io, run, shapes
    from sciml.api import choose_device
    from sciml.errors import InputError
    from sciml.recipes.neural_field import find_preset
    from sciml.shapes.shape import check_surface
    from sciml.viz import to_png

    if file.suffix == ".toml":
        given = {
            "planes": planes, "method": method, "preset": preset, "reference": reference, "resolution": resolution,
            "seconds": seconds, "seed": seed, "device": device, "out": out, "resume": resume,
        }  # fmt: skip
        recorded = _recorded(file) | {name: value for name, value in given.items() if value is not None}
        return command(**(recorded | ({"betti": betti, "simplest": simplest} if betti or simplest else {})))
    if betti and simplest:
        raise InputError("give --betti or --simplest, not both")
    topology: Topology = "simplest" if simplest else betti
    method, seed = method or METHOD, SEED if seed is None else seed
    if seconds is not None and not seconds > 0:
        raise InputError(f"seconds must be a positive number, got {seconds}")
    if seed < 0:
        raise InputError(f"seed must be a whole number of at least 0, got {seed}")
    check_surface(resolution, topology)
    slices, truth = _input(file, planes, reference)
    trained = method == "auto" and any(value is not None for value in (preset, seconds, resume))
    chosen = shapes.choose(slices, "orex" if trained else method)
    if chosen != "orex" and (preset or resume):
        raise InputError(f"method {chosen!r} does not train: leave out --preset and --resume, or use --method orex")
    options: dict[str, Any] = {}
    if chosen == "orex":
        options = {"preset": preset or PRESET, "seconds": seconds, "seed": seed, "device": choose_device(device)}
        find_preset(options["preset"])
    configuration = {
        "problem": {
            "name": "cross_sections",
            "settings": {"file": str(file.resolve()), "planes": planes, "digest": slices.digest},
        },
        "solver": {"name": chosen, "options": {"preset": options["preset"]} if options else {}},
        "run": {"seed": seed, "seconds": seconds},
        "surface": {
            "resolution": resolution,
            "betti": None if betti is None else list(betti),
            "simplest": simplest,
            "reference": None if reference is None else str(reference.resolve()),
        },
    }
    folder = out or resume or io.unused_folder(Path("runs") / f"{file.name.partition('.')[0]}-{chosen}")
    checkpoint = None if resume is None else run.checkpoint_of(resume, configuration)
    if options:
        options |= {"folder": folder, "resume": checkpoint}
    if folder != resume:
        run.start(folder, configuration)
    console, begun = Console(markup=False), time.perf_counter()
    shape = _reconstruct(console, slices, chosen, options)
    with console.status("") as status:
        meshes, told = _meshes(shape, resolution, topology, status)
        spent = time.perf_counter() - begun
        status.update("metrics, picture and viewer")
        metrics: dict[str, Any] = {
            "problem": "cross_sections",
            "solver": chosen,
            "file": str(file),
            "method": chosen,
            "planes": len(slices),
            "labels": list(slices.names.values()),
            "units": slices.units,
            "slice_iou": _each({name: shapes.slice_iou(mesh, slices, name) for name, mesh in meshes.items()}),
            "euler": _each({name: shapes.euler_characteristic(mesh) for name, mesh in meshes.items()}),
            "volume": _each({name: float(mesh.volume) for name, mesh in meshes.items()}),
            "resolution": _each({name: mesh.metadata["resolution"] for name, mesh in meshes.items()}),
            "relative_l2": None,
            "error_estimate": None,
            "seconds": spent,
            "seed": seed,
            **_training(shape, options),
            "repairs": list(slices.repairs),
            "warnings": told,
            "versions": io.versions(),
        }
        if truth is not None:
            (mesh,) = meshes.values()
            metrics |= {"iou": shapes.iou(mesh, truth)} | shapes.surface_distances(mesh, truth)
        for path, mesh in zip(_files(slices, folder), meshes.values(), strict=True):
            shapes.write_ply(path, mesh)
        picture, title = to_png(shapes.plot_shape(slices, meshes)), f"{file.name} by {chosen}"
        (folder / "solution.png").write_bytes(picture)
        io.save_dataset(shape.to_xarray(min(resolution or GRID, GRID)), folder / "solution.nc")
        shapes.write_viewer(folder / "viewer.html", slices, meshes, title)
        tables = {"Result": {name: metrics[name] for name in SHOWN if metrics.get(name) not in (None, [])}}
        tables |= {"Run": {name: metrics[name] for name in ("file", "planes", "seed")}, "Versions": metrics["versions"]}
        io.write_report(folder / "report.html", title, tables, {"Slices and surface": picture})
        io.write_json(folder / "metrics.json", metrics)
    _print(console, metrics, folder)


def _recorded(path: Path) -> dict[str, Any]:
    """The arguments of an earlier run from its ``config.toml``."""
    from sciml.errors import InputError
    from sciml.io import read_toml

    configuration = read_toml(path)
    settings, surface = configuration.get("problem", {}).get("settings", {}), configuration.get("surface", {})
    if not {"file", "digest"} <= settings.keys():
        raise InputError(f"{path} is not the config.toml of a reconstruction; give cross-sections or a mesh")
    solver, run, reference = configuration["solver"], configuration["run"], surface.get("reference")
    return {
        "file": Path(settings["file"]),
        "planes": settings.get("planes"),
        "method": solver["name"],
        "preset": solver["options"].get("preset"),
        "reference": None if reference is None else Path(reference),
        "resolution": surface.get("resolution"),
        "betti": None if surface.get("betti") is None else tuple(surface["betti"]),
        "simplest": surface.get("simplest", False),
        "seconds": run.get("seconds"),
        "seed": run["seed"],
    }


def _reconstruct(console: Any, slices: Slices, method: str, options: dict[str, Any]) -> Shape:
    from sciml import io, shapes

    if not options:
        with console.status(f"{method}: {len(slices)} planes"):
            return shapes.reconstruct(slices, method)
    shape = shapes.reconstruct(slices, method, **options)  # with a progress bar of its own
    io.save_weights(shape.training.solver, options["folder"] / "weights.safetensors")
    return shape


def _meshes(
    shape: Shape, resolution: int | None, topology: Topology, status: Any
) -> tuple[dict[str, Any], list[str]]:
    """Surfaces by name, all at the finest resolution that any of them needs, so that neighbours fit; and their warnings."""
    found: dict[str, tuple[Any, list[str]]] = {}
    names = shape.slices.names.values()
    while pending := [name for name in names if name not in found]:
        for name in pending:
            status.update(f"surface of {name}")
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", UserWarning)
                mesh = shape.mesh(resolution, name, topology)
            found[name] = mesh, [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
        resolution = max(mesh.metadata["resolution"] for mesh, _ in found.values())
        found = {name: kept for name, kept in found.items() if kept[0].metadata["resolution"] == resolution}
    return {name: found[name][0] for name in names}, [text for name in names for text in found[name][1]]


def _training(shape: Shape, options: dict[str, Any]) -> dict[str, Any]:
    """What ``metrics.json`` says of a method that trains."""
    result = shape.training
    if result is None:
        return {"device": "cpu", "steps": 0, "stop_reason": "solved directly"}
    return {
        "preset": options["preset"],
        "device": str(options["device"]),
        "steps": result.steps,
        "training_seconds": result.seconds,
        "stop_reason": result.stop_reason,
    }


def _input(file: Path, planes: int | None, reference: Path | None) -> tuple[Slices, Any]:
    """The cross-sections, and the true surface or None."""
    from sciml import shapes
    from sciml.errors import InputError

    truth = None if reference is None else shapes.load_mesh(reference)
    if shapes.is_mesh(file):
        mesh = shapes.load_mesh(file)
        return shapes.slice_mesh(mesh, PLANES if planes is None else planes), mesh if truth is None else truth
    if planes is not None:
        raise InputError(f"--planes {planes} cuts a mesh, but {str(file)!r} holds cross-sections; leave it out")
    slices = shapes.read_slices(file)
    if truth is not None and len(slices.labels) > 1:
        raise InputError(f"--reference is one solid, but {str(file)!r} holds {len(slices.labels)} labels; leave it out")
    return slices, truth


def _each(values: dict[str, Any]) -> Any:
    """By label, or alone when there is one label."""
    return values if len(values) > 1 else next(iter(values.values()))


def _files(slices: Slices, folder: Path) -> list[Path]:
    if len(slices.names) == 1:
        return [folder / "mesh.ply"]
    safe = {label: re.sub(r"[^\w.-]+", "_", name) for label, name in slices.names.items()}
    twice = {name.lower() for name in safe.values() if [n.lower() for n in safe.values()].count(name.lower()) > 1}
    return [folder / f"mesh_{name}{f'_{label}' if name.lower() in twice else ''}.ply" for label, name in safe.items()]


def _print(console: Any, metrics: dict[str, Any], folder: Path) -> None:
    from rich.table import Table

    from sciml.io.report import as_text

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name in SHOWN:
        if metrics.get(name) not in (None, []):
            table.add_row(name.replace("_", " "), as_text(metrics[name]))
    table.add_row("folder", str(folder))
    console.print(table)
