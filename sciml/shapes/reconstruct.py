"""From cross-sections to a solid."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml.errors import InputError, nearest
from sciml.registry import get_solver
from sciml.shapes import methods
from sciml.shapes.cross_sections import CrossSections
from sciml.shapes.methods.rbf import spacing
from sciml.shapes.shape import Shape
from sciml.shapes.slices import Slices

Method = Callable[..., Callable[[Tensor], Tensor]]
METHODS: dict[str, Method] = {"linear": methods.linear, "rbf": methods.rbf}
TRAINED = {"orex": "neural_field"}  # methods that train, and the solver that does it
CHUNK = 2**14  # points evaluated together


def reconstruct(slices: Slices, method: str | Method = "auto", **options: Any) -> Shape:
    """Fill the space between cross-sections.

    Args:
        method: "rbf", for planes of any orientation; "linear", for parallel ones; "orex", a neural field, for any;
            "auto", which takes "orex" where options are given, "linear" where parallel planes are closer together than
            the points that "rbf" can afford on the contours, and else "rbf"; or a function from slices to a field
            (N, 3) -> (N, labels) that is negative inside.
        options: of the method: ``points`` of "rbf"; those of ``sciml.solve`` for "orex", such as ``seconds``, ``seed``,
            ``folder`` and ``resume``, and ``preset``, "fast", "default" or "paper".

    Raises:
        InputError: an unknown method or option, planes that it cannot use, fewer than two planes, or no contour on any.
    """
    if not isinstance(method, str):
        choose(slices, "auto")
        return Shape(slices, getattr(method, "__name__", type(method).__name__), method(slices, **options))
    name = "orex" if method == "auto" and options else choose(slices, method)
    choose(slices, name)
    function: Callable[..., Any] = get_solver(TRAINED[name]).solve if name in TRAINED else METHODS[name]
    known = [option for option in inspect.signature(function).parameters if option not in ("slices", "problem")]
    for option in options:
        if option not in known:
            fix = nearest(option, known) if known else "it has none"
            raise InputError(f"method {name!r} has no option {option!r}; {fix}")
    if name in METHODS:
        return Shape(slices, name, function(slices, **options))
    result = function(CrossSections(slices), **options)
    return Shape(slices, name, _field(result.solver), result)


def _field(solver: Any) -> Callable[[Tensor], Tensor]:
    def field(points: Tensor) -> Tensor:
        places = points.to(solver.device)
        values = [torch.stack([*solver.fields(part).values()], dim=1) for part in places.split(CHUNK)]
        return torch.cat(values).to(points)

    return field


def choose(slices: Slices, method: str) -> str:
    """The name of the method that ``reconstruct`` will use; raises its errors without its work."""
    if len(slices) < 2:
        raise InputError("slices must have at least two planes to fill the space between, got one")
    _ = slices.bounds  # an InputError when there is no contour
    if method == "auto":
        return _automatic(slices)
    if method not in METHODS | TRAINED:
        raise InputError(f"there is no method {method!r}; {nearest(method, [*METHODS, *TRAINED, 'auto'])}")
    if method == "linear" and not slices.parallel:
        raise InputError('method "linear" needs parallel planes and these are not; use method "rbf"')
    return method


def _automatic(slices: Slices) -> str:
    if not slices.parallel:
        return "rbf"
    between = float(np.median(np.diff(np.sort(slices.heights))))
    return "linear" if max(spacing(slices, label) for label in slices.labels) > between else "rbf"
