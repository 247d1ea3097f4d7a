"""Where the jets of a field come from: Taylor mode through a network, or autograd through any other function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from sciml.jets.jet import Coordinate, Field, Jet
from sciml.jets.multi_index import Group, MultiIndex, MultiIndexSet
from sciml.jets.tensor import JetTensor


def coordinates(names: Sequence[str], points: Tensor) -> list[Jet]:
    """The coordinates as jets, from ``points`` (N, d)."""
    return [Coordinate(names, axis, points[:, axis]) for axis in range(len(names))]


def taylor(
    network: Callable[[Any], Any], points: Tensor, names: Sequence[str], indices: MultiIndexSet, expand: bool = False
) -> list[Jet]:
    """Jets of the columns of ``network(points)`` by one forward pass in Taylor mode.

    Args:
        network: maps (N, d) to (N, outputs) with torch functions that have a Taylor rule.
        points: shape (N, d).
        names: the d coordinates.
        indices: the derivatives to compute; a set with the value alone costs a plain forward pass.
        expand: give every point its own copy of the coordinates' unit slopes, so that gradients by point can be told apart.

    Raises:
        UnsupportedFunction: the network calls a function without a Taylor rule.
    """
    if len(indices) == 1:
        return columns(network(points), names, indices)
    return columns(network(JetTensor.coordinates(points, indices, expand)), names, indices)


def columns(output: JetTensor | Tensor, names: Sequence[str], indices: MultiIndexSet) -> list[Jet]:
    """One jet for each column of a network's output (N, fields); a plain tensor carries the value alone."""

    def field(column: int) -> Jet:
        def partial(index: MultiIndex) -> Tensor:
            if index not in indices:
                raise KeyError(f"derivative {index} was not computed; computed are {list(indices)}")
            return (output.partial(index) if isinstance(output, JetTensor) else output)[:, column]

        def partial_sum(group: Group) -> Tensor:
            if group not in indices.sums or not isinstance(output, JetTensor):
                return sum(partial(index) for index in group)  # type: ignore[return-value]
            return output.partial(group[0])[:, column]

        return Field(names, partial, partial_sum)

    return [field(column) for column in range(output.shape[-1])]


def autograd(function: Callable[[Tensor], Tensor], points: Tensor, names: Sequence[str]) -> list[Jet]:
    """Jets of the columns of any differentiable ``function`` (N, d) -> (N, outputs), by nested reverse mode.

    The rows must be independent: row i of the output depends on row i of the input alone.
    """
    points = points if points.requires_grad else points.detach().requires_grad_()
    with torch.enable_grad():
        output = function(points)

    def field(column: int) -> Jet:
        gradients: dict[MultiIndex, Tensor] = {}  # of a partial derivative, along every axis at once

        def partial(index: MultiIndex) -> Tensor:
            with torch.enable_grad():  # kept for later derivatives, whoever asks first
                if not any(index):
                    return output[:, column]
                axis = max(axis for axis, order in enumerate(index) if order)
                lower = tuple(order - (a == axis) for a, order in enumerate(index))
                if lower not in gradients:
                    gradients[lower] = _gradient(jet.partial(lower), points)
                return gradients[lower][:, axis]

        jet = Field(names, partial)
        return jet

    return [field(column) for column in range(output.shape[-1])]


def _gradient(values: Tensor, points: Tensor) -> Tensor:
    if not values.requires_grad:
        return torch.zeros_like(points)
    (gradient,) = torch.autograd.grad(values.sum(), points, create_graph=True, materialize_grads=True)
    return gradient
