"""Which layout a file has."""

from __future__ import annotations

from pathlib import Path

from sciml.data.layout import Layout, TrajectoryFile
from sciml.errors import InputError

LAYOUTS = (TrajectoryFile,)


def open_layout(path: Path) -> Layout:
    """Open a file of trajectories; raises InputError when it cannot be read or its layout is not known."""
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path} cannot be read as HDF5: {error}") from error
    for layout in LAYOUTS:
        if layout.recognises(file):
            return layout(file, path)
    found = ", ".join(sorted(file))
    file.close()
    raise InputError(f"{path}: the layout is not known, found {found or 'nothing'}; sciml data writes one that is")
