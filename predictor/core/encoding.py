"""JSON for values that hold numpy arrays: equal values give equal bytes, and reading gives them
back.

`predictor/core/audit.py` and tests call it. An array becomes nested lists, NaN becomes null and
comes back as NaN; infinity is not allowed in, because it would come back as NaN. This must never
drop a digit: a float is written in the shortest form that reads back as itself.
"""

from __future__ import annotations

from typing import Any, TypeVar, get_origin

import msgspec
import numpy as np

T = TypeVar("T")


def encode_json(value: object) -> bytes:
    """The value's JSON in one line; raises `NotImplementedError` on a type it does not know."""
    return _ENCODER.encode(value)


def decode_json(body: bytes, kind: type[T]) -> T:
    """Read a value of this type back; raises `msgspec.MsgspecError` on anything else."""
    return msgspec.json.decode(body, type=kind, dec_hook=_from_plain)


def _to_plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"{type(value).__name__} has no JSON form here")


def _from_plain(kind: type[Any], plain: object) -> object:
    if (get_origin(kind) or kind) is not np.ndarray:
        raise NotImplementedError(f"{kind} has no JSON form here")
    return np.array(plain, dtype=np.float64)


_ENCODER = msgspec.json.Encoder(enc_hook=_to_plain, order="deterministic")
