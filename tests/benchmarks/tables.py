"""Writes the README's benchmark tables from the saved results; with --check only tells whether they agree.

    python -m tests.benchmarks.tables [--check]
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections import defaultdict

from tests.benchmarks.common import README, load

_MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def regenerate(text: str) -> str:
    """``text`` with every marked table replaced by what the module of that name makes of its saved results."""

    def table(match: re.Match[str]) -> str:
        name = match.group(2)
        module = importlib.import_module(f"tests.benchmarks.{name}")
        saved = load(name)
        source = "" if saved is None else _source(saved)
        return f"{match.group(1)}{module.tables()}\n{source}{match.group(3)}"

    return _MARKED.sub(table, text)


def _source(saved: dict) -> str:
    """The commands that made the rows, with their commits, and the machine."""
    environment, made = saved["environment"], defaultdict(set)
    for run in saved["runs"]:
        made[run["measured"]["command"]].add((run["measured"]["date"], run["measured"]["commit"]))
    lines = [
        f"`{command}`, commit {', '.join(commit for _, commit in sorted(commits))}, "
        + " to ".join(sorted({min(commits)[0], max(commits)[0]}))
        for command, commits in sorted(made.items())
    ]
    return f"\n{'; '.join(lines)}; torch {environment['torch']}, {environment['processor']}.\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    text = README.read_text()
    new = regenerate(text)
    if check:
        sys.exit(0 if new == text else "the README's tables differ from the saved results: python -m tests.benchmarks.tables")
    README.write_text(new)


if __name__ == "__main__":
    main()
