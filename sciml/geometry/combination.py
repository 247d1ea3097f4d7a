"""Union, intersection and difference of shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.geometry.domain import RELATIVE, Domain
from sciml.geometry.sampling import Patch, thin

INSIDE, OUTSIDE = 1, -1


@dataclass(frozen=True, init=False, repr=False)
class Combination(Domain):
    """``left | right``, ``left & right`` or ``left - right`` of two shapes with the same coordinates.

    It keeps the boundary pieces of both, clipped, under their names. The sides of a shape that is taken away are not
    called "left", "right", "bottom" and "top": name the shape, or say "x=0". Where boundaries coincide the piece is
    the left one's.

    Raises:
        InputError: different coordinates, or a shape with time: combine shapes in space first.
    """

    left: Domain
    operation: str
    right: Domain
    _compound: ClassVar[bool] = True

    def __init__(self, left: Domain, operation: str, right: Domain) -> None:
        if left.names != right.names:
            raise InputError(
                f"{left!r} {operation} {right!r}: the shapes have the coordinates {left.names} and {right.names}; "
                "give both the same, in the same order"
            )
        if left.time is not None or right.time is not None:
            raise InputError(
                f"{left!r} {operation} {right!r}: combine the shapes in space and multiply by time then, "
                "as in (A - B) * Time('t', 0, 1)"
            )
        self._set(names=left.names, left=left, operation=operation, right=right)

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        (low, high), (other_low, other_high) = self.left.bounds, self.right.bounds
        if self.operation == "|":
            return torch.minimum(low, other_low), torch.maximum(high, other_high)
        if self.operation == "&":
            return torch.maximum(low, other_low), torch.minimum(high, other_high)
        return low, high

    @property
    def _sides(self) -> tuple[str, ...]:
        right = self._of_right(frozenset(self.right.boundary_names))
        names = *self.left.boundary_names, *(name for name in self.right.boundary_names if name in right)
        return tuple(dict.fromkeys(names))

    def _of_right(self, on: frozenset[str]) -> frozenset[str]:
        """Which of the names ``on`` speak of the right shape."""
        return on - RELATIVE if self.operation == "-" else on

    def _signed_distance(self, points: Tensor) -> Tensor:
        left, right = self.left._signed_distance(points), self.right._signed_distance(points)
        if self.operation == "|":
            return torch.minimum(left, right)
        return torch.maximum(left, right if self.operation == "&" else -right)

    def _interior(self) -> list[Patch]:
        left, right = self.left._interior(), self.right._interior()
        if self.operation == "-":
            return [thin(patch, self._clear(self.right, OUTSIDE)) for patch in left]
        if self.operation == "|":
            return left + [thin(patch, self._clear(self.left, OUTSIDE)) for patch in right]
        if sum(patch.measure for patch in left) <= sum(patch.measure for patch in right):
            return [thin(patch, self._clear(self.right, INSIDE)) for patch in left]
        return [thin(patch, self._clear(self.left, INSIDE)) for patch in right]

    def _boundary(self, on: frozenset[str] | None) -> list[Patch]:
        kept_left, kept_right = self._kept_sides
        # A step to the side of the left boundary where the result must begin or end decides about coincident ones.
        step = self._margin if self.operation == "|" else -self._margin

        def beside(points: Tensor, normals: Tensor) -> Tensor:
            return kept_left * self.right._signed_distance(points + step * normals) < 0

        orientation = -1 if self.operation == "-" else 1
        left = [thin(patch, beside) for patch in self.left._pieces(on)]
        pieces = self.right._pieces(on if on is None else self._of_right(on))
        return left + [thin(patch, self._clear(self.left, kept_right), orientation) for patch in pieces]

    def _boundary_distance(self, points: Tensor, on: frozenset[str] | None) -> Tensor | None:
        kept_left, kept_right = self._kept_sides
        distances = []
        left = self.left._distance_to(points, on)
        if left is not None:
            distances.append(torch.maximum(left, kept_left * self.right._signed_distance(points)))
        right = self.right._distance_to(points, on if on is None else self._of_right(on))
        if right is not None:
            distances.append(torch.maximum(right, kept_right * self.left._signed_distance(points)))
        return torch.stack(distances).amin(0) if distances else None

    @property
    def _kept_sides(self) -> tuple[int, int]:
        """On which side of the other shape the boundaries of the left and of the right one are kept."""
        return {"|": (OUTSIDE, OUTSIDE), "&": (INSIDE, INSIDE), "-": (OUTSIDE, INSIDE)}[self.operation]

    @property
    def _margin(self) -> float:
        """Distance below which boundaries coincide."""
        return 1e-9 * max(float((high - low).max()) for low, high in (self.left.bounds, self.right.bounds))

    def _clear(self, domain: Domain, side: int) -> Callable[[Tensor, Tensor], Tensor]:
        """Test for points on one ``side`` of ``domain`` and not on its boundary."""
        margin = self._margin
        return lambda points, normals: side * domain._signed_distance(points) < -margin

    def _edges(self) -> Tensor:
        return torch.cat([self.left._edges(), self.right._edges()])

    def _expression(self) -> str:
        def grouped(domain: Domain) -> str:
            return f"({domain!r})" if isinstance(domain, Combination) and domain.label is None else repr(domain)

        chained = isinstance(self.left, Combination) and self.left.operation == self.operation
        return f"{repr(self.left) if chained else grouped(self.left)} {self.operation} {grouped(self.right)}"
