"""The lazy jet of a scalar field: what ``Problem.equations`` is written in."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from sciml.errors import InputError, nearest
from sciml.jets.elementary import FUNCTIONS, Derivatives, power
from sciml.jets.multi_index import Group, MultiIndex, faa_di_bruno_terms, leibniz_terms


class Jet(ABC):
    """A scalar field at N points, from which any partial derivative can be asked.

    ``u.x``, ``u.xx``, ``u.xt`` and, for longer coordinate names, ``u.d("theta", "theta")`` are jets again; arithmetic
    and torch's elementary functions on jets follow the product and chain rules, so ``(k * u.x).x`` is a divergence.
    A jet stands for its value, a tensor of shape (N,), wherever torch asks for a tensor; derivatives of anything but
    elementary functions are then no longer available and say so.

    Only the derivatives that are asked for are computed.
    """

    names: tuple[str, ...]

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._partials: dict[MultiIndex, Tensor] = {}

    @abstractmethod
    def _partial(self, index: MultiIndex) -> Tensor:
        """Shape (N,); called once for every index."""

    def partial(self, index: MultiIndex) -> Tensor:
        """The derivative of orders ``index`` (one per coordinate), shape (N,)."""
        if index not in self._partials:
            self._partials[index] = self._partial(index)
        return self._partials[index]

    def partial_sum(self, group: Group) -> Tensor:
        """The sum of the derivatives ``group``, shape (N,)."""
        return sum(self.partial(index) for index in group)  # type: ignore[return-value]

    def _derivatives(self, index: MultiIndex) -> tuple[Jet, Group] | None:
        """The field whose derivatives add up to the derivative ``index`` of this jet, if it is nothing but such a sum."""
        return None

    @property
    def value(self) -> Tensor:
        """The field itself, shape (N,)."""
        return self.partial((0,) * len(self.names))

    def d(self, *names: str) -> Jet:
        """The partial derivative with respect to the coordinates ``names``, one for every order.

        Raises:
            InputError: a name is not a coordinate.
        """
        for name in names:
            if name not in self.names:
                raise InputError(f"{name!r} is not a coordinate; {nearest(str(name), self.names)}")
        return Derivative(self, tuple(names.count(name) for name in self.names))

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_") or attribute == "names":
            raise AttributeError(attribute)
        if attribute in self.names:
            return self.d(attribute)
        if all(letter in self.names for letter in attribute):
            return self.d(*attribute)
        if hasattr(Tensor, attribute):
            return getattr(self.value, attribute)
        raise InputError(
            f"{attribute!r} is not a derivative with respect to the coordinates {', '.join(self.names)}; "
            f"write u.{self.names[0]}, u.{self.names[0] * 2} or u.d({self.names[0]!r}, ...)"
        )

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = function.__name__.strip("_")
        if name in _BINARY and len(args) == 2 and not kwargs:
            return _BINARY[name](*args)
        if name in _UNARY and len(args) == 1 and not kwargs:
            return _UNARY[name](args[0])
        if name in FUNCTIONS and len(args) == 1 and not kwargs:
            return Composition(FUNCTIONS[name], args[0])
        return function(*_values(args), **_values(kwargs or {}))

    def __neg__(self) -> Jet:
        return Product(self, -1.0)

    def __add__(self, other: Any) -> Jet:
        return Sum(self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Jet:
        return Sum(self, -other)

    def __rsub__(self, other: Any) -> Jet:
        return Sum(Product(self, -1.0), other)

    def __mul__(self, other: Any) -> Jet:
        return Product(self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Jet:
        return Product(self, Composition(power(-1.0), other) if isinstance(other, Jet) else 1 / other)

    def __rtruediv__(self, other: Any) -> Jet:
        return Product(Composition(power(-1.0), self), other)

    def __pow__(self, exponent: Any) -> Jet:
        if isinstance(exponent, Jet) or (isinstance(exponent, Tensor) and exponent.numel() > 1):
            return Composition(FUNCTIONS["exp"], Product(Composition(FUNCTIONS["log"], self), exponent))
        return Composition(power(float(exponent)), self)

    def __rpow__(self, base: Any) -> Jet:
        return Composition(FUNCTIONS["exp"], Product(self, math.log(base)))

    def __abs__(self) -> Jet:
        return Composition(FUNCTIONS["abs"], self)

    def __lt__(self, other: Any) -> Tensor:
        return self.value < as_tensor(other, self.value)

    def __le__(self, other: Any) -> Tensor:
        return self.value <= as_tensor(other, self.value)

    def __gt__(self, other: Any) -> Tensor:
        return self.value > as_tensor(other, self.value)

    def __ge__(self, other: Any) -> Tensor:
        return self.value >= as_tensor(other, self.value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.names)})"


class Field(Jet):
    """A jet whose partial derivatives come from a function ``partial(index) -> Tensor (N,)``.

    Args:
        names: the coordinates.
        partial: gives one derivative.
        partial_sum: gives the sum of a group of derivatives, where that is cheaper than adding them.
    """

    def __init__(
        self,
        names: Sequence[str],
        partial: Callable[[MultiIndex], Tensor],
        partial_sum: Callable[[Group], Tensor] | None = None,
    ) -> None:
        super().__init__(names)
        self._source, self._sums = partial, partial_sum

    def _partial(self, index: MultiIndex) -> Tensor:
        return self._source(index)

    def partial_sum(self, group: Group) -> Tensor:
        return super().partial_sum(group) if self._sums is None else self._sums(group)

    def _derivatives(self, index: MultiIndex) -> tuple[Jet, Group]:
        return self, (index,)


class Coordinate(Jet):
    """The coordinate ``names[axis]`` itself: slope one along its own axis."""

    def __init__(self, names: Sequence[str], axis: int, values: Tensor) -> None:
        super().__init__(names)
        self._axis, self._values = axis, values

    def _partial(self, index: MultiIndex) -> Tensor:
        if not any(index):
            return self._values
        slope = sum(index) == 1 and index[self._axis] == 1
        return torch.ones_like(self._values) if slope else torch.zeros_like(self._values)


class Derivative(Jet):
    """The derivative of another jet."""

    def __init__(self, jet: Jet, index: MultiIndex) -> None:
        super().__init__(jet.names)
        self._jet, self._index = jet, index

    def _partial(self, index: MultiIndex) -> Tensor:
        return self._jet.partial(self._add(index))

    def _derivatives(self, index: MultiIndex) -> tuple[Jet, Group] | None:
        return self._jet._derivatives(self._add(index))

    def _add(self, index: MultiIndex) -> MultiIndex:
        return tuple(a + b for a, b in zip(self._index, index, strict=True))


class Sum(Jet):
    """The sum of a jet and a jet, tensor (N,) or number."""

    def __init__(self, left: Jet, right: Any) -> None:
        super().__init__(left.names)
        self._left, self._right = left, right

    def _partial(self, index: MultiIndex) -> Tensor:
        derivatives = self._derivatives(index)
        if derivatives is not None:
            field, group = derivatives
            return field.partial_sum(group)
        left = self._left.partial(index)
        right = _operand(self._right, index)
        return left if right is None else left + right

    def _derivatives(self, index: MultiIndex) -> tuple[Jet, Group] | None:
        left = self._left._derivatives(index)
        right = self._right._derivatives(index) if isinstance(self._right, Jet) else None
        if left is None or right is None or left[0] is not right[0]:
            return None
        group = tuple(sorted((*left[1], *right[1])))
        alike = len({sum(member) for member in group}) == 1 and len(set(group)) == len(group)
        return (left[0], group) if alike else None


class Product(Jet):
    """The product of a jet and a jet, tensor (N,) or number (Leibniz)."""

    def __init__(self, left: Jet, right: Any) -> None:
        super().__init__(left.names)
        self._left, self._right = left, right

    def _partial(self, index: MultiIndex) -> Tensor:
        total: Tensor | None = None
        for coefficient, left, right in leibniz_terms(index):
            factor = _operand(self._right, right)
            if factor is None:
                continue
            term = self._left.partial(left) * factor
            term = term if coefficient == 1 else coefficient * term
            total = term if total is None else total + term
        assert total is not None  # right = 0 always contributes
        return total


class Composition(Jet):
    """An elementary function of a jet (Faa di Bruno)."""

    def __init__(self, function: Derivatives, jet: Jet) -> None:
        super().__init__(jet.names)
        self._function, self._jet = function, jet

    def _partial(self, index: MultiIndex) -> Tensor:
        slopes = self._function(self._jet.value, sum(index))
        if not any(index):
            return slopes[0]
        return sum(  # type: ignore[return-value]
            coefficient * slopes[len(blocks)] * math.prod(self._jet.partial(block) for block in blocks)
            for coefficient, blocks in faa_di_bruno_terms(index)
        )


def _operand(operand: Any, index: MultiIndex) -> Any:
    """The derivative of an operand that may be constant; None stands for zero."""
    if isinstance(operand, Jet):
        return operand.partial(index)
    if not any(index):
        return operand
    if isinstance(operand, Tensor) and operand.ndim > 0 and operand.numel() > 1:
        raise InputError(
            "cannot differentiate a product or sum with a plain tensor of point values: "
            "write the coefficient with the coordinates and elementary functions, so that its derivative is known"
        )
    return None


def _values(arguments: Any) -> Any:
    if isinstance(arguments, Jet):
        return arguments.value
    if isinstance(arguments, dict):
        return {key: _values(value) for key, value in arguments.items()}
    if isinstance(arguments, (tuple, list)):
        return type(arguments)(_values(value) for value in arguments)
    return arguments


def as_tensor(residual: Any, like: Tensor) -> Tensor:
    """The value of a jet, tensor or number as a tensor of the points' shape (N,), type and device."""
    if isinstance(residual, Jet):
        return residual.value
    if isinstance(residual, Tensor):
        return residual
    return torch.full_like(like, float(residual))


