"""Neural operators on trajectories of our own: DRIFT-Net beside scOT, FNO and a U-Net, its parts left out, and FNO's own tasks.

    python -m tests.benchmarks.operators [--quick] [--seeds 3] [--tasks shear_layers ablations burgers darcy]
                                         [--operators drift_net scot] [--folder DIR]

``--tasks paper`` is the recipe of the DRIFT-Net paper at 128 x 128, for a GPU: 40,000 trajectories. Data are made once a task
and kept in the folder. On shear layers every operator has the same seconds, so run no more workers than there are idle cores.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.benchmarks.common import add_seeds, load, markdown, median_and_worst, merge, parser, run_all, seeds

NAME = "operators"


@dataclass(frozen=True)
class Task:
    """Data of one family, how operators are trained on them, and the settings of every operator by its title.

    ``networks`` maps a title to the registered name and what differs from ``training``.
    """

    family: str
    samples: int
    resolution: int
    times: int
    budget: dict[str, int]  # "seconds" of training or "epochs"
    training: dict[str, Any]
    networks: dict[str, tuple[str, dict[str, Any]]]
    settings: dict[str, Any] = field(default_factory=dict)


TRUNK = {"size": "tiny", "patch_size": 2}
ONE_STEP = {"lead_steps": 1, "batch": 16, "learning_rate": 1e-3}
EQUAL = {"seconds": 300}
LEVELS = {"hidden_channels": 30, "n_levels": 4, "n_blocks": 1}
DRIFT = TRUNK | {"high_frequency": 0.3}
FOURIER = {"loss": "relative_l2", "batch": 20, "test": 200, "learning_rate": 1e-3, "use_channel_mlp": False}
TASKS = {
    "shear_layers": Task(
        "shear_layers", 144, 64, 21, EQUAL, ONE_STEP | {"test": 16},
        {
            "DRIFT-Net": ("drift_net", DRIFT), "scOT": ("scot", TRUNK), "U-Net": ("unet", LEVELS),
            "FNO": ("fno", {"n_modes": (24, 24), "hidden_channels": 22}),
        },
    ),
    "ablations": Task(
        "shear_layers", 144, 64, 21, EQUAL, ONE_STEP | {"test": 16},
        {
            "without mixing": ("drift_net", DRIFT | {"without": ("mixing",)}),
            "without gate": ("drift_net", DRIFT | {"without": ("gate",)}),
            "without image branch": ("drift_net", DRIFT | {"without": ("image",)}),
            "without frequency loss": ("drift_net", TRUNK),
        },
    ),
    "burgers": Task(
        "random_burgers", 1200, 256, 2, {"epochs": 500}, FOURIER, {"FNO": ("fno", {"n_modes": (32,), "hidden_channels": 64})},
        {"nu": 0.1},
    ),
    "darcy": Task(
        "darcy_flow", 1200, 85, 2, {"epochs": 100}, FOURIER,
        {"FNO": ("fno", {"n_modes": (24, 24), "hidden_channels": 32, "domain_padding": 0.125})},
    ),
    "paper": Task(
        "shear_layers", 40_000, 128, 21, {"epochs": 10},
        {"lead_steps": 1, "batch": 40, "learning_rate": 5e-5, "warm_up": 0.0, "size": "T", "test": 240},
        {"DRIFT-Net": ("drift_net", {"high_frequency": 0.3}), "scOT": ("scot", {})},
    ),
}  # fmt: skip
LONG = ("paper",)
GOALS = {"burgers": 2e-3, "darcy": 1.1e-2}


def quick(task: Task) -> Task:
    """The same on few coarse trajectories, to see that it runs."""
    resolution = 17 if task.family == "darcy_flow" else 32
    training = task.training | {"test": 2}
    return replace(task, samples=12, resolution=resolution, times=min(task.times, 5), budget={"epochs": 1}, training=training)


def data_file(task: Task, folder: Path) -> Path:
    """The task's trajectories, made unless they are there."""
    from sciml.data import generate, write_trajectories
    from sciml.registry import get_problem

    path = folder / f"{task.family}-{task.samples}-{task.resolution}-{task.times}.h5"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"making {path}", flush=True)
        problem = get_problem(task.family, task.settings)
        header, batches = generate(problem, task.samples, task.resolution, times=task.times)
        write_trajectories(path, header, batches)
    return path


def run(task: str, case: str, seed: int, small: bool, file: str) -> dict[str, Any]:
    """Errors, size and cost of one training."""
    from sciml.neural_operator import train

    chosen = quick(TASKS[task]) if small else TASKS[task]
    operator, settings = chosen.networks[case]
    began = time.process_time()
    trained = train(operator, file, **chosen.budget, seed=seed, progress=False, **(chosen.training | settings))
    spent = time.process_time() - began
    metrics = trained.metrics
    pairs = metrics["steps"] * min(metrics["options"]["batch"], metrics["pairs"])
    rollout = metrics["rollout_relative_l1"]
    return {
        "parameters": metrics["parameters"],
        "one_step": metrics["test_relative_l1"],
        "last_step": rollout[-1] if rollout else None,
        "steps": len(rollout),
        "relative_l2": metrics["test_relative_l2"],
        "pairs": pairs,
        "processor_minutes": round(spent / 60, 2),
        "samples_per_second": metrics["samples_per_second"],
    }


def tables() -> str:
    saved = load(NAME)
    if saved is None:
        return "Not measured yet."
    rows = []
    for task, described in TASKS.items():
        for case in described.networks:
            found = [r for r in saved["runs"] if (r["task"], r["case"]) == (task, case)]
            if not found:
                continue
            rollouts = [r["last_step"] for r in found if r["steps"] > 1]
            rows.append((
                task.replace("_", " "), case, f"{found[0]['parameters']:,}", len(found),
                median_and_worst(r["one_step"] for r in found), median_and_worst(rollouts),
                median_and_worst(r["relative_l2"] for r in found), f"{statistics.median(r['pairs'] for r in found):,.0f}",
                median_and_worst(r["processor_minutes"] for r in found),
            ))  # fmt: skip
    return markdown(
        ("task", "operator", "parameters", "seeds", "relative L1, one step", "last step of the rollout", "relative L2",
         "pairs learnt from", "processor minutes"),
        rows,
    )  # fmt: skip


def main() -> None:
    arguments = parser(__doc__.splitlines()[0])
    add_seeds(arguments, default=3)
    arguments.add_argument("--tasks", nargs="+", default=[t for t in TASKS if t not in LONG], choices=list(TASKS))
    arguments.add_argument("--operators", nargs="+", help="registered names; all unless given")
    arguments.add_argument("--folder", type=Path, default=Path("runs") / "operators", help="where the data are kept")
    chosen = arguments.parse_args()
    jobs = []
    for name in chosen.tasks:
        task = quick(TASKS[name]) if chosen.quick else TASKS[name]
        file = str(data_file(task, chosen.folder))
        jobs += [
            {"task": name, "case": case, "seed": seed, "small": chosen.quick, "file": file}
            for case, (operator, _) in task.networks.items()
            if chosen.operators is None or operator in chosen.operators
            for seed in seeds(chosen)
        ]
    results = [{k: v for k, v in found.items() if k not in ("small", "file")} for found in run_all(run, jobs, chosen.workers)]
    for task, goal in GOALS.items():
        errors = [r["relative_l2"] for r in results if r["task"] == task]
        if errors and not chosen.quick:
            print(f"{task}: relative L2 {median_and_worst(errors)}, goal {goal:g}")
    if not chosen.quick:
        merge(NAME, results, ("task", "case", "seed"))
        print(tables())


if __name__ == "__main__":
    main()
