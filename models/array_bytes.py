"""Named arrays as an npz file and back: numbers only, and exactly as many as the header says.

`models/store.py` packs a model's arrays with it, `models/tree_bytes.py` checks the arrays of trees.
This must never unpickle, and never make room for an array before its bytes are known to be there.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.zip_bytes import BytesRefused, entries_of, zip_of

ARRAYS_MAX = 1000
HEADER_BYTES_MAX = 10_000
KINDS = "biuf"
"""Booleans, integers and floats; text stands in the manifest."""
_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")


def packed_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The arrays as npz, which `numpy.load` reads too; equal arrays give equal bytes everywhere.

    Raises `ValueError` for a name or type that `arrays_from` would refuse.
    """
    for name, array in arrays.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for an array")
        if array.dtype.kind not in KINDS:
            raise ValueError(f"{name} holds {array.dtype}, expected numbers")
    if len(arrays) > ARRAYS_MAX:
        raise ValueError(f"{len(arrays)} arrays, at most {ARRAYS_MAX}")
    return zip_of({f"{name}.npy": _npy(array) for name, array in arrays.items()})


def arrays_from(body: bytes) -> dict[str, NDArray[Any]]:
    """All arrays by name; raises `BytesRefused` for anything `packed_arrays` does not write."""
    entries = entries_of(body)
    if len(entries) > ARRAYS_MAX:
        raise BytesRefused(f"holds {len(entries)} arrays, at most {ARRAYS_MAX}")
    arrays = {}
    for entry, npy in entries.items():
        name = entry.removesuffix(".npy")
        array = arrays[name] = array_from(entry, npy)
        if array.dtype.kind not in KINDS:
            raise BytesRefused(f"{name} holds {array.dtype}, expected numbers")
    return arrays


def array_from(name: str, npy: bytes) -> NDArray[Any]:
    """One npy file as an array of its own; raises `BytesRefused`."""
    stream = io.BytesIO(npy)
    try:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise BytesRefused(f"{name} has npy version {version}, expected (1, 0)")
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(
            stream, max_header_size=HEADER_BYTES_MAX
        )
    except (ValueError, SyntaxError, TypeError, EOFError, RecursionError, MemoryError) as error:
        raise BytesRefused(f"{name} cannot be read as an array: {error}") from None
    if dtype.hasobject or not dtype.itemsize:
        raise BytesRefused(f"{name} holds {dtype}, which is not numbers")
    wanted, found = math.prod(shape) * dtype.itemsize, len(npy) - stream.tell()
    if wanted != found or min(shape, default=0) < 0:
        raise BytesRefused(f"{name} has {found} bytes of numbers, its shape {shape} {wanted}")
    order: Literal["C", "F"] = "F" if is_fortran else "C"
    return np.ndarray(shape, dtype, buffer=npy, offset=stream.tell(), order=order).copy(order)


def _npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    little = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    np.lib.format.write_array(stream, little, version=(1, 0), allow_pickle=False)
    return stream.getvalue()
