"""Meshes as PLY files that keep what single precision would spoil."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

FINEST = 1e-4  # of the median edge: the coarsest spacing of single-precision coordinates that does a surface no harm


def write_ply(path: str | Path, mesh: Any) -> None:
    """Write a ``trimesh.Trimesh`` as binary PLY, its vertices in double precision where single would move or merge them.

    ``mesh.export`` always writes PLY, STL and GLB in single precision, OBJ with eight decimals.
    """
    vertices = np.asarray(mesh.vertices, dtype="<f8")
    spacing = np.spacing(np.abs(vertices).max().astype(np.float32))
    if spacing <= FINEST * np.median(mesh.edges_unique_length):
        mesh.export(path, file_type="ply")
        return
    faces = np.zeros(len(mesh.faces), [("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, mesh.faces
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}"]
    lines += [f"property double {axis}" for axis in "xyz"]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", ""]
    Path(path).write_bytes("\n".join(lines).encode() + vertices.tobytes() + faces.tobytes())
