"""What happened during a run, by row."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from sciml.errors import InputError, nearest

Row = dict[str, float | str]
_GROUPS = ("step", "phase", "seconds", "loss", "loss/", "weight/", "error/")


class History:
    """Rows of numbers by column; a column that a row lacks is NaN there. Iterating gives the rows.

    Columns: ``step`` (iterations done), ``phase`` (its name), ``seconds``, ``loss``, ``loss/<term>`` (mean square
    residual or its other power, unweighted), ``weight/<term>`` (mean weight), ``error/<field>`` (relative, where it was
    evaluated), and there what the solver's ``diagnostics`` are.
    """

    def __init__(self, columns: Mapping[str, list[float] | list[str]] | None = None) -> None:
        self.rows: list[Row] = []
        if columns:
            for values in zip(*columns.values(), strict=True):
                self.rows.append({name: v for name, v in zip(columns, values, strict=True) if v == v})

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, column: str) -> np.ndarray:
        """The values of ``column`` (rows,).

        Raises:
            InputError: no row has it.
        """
        if self.rows and column not in self.columns:
            raise InputError(f"the history has no column {column!r}; {nearest(str(column), self.columns)}")
        return np.array([row.get(column, math.nan) for row in self.rows])

    def append(self, row: Row) -> None:
        self.rows.append(row)

    @property
    def columns(self) -> list[str]:
        return ordered(name for row in self.rows for name in row)

    def to_dict(self) -> dict[str, list[float] | list[str]]:
        """Columns by name."""
        return {name: self[name].tolist() for name in self.columns}

    def to_csv(self, path: str | Path) -> None:
        """Write a table with a header; empty cells where a row lacks a column."""
        write_csv(Path(path), self.columns, self.rows)


def ordered(columns: Iterable[str]) -> list[str]:
    """Each once: step, phase, seconds, loss, then terms, weights, errors, and any others in the order of appearance."""

    def group(name: str) -> int:
        prefix = name.partition("/")[0] + "/" if "/" in name else name
        return _GROUPS.index(prefix) if prefix in _GROUPS else len(_GROUPS)

    return sorted(dict.fromkeys(columns), key=group)


def write_csv(path: Path, columns: list[str], rows: Iterable[Mapping[str, float | str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
