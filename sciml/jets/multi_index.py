"""Multi-indices of partial derivatives, and the combinatorics of products and compositions over them."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

MultiIndex = tuple[int, ...]
Group = tuple[MultiIndex, ...]
"""Multi-indices of one order in ascending order, which stand for the sum of their derivatives."""


def lower_indices(index: MultiIndex) -> Iterator[MultiIndex]:
    """All multi-indices that are at most ``index`` in every entry, ``index`` included."""
    return itertools.product(*(range(order + 1) for order in index))


@cache
def leibniz_terms(index: MultiIndex) -> tuple[tuple[int, MultiIndex, MultiIndex], ...]:
    """Product rule: ``d^index (f g) = sum of coefficient * d^left f * d^right g``."""
    return tuple(
        (
            math.prod(math.comb(n, k) for n, k in zip(index, left, strict=True)),
            left,
            tuple(n - k for n, k in zip(index, left, strict=True)),
        )
        for left in lower_indices(index)
    )


@cache
def faa_di_bruno_terms(index: MultiIndex) -> tuple[tuple[int, tuple[MultiIndex, ...]], ...]:
    """Chain rule of Faa di Bruno: ``d^index f(u) = sum of coefficient * f^(k)(u) * product over the k blocks of d^block u``.

    Each term is ``(coefficient, blocks)``, from the set partitions of the single derivatives in ``index``;
    terms are sorted by the number of blocks. The zero index gives no term: the value is ``f(u)`` itself.
    """
    directions = [axis for axis, order in enumerate(index) for _ in range(order)]
    counts: Counter[tuple[MultiIndex, ...]] = Counter()
    for partition in _set_partitions(directions):
        blocks = [tuple(block.count(axis) for axis in range(len(index))) for block in partition]
        counts[tuple(sorted(blocks, key=lambda block: (-sum(block), tuple(-n for n in block))))] += 1
    terms = [(count, blocks) for blocks, count in counts.items() if blocks]
    return tuple(sorted(terms, key=lambda term: (len(term[1]), term[1])))


def _set_partitions(items: Sequence[int]) -> Iterator[list[list[int]]]:
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for partition in _set_partitions(rest):
        yield [[first], *partition]
        for i, block in enumerate(partition):
            yield [*partition[:i], [first, *block], *partition[i + 1 :]]


@dataclass(frozen=True)
class Terms:
    """Products ``coefficient * prod_j rows_j`` that are added to the rows of one block of derivatives.

    Attributes:
        orders: order of differentiation of each factor.
        factors: for each factor, the row within the block of its order, one for every term.
        coefficients: one for every term.
        target: row within the block that each term is added to; None when term i belongs to row i, the common case.
    """

    orders: tuple[int, ...]
    factors: tuple[tuple[int, ...], ...]
    coefficients: tuple[int, ...]
    target: tuple[int, ...] | None


class MultiIndexSet:
    """A downward-closed set of multi-indices: with an index it holds every lower one.

    Members are ordered by differentiation order, the value (zero index) first. Instances with the same members are
    the same object, so that plans are built once.

    Args:
        indices: multi-indices of one length; the set is closed downwards.
        dimension: number of coordinates.
        sums: groups of multi-indices of one order that are propagated as one row, the sum of these derivatives
            (collapsed Taylor mode, Dangel et al. 2025). A group is left apart when another derivative of the set
            is built from one of its members.
    """

    members: tuple[MultiIndex, ...]
    sums: tuple[Group, ...]
    position: dict[MultiIndex, int]
    """Row of every member; those of a sum share one."""

    _instances: dict[tuple[tuple[MultiIndex, ...], tuple[Group, ...]], MultiIndexSet] = {}  # noqa: RUF012 - an intern table

    def __new__(cls, indices: Iterable[MultiIndex], dimension: int, sums: Iterable[Group] = ()) -> MultiIndexSet:
        sums = tuple(sorted(set(sums)))
        asked = [*set(indices), *itertools.chain(*sums)]
        closed = {lower for index in asked for lower in lower_indices(tuple(index))} | {(0,) * dimension}
        # Descending tuples inside an order: x before y, xx before xy before yy.
        members = tuple(sorted(closed, key=lambda index: (sum(index), tuple(-n for n in index))))
        if any(len(index) != dimension for index in members):
            raise ValueError(f"multi-indices must have length {dimension}, got {members}")
        used = Counter(asked) + Counter(lower for index in members for lower in lower_indices(index) if lower != index)
        sums = tuple(group for group in sums if all(used[index] == 1 for index in group))
        if (members, sums) not in cls._instances:
            self = super().__new__(cls)
            self.members, self.sums = members, sums
            first = {index: group[0] for group in sums for index in group}
            rows = dict.fromkeys(first.get(index, index) for index in members)
            number = {index: row for row, index in enumerate(rows)}
            self.position = {index: number[first.get(index, index)] for index in members}
            cls._instances[members, sums] = self
        return cls._instances[members, sums]

    def __reduce__(self) -> tuple[type[MultiIndexSet], tuple[Any, ...]]:
        # Copies and pickles are the same object again.
        apart = tuple(index for index in self.members if index in self)
        return MultiIndexSet, (apart, self.dimension, self.sums)

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[MultiIndex]:
        return iter(self.members)

    def __contains__(self, index: object) -> bool:
        """Whether the derivative ``index`` is at hand, not only in a sum."""
        return index in self.position and not any(index in group for group in self.sums)

    def __or__(self, other: MultiIndexSet) -> MultiIndexSet:
        return MultiIndexSet((*self.members, *other.members), self.dimension)

    def __repr__(self) -> str:
        return f"MultiIndexSet({list(self.members)}" + (f", sums={list(self.sums)})" if self.sums else ")")

    @property
    def dimension(self) -> int:
        return len(self.members[0])

    @cached_property
    def order(self) -> int:
        """Highest order of differentiation in the set."""
        return max(map(sum, self.members))

    @cached_property
    def orders(self) -> tuple[int, ...]:
        """Number of rows of every order 0, 1, ..."""
        rows = {row: sum(index) for index, row in self.position.items()}
        return tuple(list(rows.values()).count(order) for order in range(self.order + 1))

    def locate(self, index: MultiIndex) -> tuple[int, int]:
        """The order of ``index``, and its row among the rows of that order."""
        order = sum(index)
        return order, self.position[index] - sum(self.orders[:order])

    @cached_property
    def chain(self) -> tuple[tuple[Terms, ...], ...]:
        """For every order >= 1, the terms of the chain rule with two factors or more.

        The single-factor term ``f'(u) d^index u`` is the same for every row.
        """
        return self._plan(lambda index: [(c, blocks) for c, blocks in faa_di_bruno_terms(index) if len(blocks) > 1])

    @cached_property
    def product(self) -> tuple[tuple[Terms, ...], ...]:
        """For every order >= 1, the terms of the product rule in which both factors are differentiated."""
        return self._plan(
            lambda index: [(c, (left, right)) for c, left, right in leibniz_terms(index) if any(left) and any(right)]
        )

    def _plan(self, rule: Callable[[MultiIndex], list[tuple[int, tuple[MultiIndex, ...]]]]) -> tuple[tuple[Terms, ...], ...]:
        plan = []
        for order in range(1, self.order + 1):
            grouped: dict[tuple[int, ...], list[tuple[int, int, tuple[int, ...]]]] = {}
            for index in self.members:
                if sum(index) == order:
                    for coefficient, factors in rule(index):
                        located = [self.locate(factor) for factor in factors]
                        key = tuple(o for o, _ in located)
                        grouped.setdefault(key, []).append(
                            (self.locate(index)[1], coefficient, tuple(row for _, row in located))
                        )
            plan.append(tuple(_terms(key, terms, self.orders[order]) for key, terms in grouped.items()))
        return tuple(plan)


def _terms(orders: tuple[int, ...], terms: list[tuple[int, int, tuple[int, ...]]], size: int) -> Terms:
    targets = tuple(row for row, _, _ in terms)
    return Terms(
        orders=orders,
        factors=tuple(zip(*(factors for _, _, factors in terms), strict=True)),
        coefficients=tuple(coefficient for _, coefficient, _ in terms),
        target=None if targets == tuple(range(size)) else targets,
    )
