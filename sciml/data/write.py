"""Writing trajectories, batch by batch."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sciml.data.formats.trajectories import FORMAT, VERSION
from sciml.data.layout import Header, expect_shape
from sciml.errors import InputError

_CHUNK = 2**16  # bytes


@dataclass(frozen=True)
class Batch:
    """Trajectories to write: fields (n, times, channels, *grid), inputs (n, input channels, *grid), numbers (n,) by name."""

    fields: Tensor
    inputs: Tensor | None = None
    parameters: Mapping[str, Tensor] = field(default_factory=dict)


def write_trajectories(path: str | Path, header: Header, batches: Iterable[Batch]) -> None:
    """Write one batch after the other; the file appears under its name only when it is complete.

    Raises:
        InputError: the folder does not exist, shapes do not fit the header, or a number is not finite.
    """
    import h5py

    path = Path(path)
    header.check(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with h5py.File(partial, "w") as file:
            _write_header(file, header)
            for batch in batches:
                _append(file, header, batch, path)
            if not len(file["fields"]):
                raise InputError(f"{path}: there are no trajectories to write")
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _write_header(file: Any, header: Header) -> None:
    import h5py

    text = h5py.string_dtype()
    file.attrs["format"], file.attrs["version"], file.attrs["problem"] = FORMAT, VERSION, header.problem
    file.attrs["settings"], file.attrs["provenance"] = json.dumps(header.settings), json.dumps(header.provenance)
    file.attrs["periodic"] = list(header.periodic)
    file["times"] = header.times
    for name, axis in header.grid.items():
        file[f"grid/{name}"] = axis
    shape = (len(header.times), len(header.channels), *header.points)
    fields = file.create_dataset("fields", (0, *shape), "f4", maxshape=(None, *shape), chunks=_chunks(shape))
    fields.attrs.create("channels", header.channels, dtype=text)
    fields.attrs.create("groups", header.groups, dtype=text)
    fields.attrs.create("axes", list(header.grid), dtype=text)
    if header.input_channels:
        shape = (len(header.input_channels), *header.points)
        inputs = file.create_dataset("inputs", (0, *shape), "f4", maxshape=(None, *shape), chunks=(1, *shape))
        inputs.attrs.create("channels", header.input_channels, dtype=text)


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """One sample and one time, or more times where their fields are small."""
    return (1, min(shape[0], max(1, _CHUNK // (4 * math.prod(shape[1:])))), *shape[1:])


def _append(file: Any, header: Header, batch: Batch, path: Path) -> None:
    count, before = len(batch.fields), len(file["fields"])
    values: dict[str, tuple[Tensor, tuple[int, ...]]] = {
        "fields": (batch.fields, (count, len(header.times), len(header.channels), *header.points))
    }
    if header.input_channels:
        if batch.inputs is None:
            raise InputError(f"{path}: a batch has no inputs, expected {', '.join(header.input_channels)}")
        values["inputs"] = batch.inputs, (count, len(header.input_channels), *header.points)
    for name, numbers in batch.parameters.items():
        key = f"parameters/{name}"
        values[key] = numbers, (count,)
        if key not in file:
            if before:
                raise InputError(f"{path}: {key!r} is missing from an earlier batch")
            file.create_dataset(key, (0,), "f8", maxshape=(None,))
    for name, (tensor, expected) in values.items():
        expect_shape(name, tensor.shape, expected, path)
        if not torch.isfinite(tensor).all():
            raise InputError(f"{path}: {name!r} of a batch from sample {before} on holds numbers that are not finite")
        file[name].resize(before + count, axis=0)
        file[name][before:] = tensor.detach().cpu().numpy()
    for name, stored in file.get("parameters", {}).items():
        expect_shape(f"parameters/{name}", stored.shape, (before + count,), path)
