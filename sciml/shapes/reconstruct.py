"""From cross-sections to a solid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from sciml.errors import InputError, nearest
from sciml.shapes import methods
from sciml.shapes.methods.rbf import spacing
from sciml.shapes.shape import Shape
from sciml.shapes.slices import Slices

Method = Callable[[Slices], Callable[[Tensor], Tensor]]
METHODS: dict[str, Method] = {"linear": methods.linear, "rbf": methods.rbf}


def reconstruct(slices: Slices, method: str | Method = "auto") -> Shape:
    """Fill the space between cross-sections.

    Args:
        method: "rbf", for planes of any orientation; "linear", for parallel ones; "auto", which takes "linear" where
            parallel planes are closer together than the points that "rbf" can afford on the contours; or a function
            from slices to a field (N, 3) -> (N, labels) that is negative inside.

    Raises:
        InputError: an unknown method, planes that it cannot use, fewer than two planes, or no contour on any.
    """
    if isinstance(method, str):
        name = choose(slices, method)
        return Shape(slices, name, METHODS[name](slices))
    choose(slices, "auto")
    return Shape(slices, getattr(method, "__name__", type(method).__name__), method(slices))


def choose(slices: Slices, method: str) -> str:
    """The name of the method that ``reconstruct`` will use; raises its errors without its work."""
    if len(slices) < 2:
        raise InputError("slices must have at least two planes to fill the space between, got one")
    _ = slices.bounds  # an InputError when there is no contour
    if method == "auto":
        return _automatic(slices)
    if method not in METHODS:
        raise InputError(f"there is no method {method!r}; {nearest(method, [*METHODS, 'auto'])}")
    if method == "linear" and not slices.parallel:
        raise InputError('method "linear" needs parallel planes and these are not; use method "rbf"')
    return method


def _automatic(slices: Slices) -> str:
    if not slices.parallel:
        return "rbf"
    normal = slices.planes[0].normal
    heights = np.sort([normal @ plane.normal * plane.offset for plane in slices.planes])
    between = float(np.median(np.diff(heights)))
    return "linear" if max(spacing(slices, label) for label in slices.labels) > between else "rbf"
