"""A partial differential equation with its conditions, declared once."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from sciml.errors import InputError, SciMLError, nearest
from sciml.geometry import Domain
from sciml.jets import Asked, Jet, MultiIndex, MultiIndexSet, as_tensor, record
from sciml.jets.backends import coordinates as coordinate_jets
from sciml.problem.condition import Condition
from sciml.problem.conditions import Interface
from sciml.problem.parameter import Parameter
from sciml.problem.points import Points

INTERIOR = "interior"
"""Key of the equations' collocation points in a batch."""


class Problem:
    """Base class of a problem; a subclass declares, a solver consumes.

    A subclass gives the class attributes (or properties) ``coordinates``, ``unknowns`` and ``domain`` and the methods
    ``equations`` and ``conditions``. It may also give

    - ``exact(self, <coordinates>) -> {unknown: tensor (N,)}``,
    - ``reference(self) -> xarray.Dataset``, a computed solution on a grid with the coordinates' names,
    - ``derived(self, <jets>, <coordinates>) -> {name: jet}``, further fields such as a velocity from a stream function,
    - ``sample(self, generator) -> Problem``, another random instance of the family that the problem belongs to,
    - ``eliminate(self, <some unknowns>) -> {another unknown: tensor}``, unknowns that follow from others by a linear
      operator on a whole grid (..., *axes), so that the equations of these names hold; for solvers on a grid,
    - ``gauge``, names of fields that are determined only up to a constant.

    Example:
        >>> class Heat(Problem):
        ...     coordinates, unknowns = ("x", "t"), ("u",)
        ...     domain = Interval("x", 0, 1) * Time("t", 0, 1)
        ...     def equations(self, u, x, t):
        ...         return {"heat": u.t - u.xx}
        ...     def conditions(self):
        ...         return [Initial(u=lambda x: torch.sin(math.pi * x)), Dirichlet(u=0.0)]
    """

    coordinates: ClassVar[tuple[str, ...]]
    unknowns: ClassVar[tuple[str, ...]]
    domain: ClassVar[Any]
    gauge: ClassVar[tuple[str, ...]] = ()

    def equations(self, *arguments: Any) -> Mapping[str, Any]:
        """Residuals by name, from one jet for every unknown and one for every coordinate, in declared order."""
        raise InputError(f"{type(self).__name__} does not declare equations(self, <unknowns>, <coordinates>)")

    def conditions(self) -> Sequence[Condition]:
        """Boundary, initial and other conditions."""
        return []

    # Coordinates ------------------------------------------------------------------------------------------------
    @property
    def time(self) -> str | None:
        """Name of the time coordinate."""
        time = self.domain.time
        return None if time is None else time.names[0]

    @property
    def space(self) -> tuple[str, ...]:
        """Names of the spatial coordinates."""
        return tuple(name for name in self.coordinates if name != self.time)

    @property
    def space_axes(self) -> tuple[int, ...]:
        return tuple(axis for axis, name in enumerate(self.coordinates) if name != self.time)

    # Evaluation -------------------------------------------------------------------------------------------------
    def residuals(self, fields: Mapping[str, Jet], points: Tensor, without: Collection[str] = ()) -> dict[str, Tensor]:
        """Residual vector (N,) of every equation but ``without``, from the jets of the unknowns at ``points`` (N, d)."""
        jets = [fields[unknown] for unknown in self.unknowns]
        declared = self.equations(*jets, *coordinate_jets(self.coordinates, points))
        if not isinstance(declared, Mapping) or not declared:
            what = "no residual" if declared is None or isinstance(declared, Mapping) else type(declared).__name__
            raise InputError(
                f"{type(self).__name__}.equations returned {what}; it must return residuals by name, for example "
                "{'heat': u.t - u.xx}"
            )
        return {name: self._vector(name, residual, points) for name, residual in declared.items() if name not in without}

    def derived_fields(self, fields: Mapping[str, Jet], points: Tensor) -> dict[str, Tensor]:
        """The fields of ``derived``, each (N,); none when the problem declares none."""
        if not hasattr(self, "derived"):
            return {}
        jets = [fields[unknown] for unknown in self.unknowns]
        derived = self.derived(*jets, *coordinate_jets(self.coordinates, points))
        return {name: as_tensor(jet, points[:, 0]) for name, jet in derived.items()}

    def exact_fields(self, points: Tensor) -> dict[str, Tensor]:
        """What ``exact`` declares at ``points`` (N, d), each (N,)."""
        declared = self.exact(*points.unbind(-1))  # type: ignore[attr-defined]
        what = f"{type(self).__name__}.exact"
        if not isinstance(declared, Mapping):
            raise InputError(f"{what} returned {type(declared).__name__}; it must return fields by name, such as {{'u': ...}}")
        fields = {}
        for name, value in declared.items():
            if name not in self.unknowns and not hasattr(self, "derived"):
                raise InputError(f"{what} returned {name!r}, which is no unknown; {nearest(str(name), self.unknowns)}")
            field = torch.as_tensor(value, device=points.device)
            if field.shape not in ((), points.shape[:1]):
                raise InputError(
                    f"{what} returned {name!r} of shape {tuple(field.shape)} for {len(points)} points; "
                    f"return one number a point, shape ({len(points)},)"
                )
            fields[name] = field.expand(len(points))
        return fields

    def _vector(self, name: str, residual: Any, points: Tensor) -> Tensor:
        vector = as_tensor(residual, points[:, 0])
        if vector.shape != points.shape[:1]:
            raise InputError(
                f"equation {name!r} of {type(self).__name__} has shape {tuple(vector.shape)} for {len(points)} points; "
                f"it must give one residual a point, shape ({len(points)},)"
            )
        return vector

    # Conditions, parameters, derivatives -------------------------------------------------------------------------
    def named_conditions(self) -> dict[str, Condition]:
        """The conditions by unique name."""
        named: dict[str, Condition] = {}
        declared = self.conditions()
        if not isinstance(declared, Sequence) or not all(isinstance(condition, Condition) for condition in declared):
            raise InputError(
                f"{type(self).__name__}.conditions returned {declared!r}; it must return a list of conditions, "
                "for example [Dirichlet(u=0.0)]"
            )
        for condition in declared:
            if condition.name in named:
                raise InputError(
                    f"two conditions of {type(self).__name__} are called {condition.name!r}; "
                    "merge them into one, or tell boundary pieces apart with on=..."
                )
            named[condition.name] = condition
        return named

    def present(self, points: Tensor, tolerance: float = 0.0) -> Tensor:
        """Which unknowns (U, N) exist at ``points`` (N, d): all, except beyond an ``Interface`` of theirs.

        Args:
            tolerance: distance by which a point may be on the other side.
        """
        present = torch.ones(len(self.unknowns), len(points), dtype=torch.bool, device=points.device)
        for condition in self.named_conditions().values():
            if isinstance(condition, Interface):
                for unknown, side in condition.sides(self, points, tolerance).items():
                    present[self.unknowns.index(unknown)] &= side
        return present

    def parameters(self) -> dict[str, Parameter]:
        """The unknown coefficients by attribute name."""
        names = {name: None for cls in reversed(type(self).__mro__) for name in vars(cls)} | dict.fromkeys(vars(self))
        found = {}
        for name in names:
            value = inspect.getattr_static(self, name)
            if isinstance(value, Parameter):
                found[name] = value
        return found

    def bind(self, values: Mapping[str, Tensor]) -> Self:
        """This problem with its unknown coefficients replaced by ``values``."""
        bound = copy.copy(self)
        for name, value in values.items():
            object.__setattr__(bound, name, value)  # dataclass instances are frozen
        return bound

    def start(self) -> Self:
        """This problem with every unknown coefficient at its first guess."""
        return self.bind({name: torch.tensor(p.start, dtype=torch.float64) for name, p in self.parameters().items()})

    @cached_property
    def derivatives(self) -> dict[str, MultiIndexSet]:
        """The derivatives that the equations (key "interior") and every condition need, traced on a few points.

        With a ``derived`` method, the key "derived" holds what that needs.
        """
        return {key: MultiIndexSet(one.indices, len(self.coordinates)) for key, one in self._asked.items()}

    @cached_property
    def collapsed_derivatives(self) -> dict[str, MultiIndexSet]:
        """As ``derivatives``, with one row for derivatives of which all equations use the sum alone, as of a Laplacian."""
        return {key: MultiIndexSet(one.apart, len(self.coordinates), one.sums) for key, one in self._asked.items()}

    @cached_property
    def _asked(self) -> dict[str, Asked]:
        generator = torch.Generator().manual_seed(0)
        _ = self._orders  # before the copy below, which then carries it
        problem = self.start()
        points = self.domain.sample(3, generator)
        needed = {INTERIOR: self._trace(lambda fields: problem.residuals(fields, points), points)}
        for name, condition in problem.named_conditions().items():
            drawn = condition.sample(problem, 3, generator)
            needed[name] = self._trace(
                lambda fields, c=condition, p=drawn: c.residuals(problem, fields, p, images=fields), drawn.coordinates
            )
        if hasattr(self, "derived"):
            needed["derived"] = self._trace(lambda fields: problem.derived_fields(fields, points), points)
        return needed

    def order(self, unknown: str, coordinate: str) -> int:
        """Highest order of differentiation of ``unknown`` in ``coordinate`` in the equations."""
        return self._orders[unknown][self.coordinates.index(coordinate)]

    @cached_property
    def _orders(self) -> dict[str, MultiIndex]:
        points = self.domain.sample(3, torch.Generator().manual_seed(0))
        asked = self._record(lambda fields: self.start().residuals(fields, points), points)
        return {
            unknown: tuple(max((index[axis] for index in one.indices), default=0) for axis in range(len(self.coordinates)))
            for unknown, one in zip(self.unknowns, asked, strict=True)
        }

    def _record(self, residuals: Any, points: Tensor) -> list[Asked]:
        return record(
            lambda jets: residuals(dict(zip(self.unknowns, jets, strict=True))),
            self.coordinates, len(self.unknowns), points[:, 0],
        )  # fmt: skip

    def _trace(self, residuals: Any, points: Tensor) -> Asked:
        """What is asked of any unknown."""
        asked = self._record(residuals, points)
        return Asked(set().union(*(one.apart for one in asked)), set().union(*(one.sums for one in asked)))

    # Validation -------------------------------------------------------------------------------------------------
    def validate(self) -> None:
        """Check the whole declaration.

        Raises:
            InputError: naming the first thing that does not fit, and the fix.
        """
        name = type(self).__name__
        for attribute in ("coordinates", "unknowns", "domain"):
            if not hasattr(self, attribute):
                raise InputError(f"{name} does not declare {attribute!r}")
        for attribute in ("coordinates", "unknowns"):
            names = getattr(self, attribute)
            if isinstance(names, str) or not all(isinstance(n, str) and n.isidentifier() for n in names):
                raise InputError(f"{name}.{attribute}={names!r} must be a tuple of names, for example {attribute}=('u',)")
        if not isinstance(self.domain, Domain):
            raise InputError(f"{name}.domain={self.domain!r} is no sciml geometry")
        if tuple(self.domain.names) != tuple(self.coordinates):
            raise InputError(
                f"{name}.coordinates={tuple(self.coordinates)} but its domain has {tuple(self.domain.names)}; "
                "declare both in the same order"
            )
        for taken in ("names", "value", "partial", "d"):
            if taken in self.coordinates:
                raise InputError(f"{name}.coordinates: {taken!r} is an attribute of every jet; rename the coordinate")
        self._check_signature()
        with blamed(f"{name}.equations", "it takes " + ", ".join((*self.unknowns, *self.coordinates))):
            _ = self._orders
        with blamed(f"{name}.conditions"):
            conditions = self.named_conditions()
        for condition in conditions.values():
            condition.check(self)
        for key in self.gauge:
            if key not in self.unknowns:
                raise InputError(f"{name}.gauge names {key!r}; {nearest(key, self.unknowns)}")
        with blamed(f"a condition or a derived field of {name}"):
            _ = self.derivatives
        if hasattr(self, "exact"):
            with blamed(f"{name}.exact", "write it with functions of torch"):
                self.start().exact_fields(self.domain.sample(3, torch.Generator().manual_seed(0)))

    def _check_signature(self) -> None:
        expected = [*self.unknowns, *self.coordinates]
        signature = inspect.signature(self.equations).parameters.values()
        if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in signature):
            return
        given = [parameter.name for parameter in signature]
        for parameter, wanted in zip(given, expected, strict=False):
            if parameter != wanted:
                raise InputError(
                    f"{type(self).__name__}.equations({', '.join(given)}): {parameter!r} is undeclared there; "
                    f"its arguments must be {', '.join(expected)}"
                )
        if len(given) != len(expected):
            raise InputError(
                f"{type(self).__name__}.equations takes ({', '.join(given)}); its arguments must be {', '.join(expected)}"
            )


@contextmanager
def blamed(what: str, hint: str = "") -> Iterator[None]:
    """Any error in a user's own function as an InputError that says where."""
    try:
        yield
    except SciMLError:
        raise
    except Exception as error:
        text = f"{what} cannot be evaluated: {type(error).__name__}: {error}"
        raise InputError(f"{text}; {hint}" if hint else text) from error


def sample_batch(
    problem: Problem,
    conditions: Mapping[str, Condition],
    sizes: Mapping[str, int],
    generator: torch.Generator,
    method: str = "uniform",
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Points]:
    """Points for the equations (key "interior") and for every condition, ``sizes`` of them each."""
    drawn = problem.domain.sample(sizes[INTERIOR], generator, method=method, device=device, dtype=dtype)
    batch = {INTERIOR: Points(drawn)}
    for name, condition in conditions.items():
        batch[name] = condition.sample(problem, sizes[name], generator, method, device, dtype)
    return batch
