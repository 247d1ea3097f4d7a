"""What may happen around the steps of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciml.errors import InputError, nearest
from sciml.training.phase import Every

if TYPE_CHECKING:
    from sciml.training.run import Run


class Callback:
    """Override what is needed. ``run`` tells the state of affairs; ``run.stop(reason)`` ends the run after this step.

    Whatever a callback remembers must go through ``state_dict``, so that a resumed run continues exactly; it holds
    tensors, numbers, texts, lists and dicts.
    """

    def on_fit_start(self, run: Run) -> None:
        """Before the first step, also of a resumed run."""

    def on_phase_start(self, run: Run) -> None:
        """Before the first step of a phase, also of a resumed one."""

    def on_step(self, run: Run) -> None:
        """After every iteration. ``run.row`` is its row of the history, None for most."""

    def on_evaluate(self, run: Run) -> None:
        """After ``run.errors`` were evaluated."""

    def on_checkpoint(self, run: Run, path: Path) -> None:
        """After a checkpoint was written to ``path``."""

    def on_phase_end(self, run: Run) -> None:
        """After the last step of a phase; ``run.reports[-1]`` tells why it ended."""

    def on_fit_end(self, run: Run) -> None:
        """After the last step, unless an exception ended the run."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from ``state``."""


class EarlyStopping(Callback):
    """Ends the run once the loss, or the relative L2 error of every field, is at most ``target``.

    The loss is looked at in the steps that have a row of the history, the errors whenever they are evaluated.

    Raises:
        InputError: ``on`` is neither "loss" nor "relative_l2".
    """

    def __init__(self, target: float, on: str = "loss") -> None:
        choices = ("loss", "relative_l2")
        if on not in choices:
            raise InputError(f"EarlyStopping(on={on!r}); {nearest(on, choices)}")
        self.target, self.on = target, on

    def on_step(self, run: Run) -> None:
        if self.on == "loss" and run.row is not None:
            self._check("the loss", float(run.row["loss"]), run)

    def on_evaluate(self, run: Run) -> None:
        if self.on == "relative_l2" and run.errors:
            self._check("the relative L2 error", max(run.errors.values()), run)

    def _check(self, what: str, value: float, run: Run) -> None:
        if value <= self.target:
            run.stop(f"{what}, {value:.3g}, reached the target {self.target:.3g}")


class Checkpoint(Callback):
    """Writes ``folder/checkpoint`` at intervals and at the end."""

    def __init__(self, folder: str | Path, every: Every) -> None:
        self.folder, self.every = Path(folder), every
        self._last_seconds = 0.0

    def on_fit_start(self, run: Run) -> None:
        self._last_seconds = run.seconds

    def on_step(self, run: Run) -> None:
        if self.every.due(run.step, run.seconds, self._last_seconds):
            self._save(run)

    def on_fit_end(self, run: Run) -> None:
        self._save(run)

    def _save(self, run: Run) -> None:
        from sciml.training.checkpoint import save_checkpoint

        self._last_seconds = run.seconds
        path = save_checkpoint(run, self.folder)
        if path is not None:
            run.emit("on_checkpoint", path)
