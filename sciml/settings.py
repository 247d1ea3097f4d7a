"""Settings of a problem as text or TOML, and back: ``--set nu=0.01``, ``config.toml``."""

from __future__ import annotations

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, TypeVar, Union

from sciml.errors import InputError, nearest

T = TypeVar("T")
Plain = bool | int | float | str | list[Any] | dict[str, Any]


def build(kind: type[T], settings: Mapping[str, Any]) -> T:
    """``kind(**settings)``, each value read by the type that its parameter declares.

    Raises InputError for a name that ``kind`` does not take (with the nearest ones) and for a value of another type.
    """
    values = read(kind, settings)
    try:
        return kind(**values)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"{kind.__name__} cannot be built: {error}") from error


def read(kind: type, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The values of ``settings``, each read by the type that ``kind`` declares for it; raises InputError as ``build``."""
    declared = parameters(kind)
    for name in settings:
        if name not in declared:
            raise InputError(f"{kind.__name__} has no setting {name!r}; {nearest(name, declared)}")
    return {name: _read(name, value, declared[name]) for name, value in settings.items()}


def parameters(kind: type) -> dict[str, Any]:
    """Name and declared type of every argument that ``kind`` is built from."""
    hints = _hints(kind if dataclasses.is_dataclass(kind) else vars(kind).get("__init__", kind))
    named = {
        name: parameter
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    return {name: hints.get(name, type(parameter.default)) for name, parameter in named.items()}


def settings_of(instance: object) -> tuple[dict[str, Plain], list[str]]:
    """What rebuilds ``instance``: its settings as TOML values, and the names of those that TOML cannot hold."""
    signature = inspect.signature(type(instance)).parameters
    values = {name: getattr(instance, name, None) for name in parameters(type(instance))}
    recorded, lost = recordable(values)
    unset = [name for name, value in values.items() if value is None and signature[name].default is not None]
    return recorded, [name for name in [*lost, *unset] if values[name] is not signature[name].default]


def recordable(values: Mapping[str, Any]) -> tuple[dict[str, Plain], list[str]]:
    """Split ``values`` into those that TOML can hold and the names of the rest; None is in neither."""
    recorded, lost = {}, []
    for name, value in values.items():
        if value is None:
            continue
        try:
            recorded[name] = plain(value)
        except TypeError:
            lost.append(name)
    return recorded, lost


def plain(value: Any) -> Plain:
    """``value`` in TOML's types; a dataclass becomes a table of its fields. Raises TypeError where there is none."""
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return plain(fields)
    if callable(getattr(value, "item", None)) and getattr(value, "ndim", None) == 0:
        return plain(value.item())
    raise TypeError(f"{type(value).__name__} has no TOML form")


def _hints(source: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(source)
    except NameError:  # a hint that only a type checker can resolve: the default's type then decides
        return {}


def _read(name: str, value: Any, hint: Any) -> Any:
    origin, members = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _read_union(name, value, members)
    if origin is Literal:
        return _read_choice(name, value, members)
    if hint is tuple or origin in (tuple, list):
        return _read_sequence(name, value, members, origin or tuple)
    if origin in (Sequence, Collection):
        return _read_sequence(name, value, (*members, ...), tuple)
    if hint is bool:
        return _read_choice(name, value, (True, False))
    if hint in (int, float):
        return _read_number(name, value, hint)
    if hint is str and isinstance(value, str):
        return value
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return build(typing.cast(type, hint), value)
    if hint is Any or hint is type(None) or not isinstance(value, str):
        return value
    raise InputError(f"{name} cannot be given as text ({name}={value}); build the problem in Python")


def _read_number(name: str, value: Any, hint: type) -> Any:
    number = value
    if isinstance(value, str):
        try:
            number = int(value) if hint is int else float(value)
        except ValueError:
            number = None
    if isinstance(number, bool) or not isinstance(number, int | float) or (hint is int and isinstance(number, float)):
        kind, example = ("a whole number", "3") if hint is int else ("a number", "0.5")
        raise InputError(f"{name} must be {kind}, got {value!r}; write for example {name}={example}")
    if not math.isfinite(number):
        raise InputError(f"{name} must be finite, got {value!r}")
    return hint(number)


def _read_choice(name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    by_text = {str(choice).lower(): choice for choice in choices}
    text = str(value).lower()
    if text not in by_text:
        raise InputError(f"{name} must be one of {', '.join(by_text)}, got {value!r}")
    return by_text[text]


def _read_sequence(name: str, value: Any, members: tuple[Any, ...], kind: type) -> Any:
    items = value.strip("()[] ").split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise InputError(f"{name} must be a list such as {name}=1,2, got {value!r}")
    if kind is tuple and members and members[-1] is not Ellipsis:
        if len(items) != len(members):
            raise InputError(f"{name} needs {len(members)} values such as {name}=1,2, got {value!r}")
        hints = members
    else:
        hints = (members[0] if members else float,) * len(items)
    read = (item.strip() if isinstance(item, str) else item for item in items)
    return kind(_read(name, item, hint) for item, hint in zip(read, hints, strict=True))


def _read_union(name: str, value: Any, members: tuple[Any, ...]) -> Any:
    if type(None) in members and (value is None or (isinstance(value, str) and value.lower() == "none")):
        return None
    # int before float before str: the narrowest type that can hold the text
    order = {bool: 0, int: 1, float: 2, str: 4}
    errors = []
    for member in sorted((m for m in members if m is not type(None)), key=lambda m: order.get(m, 3)):
        try:
            return _read(name, value, member)
        except InputError as error:
            errors.append(error)
    raise errors[0]
