"""How a run is going, for people."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from sciml.training.callback import Callback
from sciml.training.run import Run

if TYPE_CHECKING:
    from rich.console import Console

_TERMINAL_INTERVAL, _LINE_INTERVAL = 0.2, 10.0  # seconds


class Progress(Callback):
    """A bar with steps, losses, errors and the time left; where there is no terminal, a line every ten seconds."""

    def __init__(self, console: Console | None = None) -> None:
        # rich is slow to import, and draws from Python's random numbers when it is.
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self.console = console or Console(stderr=True)
        self._live = self.console.is_terminal or self.console.is_jupyter
        self._bar = Bar(
            TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[text]}"),
            console=self.console, auto_refresh=False, transient=False,
        )  # fmt: skip
        self._next = 0.0
        self._row: dict[str, float | str] = {}

    def __enter__(self) -> Progress:
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live:
            self._bar.stop()

    def on_fit_start(self, run: Run) -> None:
        if run.history.rows:  # of the run that is resumed; its next row may be many steps away
            self._row = run.history.rows[-1]

    def on_phase_start(self, run: Run) -> None:
        if self._live:
            self._task = self._bar.add_task(run.phase.name, total=1.0, text="")
        self._next = 0.0

    def on_step(self, run: Run) -> None:
        if run.row is not None:
            self._row = run.row
        now = time.monotonic()
        if now >= self._next:
            self._next = now + (_TERMINAL_INTERVAL if self._live else _LINE_INTERVAL)
            self._show(run)

    def on_phase_end(self, run: Run) -> None:
        report = run.reports[-1]
        self._show(run, f"{report.steps} steps in {_duration(report.seconds)}: {report.stop_reason}")

    def _show(self, run: Run, ending: str | None = None) -> None:
        text = describe(run, self._row, ending)
        if self._live:
            left = _time_left(run)
            done = run.phase_seconds / (run.phase_seconds + left) if left is not None and run.phase_seconds > 0 else 0.0
            self._bar.update(self._task, completed=1.0 if ending else done, text=text)
            self._bar.refresh()
        else:
            self.console.print(f"{run.phase.name}: {text}", highlight=False, soft_wrap=True)


def describe(run: Run, row: dict[str, float | str], ending: str | None = None) -> str:
    """The state of ``run`` in one line, its numbers from ``row``."""
    steps = f"step {run.phase_step}" + (f"/{total}" if (total := _steps(run)) else "")
    terms = [f"{name.removeprefix('loss/')} {value:.1e}" for name, value in row.items() if name.startswith("loss/")]
    parts = [steps, f"loss {row.get('loss', math.nan):.2e}" + (f" ({', '.join(terms)})" if len(terms) > 1 else "")]
    if run.errors:
        parts.append("relative error " + ", ".join(f"{name} {value:.2e}" for name, value in run.errors.items()))
    left = _time_left(run)
    if ending is not None:
        parts[0] = ending
    elif left is not None:
        parts.append(f"{_duration(left)} left")
    return ", ".join(parts)


def _steps(run: Run) -> int | None:
    """The most steps that the phase may take."""
    limits = [] if run.phase.steps is None else [run.phase.steps]
    if run.last_step is not None:
        limits.append(run.last_step - run.step + run.phase_step)
    return min(limits, default=None)


def _time_left(run: Run) -> float | None:
    """Seconds to the end of the phase by the first of its budgets; None while nothing can be said."""
    estimates = []
    total = _steps(run)
    if total is not None and run.phase_step > 0:
        estimates.append((total - run.phase_step) * run.phase_seconds / run.phase_step)
    if run.phase.seconds is not None:
        estimates.append(run.phase.seconds - run.phase_seconds)
    if run.budget is not None:
        estimates.append(run.budget - run.seconds)
    return max(0.0, min(estimates)) if estimates else None


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.2g} s" if seconds < 10 else f"{rest} s"
