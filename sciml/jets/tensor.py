"""Jets pushed through networks: the value and the partial derivatives of a tensor, propagated together (Taylor mode)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from sciml.jets.elementary import FUNCTIONS, Derivatives, power
from sciml.jets.multi_index import MultiIndex, MultiIndexSet, Terms


class UnsupportedFunction(NotImplementedError):
    """A torch function has no Taylor rule; the autograd backend takes over."""


class JetTensor:
    """A tensor with its partial derivatives with respect to the coordinates.

    Plain torch code runs on it unchanged: ``torch.nn.Linear``, arithmetic, elementary functions and ``torch.cat``
    dispatch here, so that a network needs no derivative code of its own. One operation acts on all derivatives of an
    order at once (Taylor mode), and ordinary autograd differentiates the result with respect to the weights.

    Args:
        blocks: for every order of differentiation a tensor (rows, N, ..., features), one row for each multi-index of
            that order; it may broadcast, and None stands for zero. The value, order 0, has one row.
        indices: the multi-indices.
    """

    def __init__(self, blocks: Sequence[Tensor | None], indices: MultiIndexSet) -> None:
        self.blocks, self.indices = tuple(blocks), indices

    @classmethod
    def coordinates(cls, points: Tensor, indices: MultiIndexSet, expand: bool = False) -> JetTensor:
        """The jet of the identity at ``points`` (N, d): unit first derivatives, zero above.

        The unit derivatives are the same at all points and broadcast, unless they are to be expanded.
        """
        blocks: list[Tensor | None] = [points.unsqueeze(0)] + [None] * indices.order
        if indices.order:
            unit = torch.eye(points.shape[-1], dtype=points.dtype, device=points.device)
            axes = [index.index(1) for index in indices if sum(index) == 1]
            slopes = unit[axes].reshape(-1, *(1,) * (points.ndim - 1), points.shape[-1])
            blocks[1] = slopes.expand(-1, *points.shape) if expand else slopes
        return cls(blocks, indices)

    def partial(self, index: MultiIndex) -> Tensor:
        """The partial derivative ``index``, or the sum that it belongs to, of the shape of the value."""
        order, row = self.indices.locate(index)
        block = self.blocks[order]
        return torch.zeros_like(self.value) if block is None else block[row].expand(self.shape)

    # What tensors offer -----------------------------------------------------------------------------------------
    @property
    def value(self) -> Tensor:
        return cast(Tensor, self.blocks[0])[0]

    @property
    def shape(self) -> torch.Size:
        return self.value.shape

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def dtype(self) -> torch.dtype:
        return self.value.dtype

    @property
    def device(self) -> torch.device:
        return self.value.device

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, key: Any) -> JetTensor:
        """Indexing, of the trailing dimensions alone: ``x[..., 0:1]`` or ``x[:, 0:1]``."""
        key = key if isinstance(key, tuple) else (key,)
        if key[0] not in (Ellipsis, slice(None)):
            raise UnsupportedFunction("a jet is indexed in its trailing dimensions, as x[..., i]")
        return self._map(lambda block: block[(slice(None), *key)])

    def __repr__(self) -> str:
        return f"JetTensor(shape={tuple(self.shape)}, indices={list(self.indices)})"

    def _map(self, function: Callable[[Tensor], Tensor]) -> JetTensor:
        """A linear function, which acts on every derivative alike."""
        return JetTensor([None if block is None else function(block) for block in self.blocks], self.indices)

    def unsqueeze(self, dim: int) -> JetTensor:
        dim = _trailing(dim, self.ndim + 1)
        return self._map(lambda block: block.unsqueeze(dim))

    def sum(self, dim: int) -> JetTensor:
        dim = _trailing(dim, self.ndim)
        return self._map(lambda block: block.sum(dim))

    # Arithmetic -------------------------------------------------------------------------------------------------
    def __neg__(self) -> JetTensor:
        return self._map(torch.neg)

    def __add__(self, other: Any) -> JetTensor:
        return add(self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> JetTensor:
        return subtract(self, other)

    def __rsub__(self, other: Any) -> JetTensor:
        return subtract(other, self)

    def __mul__(self, other: Any) -> JetTensor:
        return multiply(self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> JetTensor:
        return divide(self, other)

    def __rtruediv__(self, other: Any) -> JetTensor:
        return divide(other, self)

    def __pow__(self, exponent: float) -> JetTensor:
        return compose(power(exponent), self)

    def __matmul__(self, matrix: Tensor) -> JetTensor:
        return self._map(lambda block: block @ matrix)

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = function.__name__.strip("_")
        rule = _RULES.get(name)
        if rule is not None:
            return rule(*args, **(kwargs or {}))
        if name in FUNCTIONS and isinstance(args[0], JetTensor):
            return compose(FUNCTIONS[name], args[0])
        raise UnsupportedFunction(f"torch.{name} has no Taylor rule; use the autograd derivatives for this network")


def compose(function: Derivatives, jet: JetTensor) -> JetTensor:
    """``function`` applied elementwise (Faa di Bruno)."""
    blocks, indices = jet.blocks, jet.indices
    slopes = function(jet.value, indices.order)
    out: list[Tensor | None] = [slopes[0].unsqueeze(0)]
    for order, plan in enumerate(indices.chain, start=1):
        block = blocks[order]
        rows = None if block is None else slopes[1] * block
        for terms in plan:
            products = _products(terms, [blocks] * len(terms.orders))
            rows = _accumulate(rows, products, terms, indices.orders[order], slopes[len(terms.orders)])
        out.append(rows)
    return JetTensor(out, indices)


def multiply(left: Any, right: Any) -> JetTensor:
    """Product of two jets (Leibniz), or of a jet and a constant."""
    if not isinstance(left, JetTensor):
        left, right = right, left
    if not isinstance(right, JetTensor):
        return left._map(lambda block: block * right)
    indices, a, b = _common(left, right), left.blocks, right.blocks
    out: list[Tensor | None] = [left.value.unsqueeze(0) * right.value]
    for order, plan in enumerate(indices.product, start=1):
        rows = _sum(
            None if b[order] is None else left.value * b[order], None if a[order] is None else right.value * a[order]
        )
        for terms in plan:
            rows = _accumulate(rows, _products(terms, [a, b]), terms, indices.orders[order])
        out.append(rows)
    return JetTensor(out, indices)


def add(left: Any, right: Any) -> JetTensor:
    """Sum of two jets, or of a jet and a constant (which only moves the value)."""
    if not isinstance(left, JetTensor):
        left, right = right, left
    if isinstance(right, JetTensor):
        indices = _common(left, right)
        return JetTensor([_sum(a, b) for a, b in zip(left.blocks, right.blocks, strict=True)], indices)
    return JetTensor([left.blocks[0] + right, *left.blocks[1:]], left.indices)


def subtract(left: Any, right: Any) -> JetTensor:
    """Difference of two jets, or of a jet and a constant in either order."""
    return add(left, right._map(torch.neg) if isinstance(right, JetTensor) else -right)


def divide(left: Any, right: Any) -> JetTensor:
    """Quotient of two jets, or of a jet and a constant in either order."""
    if isinstance(right, JetTensor):
        return multiply(compose(FUNCTIONS["reciprocal"], right), left)
    return left._map(lambda block: block / right)


def _common(left: JetTensor, right: JetTensor) -> MultiIndexSet:
    if left.indices is not right.indices:
        raise ValueError(f"jets of different derivatives do not combine: {left.indices} and {right.indices}")
    return left.indices


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


def _products(terms: Terms, operands: Sequence[Sequence[Tensor | None]]) -> Tensor | None:
    """Every term, (terms, N, ..., features); None when a factor vanishes."""
    blocks = [operand[order] for operand, order in zip(operands, terms.orders, strict=True)]
    factors = [block for block in blocks if block is not None]
    if len(factors) < len(blocks):
        return None
    product = _rows(factors[0], terms.factors[0])
    if len(factors) == 2 and factors[0] is factors[1] and terms.factors[0] == terms.factors[1]:
        product = product.square()
    else:
        for factor, rows in zip(factors[1:], terms.factors[1:], strict=True):
            product = product * _rows(factor, rows)
    if any(c != 1 for c in terms.coefficients):
        coefficients = torch.tensor(terms.coefficients, dtype=product.dtype, device=product.device)
        product = product * coefficients.reshape(-1, *(1,) * (product.ndim - 1))
    return product


def _rows(block: Tensor, rows: tuple[int, ...]) -> Tensor:
    start = rows[0]
    if rows == tuple(range(start, start + len(rows))):
        return block if len(rows) == len(block) else block[start : start + len(rows)]
    return block[list(rows)]


def _accumulate(
    rows: Tensor | None, products: Tensor | None, terms: Terms, size: int, slope: Tensor | None = None
) -> Tensor | None:
    """``rows`` plus the products (times ``slope``), each added to its target row of ``size``."""
    if products is None:
        return rows
    if size == 1:
        products = products.sum(0, keepdim=True)
    if size == 1 or terms.target is None:
        if slope is None:
            return products if rows is None else rows + products
        return slope * products if rows is None else torch.addcmul(rows, slope, products)
    if slope is not None:
        products = slope * products
    rows = products.new_zeros(size, *products.shape[1:]) if rows is None else rows.expand(-1, *products.shape[1:])
    return rows.index_add(0, torch.tensor(terms.target, device=rows.device), products)


# Rules for torch functions that networks call -------------------------------------------------------------------------
def _trailing(dim: int, ndim: int) -> int:
    """Dimensions of the user's view, counted from the end, are the same dimensions of every block."""
    return dim - ndim if dim >= 0 else dim


