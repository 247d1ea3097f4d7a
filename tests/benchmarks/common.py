"""What the benchmark scripts share: environment, parallel runs, results as JSON, tables for the README."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parents[2] / "README.md"


def environment() -> dict[str, Any]:
    """Versions, processor and commit of a measurement."""
    import torch

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=Path(__file__).parent)
        return done.stdout.strip()

    processor = platform.processor() or platform.machine()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.exists():
        names = [line.split(":")[1].strip() for line in cpu_info.read_text().splitlines() if line.startswith("model name")]
        processor = names[0] if names else processor
    return {
        "commit": git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "sciml", "problems") else ""),
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": processor,
        "cores": os.cpu_count(),
    }


def parser(description: str) -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--quick", action="store_true", help="a small preset of a few minutes; nothing is saved")
    arguments.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2)), help="processes of one thread each")
    return arguments


def add_seeds(arguments: argparse.ArgumentParser, default: int | None) -> None:
    """``--seeds`` and ``--first-seed``; ``seeds`` reads them."""
    arguments.add_argument("--seeds", type=int, default=default, help="how many")
    arguments.add_argument("--first-seed", type=int, default=0, help="seeds before it are kept as they were saved")


def seeds(chosen: argparse.Namespace, default: int = 1) -> range:
    """The asked ones, ``default`` where none were asked for; a quick run has only the first."""
    quick = getattr(chosen, "quick", False)
    return range(chosen.first_seed, chosen.first_seed + (1 if quick else chosen.seeds or default))


def run_all(function: Callable[..., dict[str, Any]], jobs: Sequence[dict[str, Any]], workers: int) -> list[dict[str, Any]]:
    """``function(**job)`` for every job, in processes of one thread; progress is printed."""
    results: list[dict[str, Any]] = []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        futures = {pool.submit(function, **job): job for job in jobs}
        for future in as_completed(futures):
            results.append(futures[future] | future.result())
            print(f"[{len(results)}/{len(jobs)}] {results[-1]}", flush=True)
    return results


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def save(name: str, results: list[dict[str, Any]], earlier: Sequence[dict[str, Any]] = (), **more: Any) -> Path:
    """Write ``results/<name>.json``: ``results``, with the command, commit and date of this run, after ``earlier`` ones."""
    here = environment()
    measured = {"command": _command(name), "commit": here["commit"], "date": here["date"]}
    saved = {"environment": here} | more | {"runs": [*earlier, *(run | {"measured": measured} for run in results)]}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(saved, indent=1) + "\n")
    return path


def merge(name: str, results: list[dict[str, Any]], keys: Sequence[str], **more: Any) -> Path:
    """``save`` the results with those saved before, in place of the ones that agree in ``keys``."""

    def key(run: dict[str, Any]) -> list[str]:
        return [str(run.get(name)) for name in keys]

    new = [key(run) for run in results]
    RESULTS.mkdir(exist_ok=True)
    folder = os.open(RESULTS, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # another run may end at the same moment
        earlier = (load(name) or {"runs": []})["runs"]
        return save(name, results, [run for run in earlier if key(run) not in new], **more)
    finally:
        os.close(folder)


def _command(name: str) -> str:
    """How this process was started, with FOLDER for every folder of this machine."""
    arguments = ["FOLDER" if os.path.isdir(argument) else argument for argument in sys.argv[1:]]
    return " ".join(["python -m", f"tests.benchmarks.{name}", *arguments])


def load(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def median_and_worst(values: Iterable[float]) -> str:
    values = list(values)
    return f"{statistics.median(values):.2g} ({max(values):.2g})" if values else "-"


def markdown(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)
