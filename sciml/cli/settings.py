"""``--set KEY=VALUE`` on the command line."""

from __future__ import annotations

from collections.abc import Sequence


def pairs(given: Sequence[str], example: str) -> dict[str, str]:
    """Values by key; raises InputError for anything but KEY=VALUE."""
    from sciml.errors import InputError

    settings = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not (equals and key):
            raise InputError(f"--set {pair!r} must be KEY=VALUE, for example --set {example}")
        settings[key] = value
    return settings
