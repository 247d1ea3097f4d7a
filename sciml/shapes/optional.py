"""Packages that only shapes need."""

from __future__ import annotations

import importlib
from typing import Any

from sciml.errors import InputError


def require(module: str, purpose: str) -> Any:
    """Import ``module``; raises InputError that names the extra when it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise InputError(f"{purpose} needs {package}; install it with: pip install 'sciml-solvers[shapes]'") from error
