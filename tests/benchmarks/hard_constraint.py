"""Chalapathi, Du and Krishnapriyan (2024), section 4: hard constraints with and without experts, and the soft constraint.

    python -m tests.benchmarks.hard_constraint [--preset cpu|paper] [--quick] [--seeds 1] [--problems ...] [--methods ...]
"""

from __future__ import annotations

import statistics
import time
from typing import Any

NAME = "hard_constraint"


def problem_of(name: str, **settings: Any) -> Any:
    from problems import DiffusionSorption, NavierStokesVorticity

    return {"diffusion_sorption": DiffusionSorption, "navier_stokes": NavierStokesVorticity}[name](**settings)


def build(problem: Any, method: str, seed: int, setting: dict[str, Any]) -> Any:
    """The untrained solver of a method."""
    import torch

    from operators import FNO
    from sciml import MLP, HardConstraintMoE, Pointwise, SoftConstraint

    generator = torch.Generator().manual_seed(seed)
    outputs = 1 if method == "SC" else setting["bases"]
    inputs = HardConstraintMoE.input_channels(problem)
    options = dict(setting["network"])
    if options.pop("kind") == "mlp":
        network = Pointwise(MLP(inputs, outputs, generator=generator, **options))
    else:
        network = FNO(in_channels=inputs, out_channels=outputs, generator=generator, positional_embedding=None, **options)
    common = {
        name: setting[name] for name in ("shape", "instances", "batch", "exact_initial", "condition_points") if name in setting
    } | {"generator": generator, "weights": {k: v for k, v in setting.get("weights", {}).items() if method == "MoE" or k != "interface"}, "dtype": getattr(torch, setting.get("dtype", "float32"))}
    if method == "SC":
        return SoftConstraint(problem, network, **common)
    parts = setting["experts"] if method == "MoE" else (1,) * len(setting["shape"])
    experts = 1
    for p in parts:
        experts *= p
    return HardConstraintMoE(
        problem, network, bases=outputs, experts=parts, rows=setting["points"] // experts,
        **setting.get("layer", {}), **common,
    )


def truth(problem: Any, shape: Any) -> Any:
    import torch
    if type(problem).__name__ == "DiffusionSorption":
        x = torch.linspace(0, 1, shape[0], dtype=torch.float64)
        t = torch.linspace(0, problem.duration, shape[1], dtype=torch.float64)
        return problem.concentration(x, t)
    n = max(shape[0], 128)
    t = torch.linspace(0, problem.duration, shape[2], dtype=torch.float64)
    s = n // shape[0]
    return problem.flow(n, t)[:, ::s, ::s].permute(1, 2, 0)


def run(problem: str, method: str, seed: int, setting: dict[str, Any], tests: Any = None) -> dict[str, Any]:
    import torch

    from sciml import Adam, ExponentialDecay, Phase, Trainer

    declared = problem_of(problem, **setting.get("problem", {}))
    solver = build(declared, method, seed, setting)
    generator = torch.Generator().manual_seed(10_000)
    if tests is None:
        tests = [declared.sample(generator) for _ in range(setting["tests"])]
        tests = [(p, truth(p, setting["shape"])) for p in tests]

    def error():
        out = []
        for p, true in tests:
            u = solver.predict([p])[declared.unknowns[0]][0].double()
            out.append(float((u - true)[..., 1:].norm() / true[..., 1:].norm()))
        return out

    began = time.process_time()
    e0 = error()
    infer = (time.process_time() - began) / len(tests)
    phase = Phase(Adam(setting["rate"]), steps=setting["steps"], schedule=ExponentialDecay(0.9, setting["steps"] // 20))
    began = time.process_time()
    result = Trainer([phase], seed=seed, progress=False, log_every=max(1, setting["steps"] // 5), evaluate_every=10**9).fit(solver)
    seconds = time.process_time() - began
    errors = error()
    losses = [f"{x:.2e}" for x in result.history.to_dict()["loss"]]
    return {"before": statistics.mean(e0), "error": statistics.mean(errors), "worst": max(errors), "step": seconds / setting["steps"], "infer": infer, "losses": losses}
