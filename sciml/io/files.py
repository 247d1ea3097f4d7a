"""Text files of a run folder, and the folder itself."""

from __future__ import annotations

import json
import math
import platform
import tempfile
import tomllib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from sciml.errors import InputError

PACKAGES = ("torch", "numpy", "scipy")


def writable_folder(folder: str | Path) -> Path:
    """Make ``folder`` and prove that it can be written to, before hours are spent on what it shall hold.

    Raises:
        InputError: it cannot be made or written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"the folder {str(folder)!r} cannot be written to ({reason}); choose another") from error
    return folder


def unused_folder(folder: Path) -> Path:
    """``folder``, or the first of ``folder-2``, ``folder-3``, ... that does not exist."""
    candidate, number = folder, 2
    while candidate.exists():
        candidate, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return candidate


def write_toml(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content``; a None is left out, at any depth."""
    import tomli_w

    path.write_text(tomli_w.dumps(_without_none(content)), encoding="utf-8")


def read_toml(path: Path) -> dict[str, Any]:
    """Read TOML; raises InputError for a missing or damaged file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no file {str(path)!r}; give the folder of a run") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write strict JSON: a number that is not finite becomes null."""
    path.write_text(json.dumps(_finite(content), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a result."""
    from sciml import __version__

    packages = {package: metadata.version(package) for package in PACKAGES}
    return {"sciml": __version__, "python": platform.python_version()} | packages


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _without_none(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value]
    return value


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
