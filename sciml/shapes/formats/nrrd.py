"""NRRD images, raw or compressed by gzip, with their data attached or in a file beside the header.

Source: the NRRD file format, https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import math
import re
import zlib
from pathlib import Path

import numpy as np

from sciml.errors import InputError

TYPES = {
    name: code
    for code, names in {
        "i1": "signed char, int8, int8_t",
        "u1": "uchar, unsigned char, uint8, uint8_t",
        "i2": "short, short int, signed short, signed short int, int16, int16_t",
        "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
        "i4": "int, signed int, int32, int32_t",
        "u4": "uint, unsigned int, uint32, uint32_t",
        "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
        "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
        "f4": "float",
        "f8": "double",
    }.items()
    for name in names.split(", ")
}


def read_nrrd(path: Path) -> tuple[np.ndarray, np.ndarray, str | None]:
    """The array, its affine map (3, 4) from array to world coordinates, and the units of these.

    Raises:
        InputError: the file is damaged, or has another layout than the ones named above.
    """
    head, *rest = re.split(rb"\r?\n\r?\n", _content(path), maxsplit=1)
    fields = dict(re.findall(r"^([^#:\n]+): *(.*?)\s*$", head.decode("ascii", "replace"), re.MULTILINE))
    beside = fields.get("data file", fields.get("datafile"))
    if not head.startswith(b"NRRD") or not (rest or beside):
        raise InputError(f"{path} is no NRRD file with its data attached or in a file that it names")
    if beside and re.match(r"LIST\b|.*%.*\s", beside):
        raise InputError(f"{path} keeps its data in several files ({beside}); save it with the data attached (.nrrd)")
    if beside and (Path(beside).is_absolute() or ".." in Path(beside).parts):
        raise InputError(f"{path} names a data file elsewhere ({beside}); put it beside the header and name it alone")
    data = _content(path.parent / beside) if beside else rest[0]
    try:
        sizes = [int(size) for size in fields["sizes"].split()]
        if min(sizes) < 1:
            raise InputError(f"{path}: its sizes must be at least 1, got {fields['sizes']}")
        if fields["type"] not in TYPES:
            raise InputError(f"{path}: type {fields['type']!r} is not read; save it with whole numbers")
        kind = np.dtype(TYPES[fields["type"]]).newbyteorder("<" if fields.get("endian", "little") == "little" else ">")
        expected = kind.itemsize * math.prod(sizes)
        lines, skipped = (int(fields.get(f"{what} skip", 0)) for what in ("line", "byte"))
        data = data.split(b"\n", lines)[lines]
        if fields["encoding"] in ("gzip", "gz"):
            data = zlib.decompress(data, 16 + zlib.MAX_WBITS)
        elif fields["encoding"] != "raw":
            raise InputError(f"{path}: encoding {fields['encoding']!r} is not read; save it as raw or gzip")
        data = data[skipped if skipped >= 0 else -expected :]
        affine = _affine(fields, len(sizes))
    except InputError:
        raise
    except KeyError as error:
        raise InputError(f"{path}: its NRRD header is damaged: it has no {error}") from error
    except (ValueError, IndexError, zlib.error) as error:
        raise InputError(f"{path}: its NRRD header or data is damaged: {error}") from error
    if len(data) != expected:
        raise InputError(f"{path} holds {len(data)} bytes of data, not the {expected} declared")
    units = re.findall(r'"([^"]+)"', fields.get("space units", ""))
    return np.frombuffer(data, kind).reshape(sizes, order="F"), affine, units[0] if units else None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _affine(fields: dict[str, str], axes: int) -> np.ndarray:
    def vectors(text: str) -> np.ndarray:
        found = re.findall(r"\(([^)]*)\)", text)
        if not found:
            raise ValueError(f"{text!r} holds no vector such as (0,0,1)")
        return np.array([[float(x) for x in vector.split(",")] for vector in found])

    if "space directions" in fields:
        matrix = vectors(fields["space directions"]).T
    else:
        matrix = np.diag([float(spacing) for spacing in fields.get("spacings", "1 " * axes).split()])
    origin = vectors(fields.get("space origin", "(" + ",".join("0" * len(matrix)) + ")"))
    if origin.shape != (1, len(matrix)):
        raise ValueError(f"space origin must be one vector of {len(matrix)} numbers, got {fields['space origin']!r}")
    return np.column_stack([matrix, origin[0]])
