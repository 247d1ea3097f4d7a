"""Chalapathi, Du and Krishnapriyan (2024), section 4: hard constraints with and without experts, and the soft constraint.

    python -m tests.benchmarks.hard_constraint [--preset cpu|paper] [--seeds 3] [--workers 2] [--problems ...] [--methods ...]
    python -m tests.benchmarks.hard_constraint --times

Errors are relative L2 after the initial time, over random instances that no training has seen; in "later" the networks
are trained on t <= 400 and tested on 400 < t <= 500. "MoE" has separate experts as the paper, "MoE+" experts that agree
where they meet. Results are saved after every problem, and those of problems that are not run again are kept.

"--times" compares the time of a training step, in one process of one thread and spread over two.

The paper's sizes need a large accelerator; ``--steps 1 --batch 1 --tests 0`` only starts them.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any

from tests.benchmarks.common import add_seeds, load, markdown, merge, run_all, seeds

NAME = "hard_constraint"
PROBLEMS = ("diffusion_sorption", "later", "navier_stokes")
METHODS = ("SC", "HC", "MoE", "MoE+")
PAPER = {
    "diffusion_sorption": {"SC": 0.8593, "HC": 0.0755, "MoE": 0.0360},
    "later": {"SC": 8.0558, "HC": 0.4805, "MoE": 0.1479},
    "navier_stokes": {"SC": 0.1808, "HC": 0.1175, "MoE": 0.0830},
}
TIMED = {"shape": (128, 101), "bases": 16, "batch": 6, "optimiser": "Adam", "steps": 24, "tests": 0}
"""What the times of a step are compared with, diffusion-sorption otherwise; bases, batch and optimiser are the paper's."""
TIMED_CASES = (("HC", 1), ("MoE", 1), ("HC", 2), ("MoE", 2))
"""Method and number of processes, which share the instances of a batch."""
POINTS = (100, 1000, 10_000)
"""Points of the equations at which they are."""
REPEATS = 5
TEST_SEED = 20_000
# The first instants, which no grid resolves, weigh little.
_SORPTION_WEIGHTS = {"diffusion_sorption": lambda t: 1e6 * t / 500}
_SORPTION_CPU: dict[str, Any] = {
    "duration": 500.0, "shape": (32, 26), "experts": (4, 1), "bases": 4, "points": 640, "instances": 100, "batch": 2,
    "tests": 10, "steps": 400, "rate": 3e-3, "decay": 0.9, "optimiser": "SOAP", "condition_points": 64, "dtype": "float32",
    "weights": _SORPTION_WEIGHTS, "interface": 100.0, "ridge": 1e-4, "iterations": 20, "exact_initial": False,
    "network": {"kind": "fno", "n_modes": (8, 8), "hidden_channels": 24, "n_layers": 4, "domain_padding": 0.25},
}  # fmt: skip
_SORPTION_PAPER: dict[str, Any] = {
    "duration": 500.0, "shape": (1024, 101), "experts": (4, 1), "bases": 16, "points": 80_000, "instances": 8000,
    "batch": 6, "tests": 1000, "steps": 4000, "rate": 1e-3, "decay": 0.9, "optimiser": "Adam", "condition_points": 1024,
    "dtype": "float64", "weights": {},
    "interface": 1.0, "ridge": 1e-4, "iterations": 50, "exact_initial": False,
    "network": {"kind": "fno", "n_modes": (8, 8), "hidden_channels": 64, "n_layers": 5},
}  # fmt: skip
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "cpu": {
        "diffusion_sorption": _SORPTION_CPU,
        "later": _SORPTION_CPU | {"duration": 400.0, "shape": (32, 21), "points": 512, "bases": 16, "ridge": 0.1, "decay": 0.8},
        "navier_stokes": {
            "duration": 1.0, "shape": (24, 24, 9), "experts": (6, 6, 1), "bases": 8, "points": 2592, "instances": 1000,
            "batch": 2, "tests": 10, "steps": 500, "rate": 1e-2, "decay": 0.9, "optimiser": "SOAP", "condition_points": 64,
            "dtype": "float32", "weights": {}, "interface": 1.0, "ridge": 0.3, "iterations": 20,
            "exact_initial": True,
            "network": {
                "kind": "fno", "n_modes": (8, 8, 4), "hidden_channels": 24, "n_layers": 4, "domain_padding": (0.0, 0.0, 0.25)
            },
        },
    },
    "paper": {
        "diffusion_sorption": _SORPTION_PAPER,
        "later": _SORPTION_PAPER | {"duration": 400.0, "shape": (1024, 81)},
        "navier_stokes": {
            "duration": 5.0, "shape": (64, 64, 64), "experts": (2, 2, 1), "bases": 64, "points": 80_000, "instances": 4000,
            "batch": 4, "tests": 100, "steps": 20_000, "rate": 1e-3, "decay": 0.9, "optimiser": "Adam", "condition_points": 64,
            "dtype": "float64", "weights": {}, "interface": 1.0, "ridge": 1e-4, "iterations": 50,
            "exact_initial": True,
            "network": {"kind": "fno", "n_modes": (8, 8, 8), "hidden_channels": 64, "n_layers": 8},
        },
    },
}  # fmt: skip