def _linear(x: JetTensor, weight: Tensor, bias: Tensor | None = None) -> JetTensor:
    value = torch.nn.functional.linear(x.value, weight, bias).unsqueeze(0)
    slopes = (None if block is None else torch.nn.functional.linear(block, weight) for block in x.blocks[1:])
    return JetTensor([value, *slopes], x.indices)


def _join(jets: Sequence[Any], function: Callable[[list[Tensor]], Tensor]) -> JetTensor:
    """Concatenate or stack jets and constants, order by order."""
    first = next(jet for jet in jets if isinstance(jet, JetTensor))
    columns = [jet.blocks if isinstance(jet, JetTensor) else _constant(jet, first.indices) for jet in jets]
    values = [cast(Tensor, column[0]) for column in columns]
    out: list[Tensor | None] = []
    for order, rows in enumerate(first.indices.orders):
        parts = [column[order] for column in columns]
        if all(part is None for part in parts):
            out.append(None)
        else:
            out.append(function([_full(part, rows, value) for part, value in zip(parts, values, strict=True)]))
    return JetTensor(out, first.indices)


def _full(part: Tensor | None, rows: int, value: Tensor) -> Tensor:
    shape = (rows, *value.shape[1:])
    return value.new_zeros(()).expand(shape) if part is None else part.expand(shape)


