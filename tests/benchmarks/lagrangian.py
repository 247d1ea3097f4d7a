"""Transport at any speed: Lagrangian networks, their published form, a plain network and DeepXDE.

    python -m tests.benchmarks.lagrangian [--quick] [--seeds 5] [--methods lagrangian ...] [--problems burgers_periodic ...]

Errors are relative L2 over space and time with the mean of the solution taken off, as in the paper: at a mean of 50 they
would look 70 times smaller otherwise. Also draws ``results/lagrangian.png``: the conditioning of both formulations.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from typing import Any

from tests.benchmarks.common import add_seeds, load, markdown, median_and_worst, merge, parser, run_all, seeds
from tests.benchmarks.conditioning import conditioning

NAME = "lagrangian"
METHODS = {
    "lagrangian": "`lagrangian`",
    "published": "`lagrangian`, published form",
    "plain": "plain network, published training",
    "deepxde": "DeepXDE",
}
Case = tuple[str, dict[str, float], tuple[str, ...], float]  # problem, settings, methods, seconds of the Lagrangian ones
EVERY = tuple(METHODS)
CASES: list[Case] = [
    *[("convection", {"beta": b}, EVERY if b in (30.0, 50.0) else ("lagrangian",), 20) for b in (0.0, 30.0, 50.0, 100.0, 1e3)],
    *[
        ("convection_diffusion", {"beta": b}, EVERY if b == 30.0 else ("lagrangian",), 30)
        for b in (0.0, 2.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0)
    ],
    ("burgers_periodic", {}, EVERY, 60),
    ("burgers_periodic", {"end": 1.5}, ("lagrangian", "published"), 60),
    ("burgers_periodic", {"end": 3.0}, ("lagrangian",), 60),
    ("variable_convection", {}, ("lagrangian",), 30),
    ("inflow_convection", {}, ("lagrangian",), 30),
    ("rotation", {}, ("lagrangian",), 120),
]
WIDTH, DEPTH = 50, 5  # of the paper's plain network; its input is (cos x, sin x, t)
POINTS, ADAM, LBFGS = 2_560, 10_000, 1_000  # a tenth of the paper's grid; it takes up to a million Adam steps
COMPARED = 2**14


def run(problem: str, settings: dict[str, float], method: str, seed: int, seconds: float, effort: float) -> dict[str, Any]:
    """Errors and seconds of one run; ``effort`` scales the steps of the methods that have no budget in seconds."""
    import torch

    from sciml.registry import get_problem

    declared = get_problem(problem, settings)
    began = time.perf_counter()
    more: dict[str, Any] = {}
    if method in ("lagrangian", "published"):
        evaluate, more = lagrangian(declared, "corrected" if method == "lagrangian" else method, seed, seconds)
    else:
        evaluate = {"plain": plain, "deepxde": deepxde}[method](declared, seed, effort)
    taken = round(time.perf_counter() - began - more.pop("estimating", 0.0), 1)
    points = declared.domain.sample(COMPARED, torch.Generator().manual_seed(0), method="sobol")
    found = {"error": deviation(evaluate(points), declared.exact(*points.unbind(-1))["u"]), "seconds": taken}
    if problem == "burgers_periodic":
        x, true = spectral(declared)
        found["error_at_end"] = deviation(evaluate(torch.stack([x, torch.full_like(x, declared.end)], 1)), true)
    return found | more


def deviation(computed: Any, true: Any) -> float:
    """Relative L2, the mean of the true solution taken off."""
    return float((computed - true).norm() / (true - true.mean()).norm())


def spectral(problem: Any) -> tuple[Any, Any]:
    """The solution of Burgers' equation at the final time, (N,) points and values, by a pseudo-spectral method."""
    import torch

    from sciml.reference import FourierGrid, etdrk4

    grid = FourierGrid((0.0,), (2 * math.pi,), (2048,))
    (x,) = grid.points()
    keep, flux = grid.dealias(), -0.5 * grid.derivative(1)
    start = grid.forward(problem.mean + torch.sin(x))
    end = etdrk4(
        problem.nu * grid.derivative(2) - problem.mean * grid.derivative(1),
        lambda v: keep * flux * grid.forward((grid.inverse(v) - problem.mean) ** 2),
        start, [0.0, problem.end], steps=4000,
    )[-1]  # fmt: skip
    return x, grid.inverse(end)


def lagrangian(problem: Any, form: str, seed: int, seconds: float) -> tuple[Any, dict[str, Any]]:
    import warnings

    import torch

    from sciml import solve

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that characteristics of the published form cross is in the figures
        solution = solve(problem, "lagrangian", seconds=seconds, seed=seed, progress=False, form=form)
    solver: Any = solution.solver
    more = {"least_jacobian": solver.choices["least_jacobian"]}
    if form == "published" and hasattr(problem, "mean"):
        more["from_closed_form"] = from_closed_form(problem, solver)
    began = time.perf_counter()
    more["estimate"] = None if form == "published" else solution.error_estimate
    more["estimating"] = time.perf_counter() - began
    return lambda points: solver.fields(points.to(torch.float64))["u"], more


def from_closed_form(problem: Any, solver: Any) -> float:
    """How far the published form is from what solves it, by label: the larger relative L2 of W and of the displacement."""
    import torch

    labels = problem.domain.sample(COMPARED, torch.Generator().manual_seed(0), method="sobol")
    (position,), (state,) = solver.families[0].jets(labels, solver.problem.derivatives["interior"])
    xi, t = labels.unbind(-1)
    decay = torch.exp(-problem.nu * t)
    moved = xi + problem.mean * t + (1 - decay) / problem.nu * torch.sin(xi)
    carried = problem.mean + decay * torch.sin(xi)
    return max(deviation(state.value.detach(), carried), deviation(position.value.detach() - xi, moved - xi))


