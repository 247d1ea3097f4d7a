"""Validation of what a user passes to a shape."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any

from sciml.errors import InputError


def coordinate_names(names: Any, shape: str, count: int | None = None) -> tuple[str, ...]:
    """``names`` as a tuple of ``count`` different identifiers."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InputError(f"{shape}: names={names!r} must be a tuple of coordinate names, for example ('x', 'y')")
    names = tuple(names)
    for name in names:
        if not isinstance(name, str) or not name.isidentifier():
            raise InputError(f"{shape}: {name!r} in names={names!r} is no coordinate name; use one such as 'x'")
    if not names or (count is not None and len(names) != count):
        expected = "at least one coordinate name" if count is None else f"{count} coordinate names"
        raise InputError(f"{shape}: names={names!r} must be {expected}")
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise InputError(f"{shape}: names={names!r} repeats {repeated[0]!r}; every coordinate needs its own name")
    return names


def number(value: Any, argument: str) -> float:
    """``value`` as a finite float, without a negative zero."""
    try:
        result = float(value if not isinstance(value, str) else "")
    except (TypeError, ValueError):
        raise InputError(f"{argument}={value!r} must be a number") from None
    if not math.isfinite(result):
        raise InputError(f"{argument}={value!r} must be finite")
    return result + 0.0


def vector(values: Any, argument: str, names: tuple[str, ...]) -> tuple[float, ...]:
    """``values`` as one finite float a coordinate."""
    if isinstance(values, str) or not isinstance(values, Iterable) or len(values := list(values)) != len(names):
        raise InputError(f"{argument}={values!r} must have {len(names)} numbers, one for each of {', '.join(names)}")
    return tuple(number(value, f"{argument}[{axis}]") for axis, value in enumerate(values))


def positive(value: Any, argument: str) -> float:
    """``value`` as a finite float above zero."""
    result = number(value, argument)
    if result <= 0:
        raise InputError(f"{argument}={value!r} must be positive")
    return result


def count(n: Any) -> int:
    """``n`` as a number of points."""
    try:
        result = operator.index(n)
    except TypeError:
        raise InputError(f"n={n!r} must be a whole number of points") from None
    if result < 1:
        raise InputError(f"n={n!r} must be at least 1 point")
    return result