def _constant(value: Tensor, indices: MultiIndexSet) -> list[Tensor | None]:
    return [value.unsqueeze(0)] + [None] * indices.order


def _cat(jets: Sequence[Any], dim: int = 0) -> JetTensor:
    first = next(jet for jet in jets if isinstance(jet, JetTensor))
    dim = _trailing(dim, first.ndim)
    return _join(jets, lambda parts: torch.cat(parts, dim=dim))


def _stack(jets: Sequence[Any], dim: int = 0) -> JetTensor:
    first = next(jet for jet in jets if isinstance(jet, JetTensor))
    dim = _trailing(dim, first.ndim + 1)
    return _join(jets, lambda parts: torch.stack(parts, dim=dim))


def _activation(name: str, *defaults: Any) -> Callable[..., JetTensor]:
    def rule(x: JetTensor, *args: Any, **kwargs: Any) -> JetTensor:
        if any(value not in defaults for value in (*args, *kwargs.values())):
            raise UnsupportedFunction(f"torch.{name} has a Taylor rule for its default arguments alone")
        return compose(FUNCTIONS[name], x)

    return rule


_RULES: dict[str, Callable[..., JetTensor]] = {
    "linear": _linear,
    "matmul": lambda x, matrix: x @ matrix,
    "add": add,
    "radd": add,
    "sub": subtract,
    "rsub": lambda left, right: subtract(right, left),
    "mul": multiply,
    "rmul": multiply,
    "neg": lambda x: x._map(torch.neg),
    "negative": lambda x: x._map(torch.neg),
    "div": divide,
    "true_divide": divide,
    "truediv": divide,
    "rdiv": lambda left, right: divide(right, left),
    "rtruediv": lambda left, right: divide(right, left),
    "pow": lambda x, exponent: x**exponent,
    "lerp": lambda start, end, weight: start + weight * (end - start),
    "cat": _cat,
    "concat": _cat,
    "stack": _stack,
    "unsqueeze": lambda x, dim: x.unsqueeze(dim),
    "sum": lambda x, dim: x.sum(dim),
    "silu": _activation("silu", False),
    "gelu": _activation("gelu", "none"),
    "softplus": _activation("softplus", 1.0, 20.0),
    "relu": _activation("relu", False),
}
