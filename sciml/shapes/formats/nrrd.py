"""NRRD images with their data attached, raw or compressed by gzip.

Source: the NRRD file format, https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import numpy as np

from sciml.errors import InputError

TYPES = {
    "int8": "i1", "signed char": "i1", "int8_t": "i1", "uint8": "u1", "uchar": "u1", "unsigned char": "u1",
    "uint8_t": "u1", "short": "i2", "int16": "i2", "int16_t": "i2", "ushort": "u2", "unsigned short": "u2",
    "uint16": "u2", "uint16_t": "u2", "int": "i4", "int32": "i4", "int32_t": "i4", "uint": "u4", "unsigned int": "u4",
    "uint32": "u4", "uint32_t": "u4", "int64": "i8", "uint64": "u8", "float": "f4", "double": "f8",
}  # fmt: skip


def read_nrrd(path: Path) -> tuple[np.ndarray, np.ndarray, str | None]:
    """The array, its affine map (3, 4) from array to world coordinates, and the units of these.

    Raises:
        InputError: the file is damaged, or has another layout than the ones named above.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    head, *rest = re.split(rb"\r?\n\r?\n", content, maxsplit=1)
    if not head.startswith(b"NRRD") or not rest:
        raise InputError(f"{path} is no NRRD file with its data attached")
    fields = dict(re.findall(r"^([^#:\n]+): *(.*?)\s*$", head.decode("ascii", "replace"), re.MULTILINE))
    if "data file" in fields or "datafile" in fields:
        raise InputError(f"{path} keeps its data in another file; save it with the data attached (.nrrd)")
    try:
        sizes = [int(size) for size in fields["sizes"].split()]
        kind = np.dtype(TYPES[fields["type"]]).newbyteorder("<" if fields.get("endian", "little") == "little" else ">")
        encoding, data = fields["encoding"], rest[0]
        if encoding in ("gzip", "gz"):
            data = zlib.decompress(data, 16 + zlib.MAX_WBITS)
        elif encoding != "raw":
            raise InputError(f"{path}: encoding {encoding!r} is not read; save it as raw or gzip")
        affine = _affine(fields, len(sizes))
    except (KeyError, ValueError, zlib.error) as error:
        raise InputError(f"{path}: its NRRD header or data is damaged: {error}") from error
    if len(data) != kind.itemsize * np.prod(sizes):
        raise InputError(f"{path} holds {len(data)} bytes of data, not the {kind.itemsize * np.prod(sizes)} declared")
    units = re.findall(r'"([^"]+)"', fields.get("space units", ""))
    return np.frombuffer(data, kind).reshape(sizes, order="F"), affine, units[0] if units else None


def _affine(fields: dict[str, str], axes: int) -> np.ndarray:
    def vectors(text: str) -> np.ndarray:
        return np.array([[float(x) for x in v.split(",")] for v in re.findall(r"\(([^)]*)\)", text)])

    if "space directions" in fields:
        matrix = vectors(fields["space directions"]).T
    else:
        matrix = np.diag([float(spacing) for spacing in fields.get("spacings", "1 " * axes).split()])
    origin = vectors(fields.get("space origin", "(" + ",".join("0" * axes) + ")"))[0]
    return np.column_stack([matrix, origin])
