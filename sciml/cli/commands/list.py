"""``sciml list``: what can be named on the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer


def command(
    kind: Annotated[str | None, typer.Argument(help="problems, solvers, operators or data; all by default.")] = None,
) -> None:
    """List the problems with their settings, the solvers, the operators, and the problems that data sets can be made of."""
    from sciml import registry
    from sciml.errors import InputError, nearest

    tables: dict[str, Callable[[], dict[str, Any]]] = {
        "problems": registry.problems,
        "solvers": registry.solvers,
        "operators": registry.operators,
        "data": registry.families,
    }
    if kind is not None and kind not in tables:
        raise InputError(f"there is no list of {kind!r}; {nearest(kind, tables)}")
    for name, find in tables.items():
        if kind == name or (kind is None and name != "data"):  # which are problems, too
            _print(name, find())


def _print(title: str, found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("name", no_wrap=True, style="cyan")
    table.add_column("settings" if title in ("problems", "data") else "options", overflow="fold")
    table.add_column("what", overflow="fold")
    for name, item in found.items():
        table.add_row(name, _settings(item), _summary(item))
    console = Console(markup=False)
    if not console.is_terminal:
        console.width = 240  # one line an entry, for grep
    console.print(table if found else f"no {title} are installed", "")


def _settings(item: Any) -> str:
    if not isinstance(item, type):
        return " ".join(item.options)
    defaults = inspect.signature(item).parameters.items()
    return " ".join(f"{name}={_short(p.default)}" for name, p in defaults if p.kind is not p.VAR_KEYWORD)


def _short(default: Any) -> str:
    if default is inspect.Parameter.empty:
        return "..."
    return f"{default:.6g}" if isinstance(default, float) else str(default)


def _summary(item: Any) -> str:
    return (inspect.getdoc(item if isinstance(item, type) else item.solve) or "").split("\n")[0]
