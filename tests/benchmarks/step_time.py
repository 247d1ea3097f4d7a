"""One Adam step beside DeepXDE's: the same network, points and float type, alternating in one process.

    python -m tests.benchmarks.step_time [--quick]
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from tests.benchmarks.common import load, markdown, parser, save

NAME = "step_time"
SIZES = {"small": (128, 512), "large": (2500, 400)}
WIDTH, DEPTH = 50, 3


def ours(interior: int, boundary: int, resample: bool, dtype: str) -> Callable[[int], None]:
    """Train for a number of steps with the trainer."""
    import torch

    from problems import Helmholtz
    from sciml import MLP, PINN, Adam, FixedPoints, Phase, Trainer, Uniform

    solver = PINN(
        Helmholtz(), MLP(2, 1, width=WIDTH, depth=DEPTH), points=interior, condition_points=boundary,
        dtype=getattr(torch, dtype),
    )  # fmt: skip

    def train(steps: int) -> None:
        phase = Phase(Adam(1e-3), steps=steps, sampler=Uniform() if resample else FixedPoints())
        Trainer([phase], progress=False).fit(solver)

    return train


def deepxde(interior: int, boundary: int, resample: bool, dtype: str) -> Callable[[int], None]:
    """The same problem declared in DeepXDE."""
    os.environ.setdefault("DDE_BACKEND", "pytorch")
    import deepxde as dde
    import torch

    dde.config.set_default_float(dtype)
    a1, a2, k = 1, 4, 1.0

    def equation(x: Any, u: Any) -> Any:
        u_xx, u_yy = dde.grad.hessian(u, x, i=0, j=0), dde.grad.hessian(u, x, i=1, j=1)
        s = torch.sin(a1 * math.pi * x[:, 0:1]) * torch.sin(a2 * math.pi * x[:, 1:2])
        return u_xx + u_yy + k**2 * u - (k**2 - (a1 * math.pi) ** 2 - (a2 * math.pi) ** 2) * s

    square = dde.geometry.Rectangle([-1, -1], [1, 1])
    condition = dde.icbc.DirichletBC(square, lambda x: 0, lambda x, on: on)
    data = dde.data.PDE(square, equation, condition, num_domain=interior, num_boundary=boundary)
    network = dde.nn.FNN([2] + [WIDTH] * DEPTH + [1], "tanh", "Glorot normal")
    model = dde.Model(data, network)
    model.compile("adam", lr=1e-3)
    callbacks = [dde.callbacks.PDEPointResampler(period=1)] if resample else []

    def train(steps: int) -> None:
        model.train(iterations=steps, display_every=10**9, callbacks=callbacks, verbose=0)

    return train


def measure(size: str, resample: bool, dtype: str, steps: int, repeats: int) -> dict[str, Any]:
    """Milliseconds of processor time a step, and the ratio of every alternating pair."""
    interior, boundary = SIZES[size]
    runs = {name: build(interior, boundary, resample, dtype) for name, build in (("sciml", ours), ("deepxde", deepxde))}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for train in runs.values():
        train(5)
    for _ in range(repeats):
        for name, train in runs.items():
            began = time.process_time()
            train(steps)
            times[name].append((time.process_time() - began) / steps * 1e3)
    ratios = [a / b for a, b in zip(times["sciml"], times["deepxde"], strict=True)]
    return {
        "size": size, "resample": resample, "dtype": dtype,
        "sciml_ms": times["sciml"], "deepxde_ms": times["deepxde"], "ratio": ratios,
    }  # fmt: skip


def tables() -> str:
    saved = load(NAME)
    if saved is None:
        return "Not measured yet."
    rows = []
    for r in saved["runs"]:
        interior, boundary = SIZES[r["size"]]
        rows.append((
            f"{interior} + {boundary}", r["dtype"], "every step" if r["resample"] else "fixed",
            *(f"{statistics.median(r[f'{name}_ms']):.1f}" for name in ("sciml", "deepxde")),
            f"{statistics.median(r['ratio']):.2f} ({max(r['ratio']):.2f})",
        ))  # fmt: skip
    return markdown(("points", "type", "points drawn", "sciml ms", "DeepXDE ms", "ratio, median (worst)"), rows)


def main() -> None:
    chosen = parser(__doc__.splitlines()[0]).parse_args()
    import torch

    torch.set_num_threads(1)
    results = []
    for size in SIZES:
        for dtype in ("float32", "float64"):
            for resample in (False, True):
                steps = 20 if chosen.quick else 200 if size == "small" else 60
                results.append(measure(size, resample, dtype, steps, 2 if chosen.quick else 5))
                print(results[-1], flush=True)
    if not chosen.quick:
        save(NAME, results)
        print(tables())


if __name__ == "__main__":
    main()
