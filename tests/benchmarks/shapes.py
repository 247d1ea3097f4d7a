"""Shapes from planar cross-sections: every method on analytic and real solids, ablations, and the number of planes.

    python -m tests.benchmarks.shapes [--quick] [--meshes DIR] [--only torus pial ...] [--parts methods ablations planes]
        [--methods linear orex ...]

Always: a torus, a hollow ball and a torus with two holes. With nilearn the surface of a brain (fsaverage5, pial, left),
with pyvista organs of a frog. With --meshes, or SCIML_MESHES, a folder of closed meshes: eight, elephant, armadillo, hand
and bunny00.off, as Debian's package libcgal-demo has them.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.common import RESULTS, load, markdown, merge, parser, run_all

NAME = "shapes"
ANALYTIC = ("torus", "hollow ball", "two holes")
MESHES = ("eight", "elephant", "armadillo", "hand", "bunny00")
ORGANS = {"frog lung": 11, "frog brain": 2}  # names in our tables; labels of the image
CLASSICAL = "classical rbf"
PLAIN = "rbf without refits"
CUTS = {"20 parallel": 20, "24 random": 24}
METHODS = ("linear", CLASSICAL, PLAIN, "rbf", "orex", "orex default")
BETTI = {"torus": (1, 1, 0), "hollow ball": (1, 0, 1), "two holes": (1, 2, 0), "eight": (1, 2, 0), "elephant": (1, 3, 0)}
"""Pieces, handles and cavities of the solids; one, none and none of the others."""
ABLATED = ("two holes", "pial", "hand")
COUNTS = (5, 10, 20, 40, 70, 100)
RESOLUTION = None  # of the meshes: by default as fine as the cross-sections ask for
KINDS = ("part", "shape", "cut", "method")


def available(folder: str | None) -> list[str]:
    """Names of the solids that are here."""
    names = [*ANALYTIC]
    names += ["pial"] if importlib.util.find_spec("nilearn") else []
    names += [*ORGANS] if importlib.util.find_spec("pyvista") else []
    return names + [name for name in MESHES if folder and (Path(folder) / f"{name}.off").exists()]


def solid(name: str, folder: str | None) -> Any:
    """A closed mesh."""
    from sciml.shapes import load_mesh
    from tests.shapes import solids

    if name in ANALYTIC:
        return {"torus": solids.torus, "hollow ball": solids.shell, "two holes": solids.two_holes}[name]()
    if name == "pial":
        import nibabel

        package = importlib.util.find_spec("nilearn")
        assert package is not None and package.submodule_search_locations
        found = Path(package.submodule_search_locations[0]) / "datasets/data/fsaverage5/pial_left.gii.gz"
        vertices, faces = (array.data for array in nibabel.load(found).darrays[:2])
        return solids.trimesh.Trimesh(vertices.astype(np.float64), faces, process=False)
    if name in ORGANS:
        return _organ(ORGANS[name])
    return load_mesh(Path(str(folder)) / f"{name}.off")


def _organ(label: int) -> Any:
    """The largest piece of a label, its outline smoothed over about a voxel."""
    from pyvista import examples
    from scipy import ndimage
    from skimage import measure

    from tests.shapes.solids import trimesh

    image = examples.load_frog_tissues()
    inside = image.active_scalars.reshape(image.dimensions, order="F") == label
    pieces, _ = ndimage.label(inside)
    inside = np.pad(pieces == 1 + np.bincount(pieces.ravel())[1:].argmax(), 4).astype(float)
    smooth = ndimage.gaussian_filter(inside, (1.5, 1.5, 1.0))
    vertices, faces, _, _ = measure.marching_cubes(smooth, 0.5, spacing=image.spacing, gradient_direction="ascent")
    bodies = trimesh.Trimesh(vertices, faces, process=False).split(only_watertight=True)
    return max(bodies, key=lambda body: abs(body.volume))


def ablations() -> dict[str, Any]:
    """Presets by what they lack."""
    from sciml.recipes.neural_field import PRESETS

    fast = PRESETS["fast"]

    def without(**options: Any) -> Any:
        return replace(fast, solver=fast.solver | options)

    return {
        "orex": fast,
        "without iteration": without(network={"steps": 1}),
        "without levels": replace(fast, steps=(sum(fast.steps),), levels=fast.levels[-1:]),
        "without slope term": without(slope=0.0),
        "without correction term": without(correction=0.0),
        "labels for targets": replace(fast, target="indicator"),
        "frequencies for grids": without(frequencies=7, network={"width": 64, "depth": 3}),
        "without first estimate": without(centres=0, network={"scale": 1.0}),
        "without first estimate and slope term": without(centres=0, slope=0.0, network={"scale": 1.0}),
    }


def run(part: str, shape: str, cut: str, method: str, seed: int, resolution: int | None, folder: str | None) -> dict[str, Any]:
    """Quality, processor and wall-clock seconds of one reconstruction."""
    import torch

    from sciml import InputError, shapes
    from sciml.recipes.neural_field import PRESETS
    from sciml.shapes.methods import rbf
    from tests.benchmarks.classical_rbf import classical_rbf

    truth = solid(shape, folder)
    count, kind = cut.split()
    draws = torch.Generator().manual_seed(seed) if kind == "random" else None
    slices = shapes.slice_mesh(truth, int(count), generator=draws)
    presets = ablations() | {f"orex {name}": preset for name, preset in PRESETS.items()}
    began, processor = time.perf_counter(), time.process_time()
    try:
        if method == CLASSICAL:
            shape_found = shapes.reconstruct(slices, classical_rbf)
        elif method == PLAIN:
            shape_found = shapes.reconstruct(slices, partial(rbf, refits=0))
        elif method in presets:
            options = {"preset": presets[method], "seed": seed, "progress": False}
            shape_found = shapes.reconstruct(slices, "orex", **options)
        else:
            shape_found = shapes.reconstruct(slices, method)
    except InputError as error:
        return {"failed": str(error)}
    spent = {"seconds": round(time.perf_counter() - began, 3), "processor": round(time.process_time() - processor, 3)}
    mesh = shape_found.mesh(resolution)
    found = {
        "cells": mesh.metadata["resolution"],
        "iou": shapes.iou(mesh, truth),
        "slice_iou": shapes.slice_iou(mesh, slices),
        **shapes.surface_distances(mesh, truth),
        "euler": shapes.euler_characteristic(mesh),
        "euler_true": shapes.euler_characteristic(truth),
    }
    if part == "methods" and method in ("rbf", "orex", "orex default"):
        for name, betti in (("simplest", "simplest"), ("known", BETTI.get(shape, (1, 0, 0)))):
            try:
                changed = shape_found.mesh(128, betti=betti)
                found |= {f"euler_{name}": shapes.euler_characteristic(changed), f"iou_{name}": shapes.iou(changed, truth)}
            except InputError as error:
                found |= {f"euler_{name}": str(error)}
    return spent | {key: round(value, 5) if isinstance(value, float) else value for key, value in found.items()}


def tables() -> str:
    saved = load(NAME)
    if saved is None:
        return "Not measured yet."
    runs = [run for run in saved["runs"] if "failed" not in run]
    return "\n\n".join(part for part in (_methods(runs), _ablations(runs), _planes(runs)) if part)


def _methods(runs: list[dict[str, Any]]) -> str:
    rows = []
    # those from before meshes were as fine as their planes ask for are not shown
    chosen = [run for run in runs if run["part"] == "methods" and run.get("resolution") is None]
    cases = list(dict.fromkeys((run["shape"], run["cut"]) for run in sorted(chosen, key=_order)))
    for shape, cut in cases:
        found = {run["method"]: run for run in chosen if (run["shape"], run["cut"]) == (shape, cut)}
        true = next(iter(found.values()))["euler_true"]

        def column(key: str, digits: str, found: dict[str, Any] = found) -> str:
            return " / ".join(format(found[m][key], digits) if key in found.get(m, {}) else "-" for m in METHODS)

        cells = column("iou", ".3f"), column("hausdorff", ".3f"), column("slice_iou", ".3f"), column("euler", "d")
        asked = []
        for key in ("euler_simplest", "euler_known"):
            numbers = {run[key] for run in found.values() if key in run}
            asked.append(str(numbers.pop()) if len(numbers) == 1 else column(key, ""))
        rows.append((shape, cut, *cells, *asked, true, column("processor", ".0f")))
    if not rows:
        return ""
    pairs = (CLASSICAL, "orex"), (PLAIN, "rbf"), ("rbf", "orex"), ("orex", "orex default")
    text = "".join(_gain(chosen, cases, *pair) for pair in pairs)
    header = ("solid", "planes", "IoU", "Hausdorff", "on the planes", "Euler", "simplest", "told", "true", "processor seconds")
    return f"Columns of {len(METHODS)} are `{'` / `'.join(METHODS)}`.\n\n" + markdown(header, rows) + text


def _gain(runs: list[dict[str, Any]], cases: list[tuple[str, str]], method: str, other: str) -> str:
    pairs = [(_of(runs, case, method), _of(runs, case, other)) for case in cases]
    known = [(one, two) for one, two in pairs if one and two]
    if not known:
        return ""

    def change(key: str) -> list[float]:
        return [two[key] - one[key] for one, two in known]

    iou, distance = change("iou"), change("hausdorff")
    return (
        f"\n\n`{other}` beside `{method}`, over {len(known)} cases: IoU {statistics.mean(iou):+.4f} on average, "
        f"{min(iou):+.4f} at worst; Hausdorff distance {statistics.mean(distance):+.4f} on average, "
        f"{max(distance):+.4f} at worst."
    )


def _ablations(runs: list[dict[str, Any]]) -> str:
    chosen = [run for run in runs if run["part"] == "ablations"]
    rows = []
    for method in dict.fromkeys(["orex", *(run["method"] for run in chosen)]):
        found = [run for run in chosen if run["method"] == method]
        if found:
            mean = {key: statistics.mean(run[key] for run in found) for key in ("iou", "slice_iou", "hausdorff", "processor")}
            ripple = statistics.mean(np.degrees(np.arccos(run["normal_consistency"])) for run in found)
            numbers = f"{mean['iou']:.4f}", f"{mean['slice_iou']:.4f}", f"{mean['hausdorff']:.4f}", f"{ripple:.2f}"
            rows.append((method, len(found), *numbers, f"{mean['processor']:.0f}"))
    header = ("variant", "cases", "IoU", "on the planes", "Hausdorff", "normals off by degrees", "processor seconds")
    return markdown(header, rows) if rows else ""


def _planes(runs: list[dict[str, Any]]) -> str:
    chosen = [run for run in runs if run["part"] == "planes"]
    if not chosen:
        return ""
    counts = sorted({int(run["cut"].split()[0]) for run in chosen})
    rows = []
    for method in METHODS:
        found = [_of(chosen, (chosen[0]["shape"], f"{count} parallel"), method) for count in counts]
        rows.append((method, *("-" if run is None else f"{run['iou']:.3f}" for run in found)))
    header = ("method", *map(str, counts))
    return f"IoU of `{chosen[0]['shape']}` by the number of parallel planes:\n\n" + markdown(header, rows)


def _of(runs: list[dict[str, Any]], case: tuple[str, str], method: str) -> dict[str, Any] | None:
    return next((run for run in runs if (run["shape"], run["cut"]) == case and run["method"] == method), None)


def _order(run: dict[str, Any]) -> tuple[int, str]:
    names = [*ANALYTIC, "pial", *ORGANS, *MESHES]
    return names.index(run["shape"]), run["cut"]


def figure(runs: list[dict[str, Any]], path: Path) -> None:
    """IoU over the number of planes."""
    from matplotlib.figure import Figure

    chosen = [run for run in runs if run["part"] == "planes" and "failed" not in run]
    if not chosen:
        return
    drawing = Figure((5, 3.2), layout="constrained")
    axes = drawing.add_subplot()
    for method in METHODS:
        points = sorted((int(run["cut"].split()[0]), 1 - run["iou"]) for run in chosen if run["method"] == method)
        axes.loglog(*zip(*points, strict=True), marker="o", label=method)
    axes.set(xlabel="parallel planes", ylabel="1 - IoU", title=chosen[0]["shape"])
    axes.legend()
    drawing.savefig(path, dpi=120)


def main() -> None:
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--meshes", default=os.environ.get("SCIML_MESHES"), help="folder of closed meshes")
    arguments.add_argument("--only", nargs="+", help="solids by name")
    arguments.add_argument("--parts", nargs="+", default=["methods", "ablations", "planes"])
    known = [*METHODS, "orex paper"]
    arguments.add_argument("--methods", nargs="+", default=list(METHODS), choices=known, help="of the part methods")
    chosen = arguments.parse_args()
    here = available(chosen.meshes)
    names = [name for name in here if chosen.only is None or name in chosen.only]
    print("solids:", ", ".join(names))
    quick = chosen.quick
    jobs: list[tuple[str, str, str, str]] = []
    if "methods" in chosen.parts:
        jobs += [
            ("methods", name, cut, method)
            for name in (names[:1] if quick else names)
            for cut in CUTS
            for method in chosen.methods
        ]
    if "ablations" in chosen.parts and not quick:
        variants = [PLAIN, "rbf", *ablations()]
        jobs += [("ablations", name, "24 random", variant) for name in ABLATED if name in names for variant in variants]
    if "planes" in chosen.parts and not quick:
        name = "pial" if "pial" in names else names[0]
        jobs += [("planes", name, f"{count} parallel", method) for count in COUNTS for method in METHODS]
    common = {"seed": 0, "resolution": 64 if quick else RESOLUTION, "folder": chosen.meshes}
    for name in dict.fromkeys(shape for _, shape, _, _ in jobs):
        own = [dict(zip(KINDS, job, strict=True)) | common for job in jobs if job[1] == name]
        results = run_all(run, own, chosen.workers)
        if not quick:
            kept = [{key: value for key, value in result.items() if key != "folder"} for result in results]
            merge(NAME, kept, KINDS)
    if not quick:
        figure((load(NAME) or {"runs": []})["runs"], RESULTS / f"{NAME}.png")
        print(tables())


if __name__ == "__main__":
    main()