def _swap(rule: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda left, right: rule(right, left)


def _add(left: Any, right: Any) -> Jet:
    return Sum(left, right) if isinstance(left, Jet) else Sum(right, left)


def _subtract(left: Any, right: Any) -> Jet:
    return left - right if isinstance(left, Jet) else right.__rsub__(left)


def _multiply(left: Any, right: Any) -> Jet:
    return Product(left, right) if isinstance(left, Jet) else Product(right, left)


def _divide(left: Any, right: Any) -> Jet:
    return left / right if isinstance(left, Jet) else right.__rtruediv__(left)


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, Jet):
        return base**exponent
    return Composition(FUNCTIONS["exp"], Product(exponent, torch.log(torch.as_tensor(base))))


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": _add,
    "radd": _add,
    "sub": _subtract,
    "subtract": _subtract,
    "rsub": _swap(_subtract),
    "mul": _multiply,
    "multiply": _multiply,
    "rmul": _multiply,
    "div": _divide,
    "divide": _divide,
    "true_divide": _divide,
    "truediv": _divide,
    "rdiv": _swap(_divide),
    "rtruediv": _swap(_divide),
    "pow": _power,
    "rpow": _swap(_power),
}
_UNARY: dict[str, Callable[[Any], Any]] = {"neg": lambda x: -x, "negative": lambda x: -x}
