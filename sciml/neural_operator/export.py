"""A trained operator for programs that know nothing of sciml."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from sciml import io
from sciml.errors import InputError
from sciml.neural_operator.real_arithmetic import RealModule
from sciml.solvers.operator import GridOperator

SUFFIXES = (".pt2", ".onnx")


def export(operator: GridOperator, path: str | Path, grid: Sequence[int]) -> None:
    """Write the operator with its normalisation for fields on a ``grid`` of so many points, any number of samples.

    ``.pt2`` is PyTorch's (``torch.export.load(path).module()``), ``.onnx`` that of ONNX, in which Fourier transforms are
    products with matrices; both are called with ``x`` (B, in channels, *grid) and, unless the fields are steady, ``lead``
    (B,), in the units of the data.

    Raises:
        InputError: another suffix, a file that cannot be written, or a network with an operation that ONNX lacks.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InputError(f"an operator is exported as {' or '.join(SUFFIXES)}, not {path.name!r}")
    io.writable_folder(path.parent)
    device, dtype = io.place_of(operator)
    x = torch.zeros(2, len(operator.signature.in_channels), *grid, device=device, dtype=dtype)
    arguments = (x,) if operator.signature.steady else (x, x.new_full((2,), operator.signature.step))
    batch = torch.export.Dim("batch", min=1)
    shapes = tuple({0: batch} for _ in arguments)
    operator = operator.eval()
    if path.suffix == ".pt2":
        torch.export.save(torch.export.export(operator, arguments, dynamic_shapes=shapes), path)
    else:
        _onnx(operator, path, arguments, shapes)


def _onnx(operator: GridOperator, path: Path, arguments: tuple[Any, ...], shapes: tuple[Any, ...]) -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError("export to ONNX needs onnx and onnxscript: pip install 'sciml-solvers[onnx]'") from error
    names, real = ["x", "lead"][: len(arguments)], RealModule(operator).eval()
    try:
        torch.onnx.export(
            real, arguments, path, input_names=names, output_names=["fields"], dynamic_shapes=shapes, dynamo=True,
            external_data=False, verbose=False,
        )  # fmt: skip
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().partition(" = ")[0]
        raise InputError(f"this network cannot be written as ONNX ({reason}); export it as .pt2") from error
