"""Which layout a file has."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from sciml.data.formats import matlab, pdebench, pdegym, tensors, trajectories, well
from sciml.data.layout import Layout
from sciml.errors import InputError

_HDF5 = (trajectories.read, well.read, pdebench.read, pdegym.read, matlab.read)


def open_layout(path: Path) -> Layout:
    """Open a file of trajectories in any layout that is known.

    Raises:
        InputError: it cannot be read, its layout is not known, or a part is missing or does not fit.
    """
    file, readers = _open(path)
    try:
        for read in readers:
            layout = read(file, path)
            if layout is not None:
                return layout
        found = ", ".join(sorted(file)) or "nothing"
        raise InputError(
            f"{path}: the layout is not known, found {found}; known are those of sciml, PDEBench, The Well, PDEgym and of the "
            "first neural operators (.pt, .mat)"
        )
    except InputError:
        if hasattr(file, "close"):
            file.close()
        raise


def _open(path: Path) -> tuple[Any, Any]:
    """The file as a mapping of arrays by name, and who may know its layout. Nothing that a file holds is executed."""
    kind = path.suffix.lower()
    if kind in (".pt", ".pth"):
        return _open_tensors(path), (tensors.read,)
    import h5py

    if kind == ".mat" and not h5py.is_hdf5(path):
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError

        try:
            return {name: value for name, value in loadmat(path).items() if not name.startswith("__")}, (matlab.read,)
        except (MatReadError, OSError, ValueError, TypeError, NotImplementedError) as error:
            raise InputError(f"{path} cannot be read as a MATLAB file: {error}") from error
    try:
        return h5py.File(path, "r"), _HDF5
    except OSError as error:
        raise InputError(f"{path} cannot be read as HDF5: {error}") from error


def _open_tensors(path: Path) -> Any:
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"{path} cannot be read as a dictionary of tensors, and nothing else is read: {reason}") from error
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise InputError(f"{path} holds {type(found).__name__}, expected a dictionary of tensors by name")
    return {str(name): value.numpy() for name, value in found.items()}
