"""The history of a run as columns."""

from __future__ import annotations

import csv
import math
from pathlib import Path


def read_history(path: Path) -> dict[str, list[float]]:
    """Columns of a CSV file with a header; an empty cell is NaN, and a column that holds text is left out."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns: dict[str, list[float]] = {}
    for name in rows[0] if rows else ():
        try:
            columns[name] = [float(row[name] or math.nan) for row in rows]
        except ValueError:
            continue
    return columns
