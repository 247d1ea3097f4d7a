"""What every condition is, and how declared values are evaluated."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sciml.errors import InputError, nearest
from sciml.jets import Jet
from sciml.problem.points import Points

if TYPE_CHECKING:
    from sciml.problem.problem import Problem

Value = float | Tensor | Callable[..., Tensor]
"""A number, or a function of coordinates by name that returns a tensor (N,)."""

Fields = Mapping[str, Jet]
At = Callable[[Value], Tensor | float]


class Condition(ABC):
    """One condition of a problem: it samples its own points and returns its residuals there, unreduced."""

    kind: str

    @property
    @abstractmethod
    def name(self) -> str:
        """Key of its points in a batch; unique within a problem."""

    @abstractmethod
    def sample(
        self,
        problem: Problem,
        n: int,
        generator: torch.Generator,
        method: str = "uniform",
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> Points:
        """Draw about ``n`` points."""

    @abstractmethod
    def residuals(
        self, problem: Problem, fields: Fields, points: Points, images: Fields | None = None
    ) -> dict[str, Tensor]:
        """Residual vectors by term name.

        Args:
            fields: jet of every unknown at ``points.coordinates``.
            images: jets at ``points.images``, when there are any.
        """

    def check(self, problem: Problem) -> None:  # noqa: B027 - most conditions fit any problem
        """Raise InputError when the condition does not fit the problem."""


def normal_derivative(problem: Problem, u: Jet, points: Points) -> Tensor:
    """``du/dn`` (N,) along ``points.normals``."""
    assert points.normals is not None
    normals = points.normals
    names = problem.coordinates
    return torch.stack([normals[:, axis] * u.d(names[axis]).value for axis in problem.space_axes]).sum(0)


def evaluate(value: Value, names: Sequence[str], coordinates: Tensor, what: str) -> Tensor | float:
    """A declared value at ``coordinates`` (N, len(names)).

    Raises:
        InputError: the function names something that is no coordinate, or returns another shape than (N,).
    """
    if not callable(value):
        if getattr(value, "ndim", 0) or not isinstance(value, Tensor | Real):
            raise InputError(f"{what} must be a number or a function of the coordinates, got {type(value).__name__}")
        return value
    known = dict(zip(names, coordinates.unbind(-1), strict=True))
    result = value(**{name: known[name] for name in signature(value, known, what)})
    if isinstance(result, Tensor) and result.shape not in ((len(coordinates),), ()):
        raise InputError(
            f"{what} returned shape {tuple(result.shape)} for {len(coordinates)} points; "
            f"return one number a point, shape ({len(coordinates)},), without a trailing dimension"
        )
    if not isinstance(result, Tensor | float | int):
        raise InputError(f"{what} returned {type(result).__name__}; return a torch tensor of shape (N,) or a number")
    return result


def signature(function: Callable[..., Any], known: Mapping[str, Any], what: str) -> list[str]:
    try:
        taken = inspect.signature(function).parameters.values()
    except ValueError:  # built-in functions have none
        raise InputError(f"{what} does not name its arguments; wrap it, as in lambda x: torch.sin(x)") from None
    variadic = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    # arguments with a default are the function's own, as in lambda x, k=k: ...
    names = [p.name for p in taken if p.kind not in variadic and (p.default is p.empty or p.name in known)]
    for name in names:
        if name not in known:
            raise InputError(f"{what} asks for {name!r}, which is not available there; {nearest(name, known)}")
    return names


def check_unknowns(condition: Condition, names: Any, problem: Problem) -> None:
    for name in names:
        if name not in problem.unknowns:
            raise InputError(
                f"{type(condition).__name__}({name}=...): not an unknown; {nearest(name, problem.unknowns)}"
            )
