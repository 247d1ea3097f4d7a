"""The Jacobian of pointwise residuals with respect to network weights, from one backward pass a term.

Residual i depends on sample i alone, so the gradient of the *sum* of the residuals with respect to a linear layer's
output holds every sample's own gradient; the outer product with the layer's input is that sample's weight gradient.
In Taylor mode a layer acts on all derivatives of a sample, whose outer products add up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sciml.jets import JetTensor


class UnsupportedNetwork(NotImplementedError):
    """A weight enters other than through a linear layer, once in every pass."""


@dataclass(frozen=True)
class _Call:
    weight: Tensor
    bias: Tensor | None
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor | None, ...]


class _Recorder(TorchFunctionMode):
    """Keeps the inputs and outputs of linear layers with trainable weights."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[_Call] = []

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        output = function(*args, **kwargs)
        if function is nn.functional.linear:
            x, weight, bias = (*args, None)[:3] if "bias" not in kwargs else (*args[:2], kwargs["bias"])
            if weight.requires_grad or (bias is not None and bias.requires_grad):
                self.calls.append(_Call(weight, bias, _blocks(x), _blocks(output)))
        return output


def _blocks(x: Any) -> tuple[Tensor | None, ...]:
    return x.blocks if isinstance(x, JetTensor) else (x,)


def row_jacobian(
    terms: Callable[[], dict[str, Tensor]], parameters: Sequence[Tensor], samples: int, sets: int = 1
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Residuals (N,) of some terms and their Jacobians (N, P) with respect to the flattened parameters.

    Args:
        terms: evaluates the network once, on ``sets * samples`` points, and returns residual vectors. Each residual
            depends on one point of every set, or, when there are fewer residuals, on consecutive points.
        parameters: weights and biases of linear layers, or single numbers that enter anyhow.

    Raises:
        UnsupportedNetwork: a parameter enters in another way.
    """
    with _Recorder() as recorder:
        residuals = terms()
    calls = recorder.calls
    outputs = [block for call in calls for block in call.outputs if block is not None and block.requires_grad]
    linear = {id(p) for call in calls for p in (call.weight, call.bias) if p is not None}
    jacobians = {}
    for name, residual in residuals.items():
        if not residual.requires_grad:
            jacobians[name] = residual.new_zeros(len(residual), sum(p.numel() for p in parameters))
            continue
        slopes = torch.autograd.grad(residual.sum(), outputs, retain_graph=True, allow_unused=True)
        by_output = {id(output): slope for output, slope in zip(outputs, slopes, strict=True)}
        rows: dict[int, Tensor] = {}
        for call in calls:
            _add_call(rows, call, by_output, sets * samples)
        columns = []
        for p in parameters:
            if id(p) in rows:
                columns.append(rows[id(p)].flatten(1).reshape(sets, len(residual), -1, p.numel()).sum((0, 2)))
            elif id(p) in linear:
                columns.append(p.new_zeros(len(residual), p.numel()))
            elif p.numel() == 1:
                columns.append(_column(residual, p))
            else:
                raise UnsupportedNetwork("only weights and biases of linear layers have a row Jacobian")
        jacobians[name] = torch.cat(columns, dim=1)
    return {name: residual.detach() for name, residual in residuals.items()}, jacobians


def _column(residual: Tensor, number: Tensor) -> Tensor:
    """The derivative (N, 1) of the residuals by a single number: a vector-Jacobian product, differentiated by the vector."""
    vector = torch.ones_like(residual, requires_grad=True)
    (product,) = torch.autograd.grad(
        residual, number, vector, create_graph=True, retain_graph=True, materialize_grads=True
    )
    if not product.requires_grad:
        return torch.zeros_like(residual).unsqueeze(1)
    (column,) = torch.autograd.grad(product.sum(), vector, retain_graph=True, materialize_grads=True)
    return column.unsqueeze(1)


def _add_call(rows: dict[int, Tensor], call: _Call, slopes: Mapping[int, Tensor | None], samples: int) -> None:
    for order, (x, output) in enumerate(zip(call.inputs, call.outputs, strict=True)):
        slope = None if output is None else slopes.get(id(output))
        if x is None or slope is None:
            continue
        if slope.ndim == 2:  # a plain tensor, which carries the value alone
            x, slope = x.unsqueeze(0), slope.unsqueeze(0)
        if slope.ndim != 3 or slope.shape[1] != samples:
            raise UnsupportedNetwork(f"a linear layer sees shape {tuple(slope.shape)}, expected (rows, {samples}, features)")
        weight = torch.einsum("rno,rni->noi", slope, x.detach().expand(-1, samples, -1))
        _add(rows, call.weight, weight)
        if order == 0 and call.bias is not None:
            _add(rows, call.bias, slope[0])


def _add(rows: dict[int, Tensor], parameter: Tensor, value: Tensor) -> None:
    rows[id(parameter)] = rows[id(parameter)] + value if id(parameter) in rows else value