def run(problem: str, method: str, seed: int, preset: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Mean and worst error over test instances, and processor time of a step."""
    setting = PRESETS[preset][problem] | changes
    declared, tested = declare(problem, setting["duration"])
    solver = build(declared, method, seed, setting)
    step_seconds = train(solver, seed, setting)
    errors = evaluate(solver, tested, setting, after=declared.duration if tested.duration > declared.duration else 0.0)
    found = {"error": statistics.mean(errors), "worst": max(errors)} if errors else {}
    return found | {"step_seconds": step_seconds, "points": setting["points"], "steps": setting["steps"]}


def step_time(method: str, points: int) -> float:
    """Wall-clock seconds of a training step that the processes of torchrun, if any, share."""
    import torch

    from sciml.training import distributed

    torch.set_num_threads(1)
    setting = PRESETS["cpu"]["diffusion_sorption"] | TIMED | {"points": points}
    with distributed.process_group(torch.device("cpu")):
        declared, _ = declare("diffusion_sorption", setting["duration"])
        return train(build(declared, method, 0, setting, share=True), 0, setting, clock=time.perf_counter)


def step_times() -> list[dict[str, Any]]:
    """Medians of ``step_time`` of the methods with a constraint, in processes of their own, all cases in turn."""
    found = []
    for points in POINTS:
        times: dict[tuple[str, int], list[float]] = {case: [] for case in TIMED_CASES}
        for _ in range(REPEATS):
            for method, processes in TIMED_CASES:
                command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
                command += ["-m", f"tests.benchmarks.{NAME}", "--time", method, str(points)]
                environment = os.environ | {"OMP_NUM_THREADS": "1"}
                done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
                times[method, processes].append(float(done.stdout))
        for (method, processes), seconds in times.items():
            case = {"problem": "step time", "method": method, "points": points, "processes": processes}
            found.append(case | {"step_seconds": statistics.median(seconds), "all": [round(s, 4) for s in seconds]})
            print(found[-1], flush=True)
    return found


def declare(problem: str, duration: float) -> tuple[Any, Any]:
    """What is trained on and what is tested on."""
    from problems import DiffusionSorption, NavierStokesVorticity

    if problem == "navier_stokes":
        return (NavierStokesVorticity(duration=duration),) * 2
    return DiffusionSorption(duration=duration), DiffusionSorption()


def train(solver: Any, seed: int, setting: dict[str, Any], clock: Callable[[], float] = time.process_time) -> float:
    """The median time of a step, without the first third and the last, at whose end the trainer measures errors."""
    import sciml
    from sciml import Callback, ExponentialDecay, Phase, Trainer

    times: list[float] = []

    class Clock(Callback):
        def on_step(self, run: Any) -> None:
            times.append(clock())

    steps = setting["steps"]
    optimiser = getattr(sciml, setting["optimiser"])(setting["rate"])
    phase = Phase(optimiser, steps=steps, schedule=ExponentialDecay(setting["decay"], max(1, steps // 20)))
    quiet = {"log_every": max(1, steps // 5), "evaluate_every": 10**9, "progress": False}
    Trainer([phase], seed=seed, callbacks=[Clock()], **quiet).fit(solver)
    between = [after - before for before, after in pairwise(times)]
    return statistics.median(between[len(between) // 3 : -1] or between or [math.nan])


def evaluate(solver: Any, tested: Any, setting: dict[str, Any], after: float) -> list[float]:
    """The relative L2 errors of unseen instances after a time."""
    import torch

    *space, times = setting["shape"]
    shape = (*space, round((times - 1) * tested.duration / solver.problem.duration) + 1)
    late = torch.linspace(0, tested.duration, shape[-1], dtype=torch.float64) > after
    generator = torch.Generator().manual_seed(TEST_SEED)
    errors = []
    for instance in [tested.sample(generator) for _ in range(setting["tests"])]:
        found = solver.predict([instance], shape)[tested.unknowns[0]][0].double().cpu()
        true = truth(instance, shape)[..., late]
        errors.append(float((found[..., late] - true).norm() / true.norm()))
    return errors


def build(problem: Any, method: str, seed: int, setting: dict[str, Any], share: bool = False) -> Any:
    """The untrained solver of a method."""
    import torch

    from sciml import HardConstraintMoE, SoftConstraint
    from sciml.api import choose_device
    from sciml.solvers.hard_constraint.layer import Tolerances

    generator = torch.Generator().manual_seed(seed)
    inputs, outputs = HardConstraintMoE.input_channels(problem), 1 if method == "SC" else setting["bases"]
    network = build_network(setting["network"], inputs, outputs, generator)
    weights = dict(setting["weights"])
    if method == "MoE+":
        weights["interface"] = setting["interface"]
    names = ("shape", "instances", "batch", "exact_initial", "condition_points")
    common = {name: setting[name] for name in names} | {
        "generator": generator, "dtype": getattr(torch, setting["dtype"]), "weights": weights, "device": choose_device(None),
    }  # fmt: skip
    if method == "SC":
        return SoftConstraint(problem, network, **common)
    parts = setting["experts"] if method.startswith("MoE") else (1,) * len(setting["shape"])
    return HardConstraintMoE(
        problem, network, bases=outputs, experts=parts, rows=setting["points"] // math.prod(parts),
        interface=method == "MoE+", ridge=setting["ridge"], share=share,
        tolerances=Tolerances(setting["iterations"], 1e-4), **common,
    )  # fmt: skip


def build_network(options: dict[str, Any], inputs: int, outputs: int, generator: Any) -> Any:
    from operators import FNO
    from sciml import MLP, Pointwise

    options = dict(options)
    if options.pop("kind") == "fno":
        return FNO(in_channels=inputs, out_channels=outputs, generator=generator, positional_embedding=None, **options)
    return Pointwise(MLP(inputs, outputs, generator=generator, **options))


@lru_cache(maxsize=128)
def truth(problem: Any, shape: tuple[int, ...]) -> Any:
    """The reference solution on the grid of ``shape``."""
    import torch

    t = torch.linspace(0, problem.duration, shape[-1], dtype=torch.float64)
    if len(shape) == 2:
        return problem.concentration(torch.linspace(0, 1, shape[0], dtype=torch.float64), t)
    n = shape[0] * math.ceil(128 / shape[0])
    return problem.flow(n, t)[:, :: n // shape[0], :: n // shape[0]].permute(1, 2, 0)


def tables() -> str:
    """Errors beside the paper's; the sizes; the time of a step at equal points."""
    saved = load(NAME)
    if saved is None:
        return "Not measured yet."
    runs = [r for r in saved["runs"] if "error" in r]
    errors, sizes = [], []
    for problem in (p for p in PROBLEMS if any(r["problem"] == p for r in runs)):
        for method in METHODS:
            if own := [r for r in runs if (r["problem"], r["method"]) == (problem, method)]:
                typical = statistics.median(r["error"] for r in own)
                paper = PAPER[problem].get(method)
                errors.append(
                    (problem, method, len(own), f"{100 * typical:.1f} ({100 * max(r['worst'] for r in own):.1f})",
                     "-" if paper is None else f"{100 * paper:.1f}",
                     f"{1e3 * statistics.median(r['step_seconds'] for r in own):.0f}")
                )  # fmt: skip
        preset = next(r["preset"] for r in runs if r["problem"] == problem)
        sizes += [(problem, name, *_size(PRESETS[key][problem])) for name, key in (("here", preset), ("paper", "paper"))]
    head = ("problem", "method", "seeds", "relative L2 in %, median of means (worst instance)", "paper", "ms a step")
    head_sizes = ("problem", "", "t", "grid", "experts", "bases", "ridge", "points", "batch", "steps", "network")
    parts = [markdown(head, errors), "Sizes:", markdown(head_sizes, sizes)]
    if timed := {(r["method"], r["processes"], r["points"]): r["step_seconds"] for r in saved["runs"] if "processes" in r}:
        # Those of an earlier set of cases are not shown.
        if not all((*case, points) in timed for case in TIMED_CASES for points in POINTS):
            return "\n\n".join(parts)
        size = f"{' x '.join(map(str, TIMED['shape']))} grid points, {TIMED['bases']} bases, batch {TIMED['batch']}"
        parts += [f"A training step in ms ({size}), one thread a process:", _times(timed)]
    return "\n\n".join(parts)


def _size(setting: dict[str, Any]) -> tuple[Any, ...]:
    network = " ".join(f"{name}={value}" for name, value in setting["network"].items() if name != "kind")
    grid, experts = (" x ".join(map(str, setting[name])) for name in ("shape", "experts"))
    numbers = (setting[name] for name in ("bases", "ridge", "points", "batch", "steps"))
    return f"{setting['duration']:g}", grid, experts, *numbers, f"{setting['network']['kind']} {network}"


def _times(seconds: dict[tuple[str, int, int], float]) -> str:
    rows = []
    for points in POINTS:
        one, experts, one_spread, experts_spread = (seconds[*case, points] for case in TIMED_CASES)
        times = [f"{1e3 * s:.0f}" for s in (one, experts, one_spread, experts_spread)]
        ratios = [f"{ratio:.2f}" for ratio in (one / experts, one_spread / experts_spread, one / experts_spread)]
        rows.append((points, *times, *ratios))
    head = ("HC", "MoE", "HC, two processes", "MoE, two processes", "HC / MoE", "both on two", "HC on one / MoE on two")
    return markdown(("points", *head), rows)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--preset", default="cpu", choices=list(PRESETS))
    add_seeds(arguments, default=3)
    arguments.add_argument("--workers", type=int, default=1, help="processes of one thread each")
    arguments.add_argument("--problems", nargs="+", default=list(PROBLEMS), choices=PROBLEMS)
    arguments.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    for name in ("steps", "batch", "tests"):
        arguments.add_argument(f"--{name}", type=int, help="in place of the preset's; nothing is saved")
    arguments.add_argument("--times", action="store_true", help="only the time of a step")
    arguments.add_argument("--time", nargs=2, metavar=("METHOD", "POINTS"), help="what --times runs")
    chosen = arguments.parse_args()
    if chosen.time:
        seconds = step_time(chosen.time[0], int(chosen.time[1]))
        if os.environ.get("RANK", "0") == "0":
            print(seconds)
        return
    if chosen.times:
        merge(NAME, step_times(), ("problem", "method", "points", "processes"))
        print(tables())
        return
    changes = {name: value for name in ("steps", "batch", "tests") if (value := getattr(chosen, name)) is not None}
    for problem in chosen.problems:
        common = {"problem": problem, "preset": chosen.preset}
        jobs = [common | {"method": m, "seed": s, "changes": changes} for s in seeds(chosen) for m in chosen.methods]
        found = run_all(run, jobs, chosen.workers)
        if not changes:
            merge(NAME, found, ("problem", "method", "seed"))
    print(tables())


if __name__ == "__main__":
    main()
