"""A run as one HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; } th { text-align: left; font-weight: 500; color: #555; padding-right: 2rem; }
th, td { border-bottom: 1px solid #ddd; padding-block: .25rem; vertical-align: top; }
td { font-variant-numeric: tabular-nums; } img { max-width: 100%; height: auto; }
</style>
</head>
<body>
<h1>$title</h1>
$tables
$pictures
</body>
</html>
""")


def write_report(
    path: Path, title: str, tables: Mapping[str, Mapping[str, Any]], pictures: Mapping[str, bytes]
) -> None:
    """Write the page.

    Args:
        tables: rows by heading.
        pictures: PNG files by heading.
    """
    page = PAGE.substitute(
        title=escape(title),
        tables="\n".join(f"<h2>{escape(heading)}</h2>\n{_table(rows)}" for heading, rows in tables.items() if rows),
        pictures="\n".join(f"<h2>{escape(heading)}</h2>\n{_image(heading, png)}" for heading, png in pictures.items()),
    )
    path.write_text(page, encoding="utf-8")


def _table(rows: Mapping[str, Any]) -> str:
    cells = ((escape(name), escape(as_text(value))) for name, value in rows.items())
    return "<table>\n" + "\n".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in cells) + "\n</table>"


def _image(heading: str, png: bytes) -> str:
    return f'<img alt="{escape(heading)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def as_text(value: Any) -> str:
    """A value for a reader: three digits, "not known" for None, `name value` pairs for a mapping."""
    if value is None:
        return "not known"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {as_text(item)}" for name, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(as_text, value))
    return str(value)
