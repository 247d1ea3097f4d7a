"""Chalapathi, Du and Krishnapriyan (2024), section 4: hard constraints with and without experts, and the soft constraint.

    python -m tests.benchmarks.hard_constraint [--preset cpu|paper] [--seeds 1] [--problems ...] [--methods ...]

Errors are relative L2 after the initial time on the training grid. "MoE" has separate experts as the paper, "MoE+"
experts that agree where they meet. The paper's sizes need a large accelerator.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from tests.benchmarks.common import load, markdown, save

NAME = "hard_constraint"
PAPER = {
    "diffusion_sorption": {"SC": 0.8593, "HC": 0.0755, "MoE": 0.0360},
    "navier_stokes": {"SC": 0.1808, "HC": 0.1175, "MoE": 0.0830},
}
METHODS = ("SC", "HC", "MoE", "MoE+")
_MLP = {"kind": "mlp", "width": 64, "depth": 2}
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "cpu": {
        "diffusion_sorption": {
            "shape": (64, 52), "experts": (4, 1), "bases": 16, "points": 800, "instances": 100, "batch": 2, "tests": 10,
            "steps": 300, "rate": 3e-3, "condition_points": 64, "equation": 1e6, "interface": 100.0, "dtype": "float32",
            "iterations": 20, "exact_initial": False, "network": _MLP,
        },
        "navier_stokes": {
            "shape": (16, 16, 16), "experts": (2, 2, 1), "bases": 8, "points": 2000, "instances": 100, "batch": 2,
            "tests": 10, "steps": 200, "rate": 2e-3, "condition_points": 64, "dtype": "float32", "iterations": 20,
            "exact_initial": True,
            "network": {"kind": "fno", "n_modes": (6, 6, 6), "hidden_channels": 8, "n_layers": 2, "domain_padding": 0.25},
        },
    },
    "paper": {
        "diffusion_sorption": {
            "shape": (1024, 101), "experts": (4, 1), "bases": 16, "points": 80_000, "instances": 8000, "batch": 6,
            "tests": 1000, "steps": 4000, "rate": 1e-3, "condition_points": 1024, "dtype": "float64", "iterations": 50,
            "exact_initial": False,
            "network": {"kind": "fno", "n_modes": (8, 8), "hidden_channels": 64, "n_layers": 5},
        },
        "navier_stokes": {
            "shape": (64, 64, 64), "experts": (2, 2, 1), "bases": 64, "points": 80_000, "instances": 4000, "batch": 4,
            "tests": 100, "steps": 20_000, "rate": 1e-3, "condition_points": 64, "dtype": "float64", "iterations": 50,
            "exact_initial": True,
            "network": {"kind": "fno", "n_modes": (8, 8, 8), "hidden_channels": 64, "n_layers": 8},
        },
    },
}  # fmt: skip


def run(problem: str, method: str, seed: int, preset: str) -> dict[str, Any]:
    """Mean and worst error over test instances, and processor time of a step."""
    import torch

    from problems import DiffusionSorption, NavierStokesVorticity
    from sciml import Adam, ExponentialDecay, Phase, Trainer

    setting = PRESETS[preset][problem]
    declared = DiffusionSorption() if problem == "diffusion_sorption" else NavierStokesVorticity()
    solver = build(declared, method, seed, setting)
    steps = setting["steps"]
    phase = Phase(Adam(setting["rate"]), steps=steps, schedule=ExponentialDecay(0.9, max(1, steps // 20)))
    began = time.process_time()
    Trainer([phase], seed=seed, log_every=max(1, steps // 5), evaluate_every=10**9).fit(solver)
    seconds = time.process_time() - began
    generator = torch.Generator().manual_seed(10_000)
    errors = []
    for instance in [declared.sample(generator) for _ in range(setting["tests"])]:
        found = solver.predict([instance])[declared.unknowns[0]][0].double()
        difference, true = (field[..., 1:] for field in (found - truth(instance, setting["shape"]), found))
        errors.append(float(difference.norm() / (true - difference).norm()))
    return {"error": statistics.mean(errors), "worst": max(errors), "step_seconds": seconds / steps}


def build(problem: Any, method: str, seed: int, setting: dict[str, Any]) -> Any:
    """The untrained solver of a method."""
    import math

    import torch

    from operators import FNO
    from sciml import MLP, HardConstraintMoE, Pointwise, SoftConstraint
    from sciml.solvers.hard_constraint.layer import Tolerances

    generator = torch.Generator().manual_seed(seed)
    inputs, outputs = HardConstraintMoE.input_channels(problem), 1 if method == "SC" else setting["bases"]
    options = dict(setting["network"])
    network: torch.nn.Module
    if options.pop("kind") == "mlp":
        network = Pointwise(MLP(inputs, outputs, generator=generator, **options))
    else:
        network = FNO(in_channels=inputs, out_channels=outputs, generator=generator, positional_embedding=None, **options)
    weights: dict[str, Any] = {}
    if "equation" in setting:  # the first instants, which no grid resolves, weigh little
        weights["diffusion_sorption"] = lambda t: setting["equation"] * t / problem.duration
    if method == "MoE+":
        weights["interface"] = setting.get("interface", 1.0)
    names = ("shape", "instances", "batch", "exact_initial", "condition_points")
    common = {name: setting[name] for name in names} | {
        "generator": generator, "dtype": getattr(torch, setting["dtype"]), "weights": weights
    }  # fmt: skip
    if method == "SC":
        return SoftConstraint(problem, network, **common)
    parts = setting["experts"] if method.startswith("MoE") else (1,) * len(setting["shape"])
    return HardConstraintMoE(
        problem, network, bases=outputs, experts=parts, rows=setting["points"] // math.prod(parts),
        interface=method == "MoE+", tolerances=Tolerances(setting["iterations"], 1e-4), **common,
    )  # fmt: skip


def truth(problem: Any, shape: tuple[int, ...]) -> Any:
    """The reference solution on the grid of ``shape``."""
    import torch

    t = torch.linspace(0, problem.duration, shape[-1], dtype=torch.float64)
    if len(shape) == 2:
        return problem.concentration(torch.linspace(0, 1, shape[0], dtype=torch.float64), t)
    n = max(shape[0], 128)
    return problem.flow(n, t)[:, :: n // shape[0], :: n // shape[0]].permute(1, 2, 0)


def tables() -> str:
    """Errors beside the paper's, and the time of a step."""
    saved = load(NAME)
    if saved is None:
        return "Not measured yet."
    rows = [
        (r["problem"], r["method"], f"{100 * r['error']:.1f} ({100 * r['worst']:.1f})",
         f"{100 * p:.1f}" if (p := PAPER[r["problem"]].get(r["method"])) else "-", f"{1e3 * r['step_seconds']:.0f}")
        for r in saved["runs"]
    ]  # fmt: skip
    return markdown(("problem", "method", "relative L2 in %, mean (worst)", "paper", "ms a step"), rows)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--preset", default="cpu", choices=list(PRESETS))
    arguments.add_argument("--seeds", type=int, default=1)
    arguments.add_argument("--problems", nargs="+", default=list(PAPER), choices=list(PAPER))
    arguments.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    chosen = arguments.parse_args()
    results = []
    for problem in chosen.problems:
        for method in chosen.methods:
            for seed in range(chosen.seeds):
                job = {"problem": problem, "method": method, "seed": seed, "preset": chosen.preset}
                results.append(job | run(**job))
                print(results[-1], flush=True)
    save(NAME, f"python -m tests.benchmarks.{NAME} --preset {chosen.preset}", results)
    print(tables())


if __name__ == "__main__":
    main()
