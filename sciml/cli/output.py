"""What commands print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def print_table(rows: Mapping[str, Any]) -> None:
    """Names and values, a row each."""
    from rich.console import Console
    from rich.table import Table

    from sciml.io.report import as_text

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, as_text(value))
    Console(markup=False).print(table)
