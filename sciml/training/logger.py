"""Where the rows of the history are sent while a run goes on."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from sciml.errors import InputError
from sciml.training.history import ordered, write_csv


class Logger(Protocol):
    """Three methods; called on the main process only."""

    def start(self, configuration: Mapping[str, Any]) -> None:
        """A run begins, or continues after ``configuration["step"]`` steps; further keys describe it."""

    def log(self, metrics: Mapping[str, float | str], step: int) -> None:
        """One row of the history, after ``step`` iterations."""

    def finish(self) -> None:
        """The run is over."""


class CSVLogger:
    """Appends every row to the table at ``path``; a continued run drops the rows that it is about to repeat."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._columns: list[str] = []
        self._file: io.TextIOWrapper | None = None

    def start(self, configuration: Mapping[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = [row for row in self._read() if int(row["step"]) <= configuration.get("step", 0)]
        self._rewrite(ordered(name for row in rows for name in row), rows)

    def log(self, metrics: Mapping[str, float | str], step: int) -> None:
        row = {"step": step} | dict(metrics)
        if not row.keys() <= set(self._columns):
            self._rewrite(ordered([*self._columns, *row]), self._read())
        assert self._file is not None
        csv.DictWriter(self._file, self._columns).writerow(row)
        self._file.flush()

    def finish(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if row["step"] and None not in row.values()]

    def _rewrite(self, columns: list[str], rows: list[dict[str, str]]) -> None:
        self.finish()
        write_csv(self.path, columns, rows)
        self._columns = columns
        self._file = self.path.open("a", newline="", encoding="utf-8")


class TensorBoardLogger:
    """Writes every number of the history for TensorBoard.

    Raises:
        InputError: TensorBoard is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError("TensorBoardLogger needs TensorBoard: pip install 'sciml-solvers[track]'") from error
        self._create = SummaryWriter
        self._writer: Any = None

    def start(self, configuration: Mapping[str, Any]) -> None:
        step = configuration.get("step", 0)
        self._writer = self._create(str(self.folder), purge_step=step + 1 if step else None)

    def log(self, metrics: Mapping[str, float | str], step: int) -> None:
        for name, value in metrics.items():
            if not isinstance(value, str) and name != "step":
                self._writer.add_scalar(name, value, step)

    def finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
