"""What every domain can do."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from sciml.errors import InputError, nearest
from sciml.geometry import checks
from sciml.geometry.corners import Corner, corners
from sciml.geometry.sampling import Patch, draw, total_measure

if TYPE_CHECKING:
    from sciml.geometry.combination import Combination
    from sciml.geometry.interval import Time
    from sciml.geometry.product import Product

RELATIVE = frozenset({"left", "right", "bottom", "top"})
"""What an interval or a rectangle calls its sides; they say nothing once several shapes have them."""


class BoundarySample(NamedTuple):
    """Boundary points (N, d) and the outward unit normals (N, d) there, zero in time."""

    points: Tensor
    normals: Tensor


@dataclass(frozen=True, init=False, repr=False)
class Domain(ABC):
    """A set of points with named coordinates and named boundary pieces.

    Domains combine: ``A * B`` is the product, ``A | B``, ``A & B`` and ``A - B`` are union, intersection and
    difference. A domain is immutable, compares by value and holds no tensor of any particular device or type.

    Attributes:
        names: coordinate names, in order.
        label: name that ``named`` gave to the boundary.
    """

    names: tuple[str, ...]
    label: str | None = field(default=None, init=False)
    is_time: ClassVar[bool] = False
    _compound: ClassVar[bool] = False  # written with an operator

    # What a shape defines -----------------------------------------------------------------------------------------
    @property
    @abstractmethod
    def bounds(self) -> tuple[Tensor, Tensor]:
        """Lowest and highest value of every coordinate: two float64 tensors (d,) on the CPU."""

    @property
    @abstractmethod
    def _sides(self) -> tuple[str, ...]:
        """Names of the boundary pieces."""

    @abstractmethod
    def _signed_distance(self, points: Tensor) -> Tensor: ...

    @abstractmethod
    def _interior(self) -> list[Patch]: ...

    @abstractmethod
    def _boundary(self, on: frozenset[str] | None) -> list[Patch]:
        """Patches of the pieces ``on``, of the spatial boundary for None."""

    @abstractmethod
    def _boundary_distance(self, points: Tensor, on: frozenset[str] | None) -> Tensor | None:
        """Distance (N,) to the pieces ``on``; None when there are none."""

    def _edges(self) -> Tensor:
        """Straight edges of a boundary in the plane, (M, 2, 2)."""
        return torch.zeros(0, 2, 2, dtype=torch.float64)

    # Properties ---------------------------------------------------------------------------------------------------
    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return len(self.names)

    @property
    def boundary_names(self) -> tuple[str, ...]:
        """Every name that ``on=`` accepts."""
        return self._sides if self.label is None else (self.label,)

    @property
    def space(self) -> Domain | None:
        """The domain without time: itself, or None when there is nothing else."""
        return self

    @property
    def time(self) -> Time | None:
        """The time interval."""
        return None

    @cached_property
    def volume(self) -> float:
        """Length, area or volume: exact for primitives and their products, to about 3 digits for combinations."""
        return total_measure(self._interior())

    def boundary_measure(self, on: str | Sequence[str] | None = None) -> float:
        """Area, length or number of points of boundary pieces, by default of the spatial boundary.

        Exact as ``volume`` is. Raises InputError as ``sample_boundary`` does.
        """
        return total_measure(self._patches(on))

    @property
    def corners(self) -> list[Corner]:
        """Corners between straight edges of a plane domain, with their interior angles in radians.

        An angle above pi is a re-entrant corner. Corners where a curved edge ends are not found.
        """
        return corners(self._edges(), self._signed_distance)

    # Points -------------------------------------------------------------------------------------------------------
    def signed_distance(self, points: Tensor) -> Tensor:
        """Distance (N,) of ``points`` (N, d) to the boundary, negative inside.

        Exact for primitives and products of exact factors; for combinations a lower bound with the right sign.
        Differentiable in ``points``. In a space-time domain the ends of the time interval count as boundary.

        Raises:
            InputError: ``points`` has another shape or is not floating point.
        """
        return self._signed_distance(self._checked(points))

    def contains(self, points: Tensor, tolerance: float = 0.0) -> Tensor:
        """Which of ``points`` (N, d) are within ``tolerance`` of the closed domain, (N,)."""
        return self.signed_distance(points) <= tolerance

    def boundary_distance(self, points: Tensor, on: str | Sequence[str] | None = None) -> Tensor:
        """Distance (N,) of ``points`` (N, d) to boundary pieces, by default to the spatial boundary.

        Exact for primitives and their products. On a combination it is a lower bound that vanishes on the piece, as
        far as the combination leaves it, and nowhere else. Raises InputError as ``sample_boundary`` does.
        """
        points = self._checked(points)
        distance = self._distance_to(points, self._selected(on))
        if distance is None:
            raise self._no_boundary()
        return distance

    def sample(
        self,
        n: int,
        generator: torch.Generator,
        method: str = "uniform",
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> Tensor:
        """Draw ``n`` points uniformly from the interior.

        Args:
            n: number of points.
            generator: source of the random numbers. The points are made in float64 on its device, so that they do
                not depend on ``device`` and ``dtype``.
            method: "uniform", "sobol" (scrambled) or "latin_hypercube".
            device: where the result goes, by default the generator's device.
            dtype: floating point type of the result.

        Returns:
            Points (n, d).

        Raises:
            InputError: a wrong argument, or the domain is empty.
        """
        _check(generator, dtype)
        points, _ = draw(self._interior(), checks.count(n), generator, method, f"the domain {self!r}")
        return points.to(device=device or generator.device, dtype=dtype)

    def sample_boundary(
        self,
        n: int,
        generator: torch.Generator,
        on: str | Sequence[str] | None = None,
        method: str = "uniform",
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> BoundarySample:
        """Draw ``n`` points uniformly by length or area from boundary pieces; arguments as ``sample``.

        Args:
            on: one name or several out of ``boundary_names``; None for the whole spatial boundary, at all times.

        Raises:
            InputError: a wrong argument, an unknown piece, or a piece of which nothing is left.
        """
        _check(generator, dtype)
        what = f"the boundary of {self!r}" if on is None else f"the boundary piece {on!r} of {self!r}"
        drawn = draw(self._patches(on), checks.count(n), generator, method, what)
        return BoundarySample(*(values.to(device=device or generator.device, dtype=dtype) for values in drawn))

    def sample_initial(
        self,
        n: int,
        generator: torch.Generator,
        method: str = "uniform",
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> Tensor:
        """Draw ``n`` points (n, d) uniformly from the interior of space at the initial time; arguments as ``sample``.

        Raises:
            InputError: a wrong argument, or the domain has no ``Time`` factor.
        """
        if self.time is None:
            raise InputError(f"{self!r} has no initial time; multiply it by Time('t', start, end)")
        if self.space is None:
            points = torch.zeros(checks.count(n), 0, device=device or generator.device, dtype=dtype)
        else:
            points = self.space.sample(n, generator, method, device, dtype)
        axis = self.names.index(self.time.names[0])
        start = points.new_full((len(points), 1), self.time.low)
        return torch.cat([points[:, :axis], start, points[:, axis:]], dim=1)

    # Combining ----------------------------------------------------------------------------------------------------
    def named(self, name: str) -> Self:
        """This shape with the whole of its boundary called ``name`` and nothing else."""
        if not isinstance(name, str) or not name:
            raise InputError(f"name={name!r} must be a non-empty string")
        if name in RELATIVE:
            raise InputError(f"name={name!r} is what intervals and rectangles call a side; choose another name")
        named = copy.copy(self)
        named._set(label=name)
        return named

    def __mul__(self, other: Domain) -> Product:
        from sciml.geometry.product import Product

        return Product((self, other)) if isinstance(other, Domain) else NotImplemented

    def __or__(self, other: Domain) -> Combination:
        return self._combine("|", other)

    def __and__(self, other: Domain) -> Combination:
        return self._combine("&", other)

    def __sub__(self, other: Domain) -> Combination:
        return self._combine("-", other)

    def _combine(self, operation: str, other: Domain) -> Combination:
        from sciml.geometry.combination import Combination

        return Combination(self, operation, other) if isinstance(other, Domain) else NotImplemented

    def __repr__(self) -> str:
        text = self._expression()
        if self.label is None:
            return text
        return (f"({text})" if self._compound else text) + f".named({self.label!r})"

    def _expression(self) -> str:
        """The text that makes this shape, without its name."""
        values = (repr(getattr(self, f.name)) for f in fields(self) if f.name != "label")
        return f"{type(self).__name__}({', '.join(values)})"

    # For subclasses and composites --------------------------------------------------------------------------------
    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)  # the dataclass is frozen

    def _own(self, on: frozenset[str] | None) -> frozenset[str] | None:
        if on is None or self.label is None:
            return on
        return None if self.label in on else frozenset()

    def _pieces(self, on: frozenset[str] | None) -> list[Patch]:
        return self._boundary(self._own(on))

    def _distance_to(self, points: Tensor, on: frozenset[str] | None) -> Tensor | None:
        return self._boundary_distance(points, self._own(on))

    def _patches(self, on: str | Iterable[str] | None) -> list[Patch]:
        patches = self._pieces(self._selected(on))
        if not patches:
            raise self._no_boundary()
        return patches

    def _selected(self, on: str | Iterable[str] | None) -> frozenset[str] | None:
        if on is None:
            return None
        chosen = frozenset(self._canonical(name) for name in ((on,) if isinstance(on, str) else on))
        if not chosen:
            raise InputError("on is empty: name at least one boundary piece, or leave it out for the whole boundary")
        for name in sorted(chosen, key=str):
            if name not in self.boundary_names:
                raise InputError(self._unknown(name))
        return chosen

    def _canonical(self, name: str) -> str:
        """``name``, an end such as "x=1.0" as it is called here, "x=1"."""
        coordinate, equals, value = str(name).partition("=")
        if name in self.boundary_names or not equals:
            return name
        try:
            return f"{coordinate}={float(value) + 0.0:.6g}"
        except ValueError:
            return name

    def _unknown(self, name: str) -> str:
        return f"on={name!r} is no boundary piece of {self!r}; {nearest(str(name), self.boundary_names)}"

    def _no_boundary(self) -> InputError:
        return InputError(f"{self!r} has no spatial boundary; use sample_initial for the initial time")

    def _checked(self, points: Tensor) -> Tensor:
        if not isinstance(points, Tensor) or not points.is_floating_point():
            kind = points.dtype if isinstance(points, Tensor) else type(points).__name__
            raise InputError(f"points must be a floating-point tensor, got {kind}")
        if points.ndim != 2 or points.shape[1] != self.dimension:
            expected = f"(N, {self.dimension}) with columns {', '.join(self.names)}"
            raise InputError(f"points has shape {tuple(points.shape)}, expected {expected}")
        return points


def length(columns: Iterable[Tensor]) -> Tensor:
    """Euclidean length of vectors given by their columns, with zero derivatives of every order where it is zero."""
    square = sum(column.square() for column in columns)
    assert isinstance(square, Tensor)
    zero = square == 0
    return torch.where(zero, 0.0, torch.where(zero, 1.0, square).sqrt())


def _check(generator: torch.Generator, dtype: torch.dtype) -> None:
    if not isinstance(generator, torch.Generator):
        raise InputError(f"generator={generator!r} must be a torch.Generator, such as torch.Generator().manual_seed(0)")
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise InputError(f"dtype={dtype!r} must be a floating-point type such as torch.float64")