def plain(problem: Any, seed: int, effort: float) -> Any:
    """The paper's plain network: norms that are not squared, 1000 for the initial values, AMSGrad, then L-BFGS."""
    import torch

    from sciml import LBFGS as Lbfgs
    from sciml import PINN, FixedPoints, Phase, Torch, Trainer
    from sciml.recipes.lagrangian import Norms

    solver = PINN(
        problem, points=POINTS, condition_points=256, dtype=torch.float32,
        network_options={"kind": "mlp", "width": WIDTH, "depth": DEPTH}, generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    initial = [name for name, kind in solver.term_kinds.items() if kind == "condition"]
    weighting = Norms(dict.fromkeys(initial, 1000.0))
    amsgrad = Torch(lambda parameters: torch.optim.Adam(parameters, lr=1e-2, amsgrad=True))
    phases = [
        Phase(amsgrad, steps=math.ceil(effort * ADAM), weighting=weighting, sampler=FixedPoints(method="sobol")),
        Phase(Lbfgs(), steps=math.ceil(effort * LBFGS), precision="float64"),
    ]
    Trainer(phases, seed=seed, progress=False, log_every=1000).fit(solver)
    return lambda points: solver.fields(points.to(solver.dtype))["u"].to(points)


def deepxde(problem: Any, seed: int, effort: float) -> Any:
    """The same network, points and numbers of steps in DeepXDE, with its own mean squares, learning rate and L-BFGS."""
    os.environ.setdefault("DDE_BACKEND", "pytorch")
    import deepxde as dde
    import numpy as np
    import torch

    dde.config.set_random_seed(seed)
    dde.config.set_default_float("float64")
    burgers = type(problem).__name__ == "BurgersPeriodic"
    mean = problem.mean if burgers else 0.0

    def equation(x: Any, u: Any) -> Any:
        speed = u if burgers else problem.beta
        residual = dde.grad.jacobian(u, x, i=0, j=1) + speed * dde.grad.jacobian(u, x, i=0, j=0)
        nu = getattr(problem, "nu", 0.0)
        return residual - nu * dde.grad.hessian(u, x, i=0, j=0) if nu else residual

    line, span = dde.geometry.Interval(0, 2 * math.pi), dde.geometry.TimeDomain(0, 1)
    domain = dde.geometry.GeometryXTime(line, span)
    start = dde.icbc.IC(domain, lambda x: mean + np.sin(x[:, :1]), lambda _, initial: initial)
    data = dde.data.TimePDE(domain, equation, [start], num_domain=POINTS, num_initial=256, train_distribution="Sobol")
    network = dde.nn.FNN([3] + [WIDTH] * DEPTH + [1], "tanh", "Glorot normal")
    network.apply_feature_transform(lambda x: torch.cat([torch.cos(x[:, :1]), torch.sin(x[:, :1]), x[:, 1:]], 1))
    model = dde.Model(data, network)
    model.compile("adam", lr=1e-3, loss_weights=[1, 100])
    model.train(iterations=math.ceil(effort * ADAM), display_every=10**9, verbose=0)
    dde.optimizers.set_LBFGS_options(maxiter=math.ceil(effort * LBFGS))
    dde.optimizers.LBFGS_options["iter_per_step"] = math.ceil(effort * LBFGS)  # the options above leave it at 1000
    model.compile("L-BFGS", loss_weights=[1, 100])
    model.train(display_every=10**9, verbose=0)
    return lambda points: torch.as_tensor(model.predict(points.numpy())[:, 0])


def tables() -> str:
    saved = load(NAME)
    if saved is None:
        return "Not measured yet."
    rows = []
    for problem, settings, methods, _ in CASES:
        title = " ".join((f"`{problem}`", *(f"{key}={value:g}" for key, value in settings.items())))
        for method in methods:
            found = [r for r in saved["runs"] if (r["problem"], r["settings"], r["method"]) == (problem, settings, method)]
            if found:
                notes = []
                if "error_at_end" in found[0] and settings:
                    notes.append(f"at the end {median_and_worst(r['error_at_end'] for r in found)}")
                if "from_closed_form" in found[0]:
                    notes.append(f"from its own closed form {median_and_worst(r['from_closed_form'] for r in found)}")
                seconds = f"{statistics.median(r['seconds'] for r in found):.0f}"
                errors = median_and_worst(r["error"] for r in found)
                rows.append((title, METHODS[method], seconds, len(found), errors, "; ".join(notes)))
    return markdown(("problem", "method", "seconds", "seeds", "relative L2, median (worst)", ""), rows)


def main() -> None:
    arguments = parser(__doc__.splitlines()[0])
    add_seeds(arguments, default=5)
    arguments.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    arguments.add_argument("--problems", nargs="+", help="all unless given")
    chosen = arguments.parse_args()
    effort = 0.01 if chosen.quick else 1.0
    jobs = [
        {"problem": problem, "settings": settings, "method": method, "seed": seed, "effort": effort,
         "seconds": seconds / (20 if chosen.quick else 1)}
        for problem, settings, methods, seconds in CASES
        if chosen.problems is None or problem in chosen.problems
        for seed in seeds(chosen)
        for method in methods
        if method in chosen.methods
    ]  # fmt: skip
    results = run_all(run, jobs, chosen.workers)
    measured = conditioning(steps=5 if chosen.quick else 60, write=not chosen.quick)
    print(measured)
    if not chosen.quick:
        keys = ("problem", "settings", "method", "seed")
        merge(NAME, results, keys, conditioning=measured)
        print(tables())


if __name__ == "__main__":
    main()
