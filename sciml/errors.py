"""Errors that a user can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SciMLError(Exception):
    """Base class of every error raised on purpose by sciml."""


class InputError(SciMLError, ValueError):
    """The caller's mistake: the text names the argument, its value and the fix. The command line exits with status 2."""


class DivergenceError(SciMLError):
    """A computation left the finite numbers and no good state was left to fall back on."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """Hint for a misspelt ``name``: the closest of ``choices``, or all of them when none is close."""
    choices = sorted(choices)
    close = difflib.get_close_matches(name, choices, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(c) for c in close) + "?"
    return "choose one of " + ", ".join(choices) if choices else "none are available"
