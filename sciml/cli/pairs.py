"""Settings on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from sciml.errors import InputError


def read_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """The settings that ``--set KEY=VALUE`` gave, as text; raises InputError for anything else."""
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (equals and key):
            raise InputError(f"--set {pair!r} must be KEY=VALUE, for example --set nu=0.01")
        settings[key] = value
    return settings
