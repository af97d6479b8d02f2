"""Kubernetes quantities ("500m", "1Gi", "2e3") as plain numbers.

`hpa_reader.py` reads metric targets and readings with it. Our own, because the client's parser
rounds and refuses differently from release to release. It must never guess: what is not a quantity
raises.

Source: Kubernetes API reference, "Quantity" (serialisation grammar).
"""

from __future__ import annotations

import functools
import math
import re
from decimal import Decimal

_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))"
    r"(?:[eE](?P<exponent>[+-]?[0-9]+)|(?P<suffix>[KMGTPE]i|[numkMGTPE]))?"
)
_POWERS_OF_TEN = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_POWERS_OF_1024 = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}

# The API server writes at most 63 bits and a suffix; anything longer is not a quantity of its.
_LENGTH_MAX = 64


@functools.lru_cache(maxsize=4096)  # the same few targets are read again and again
def parse_quantity(text: str | int | float) -> float:
    """The quantity in its base unit: "500m" gives 0.5, "1Gi" gives 1073741824.0.

    Raises `ValueError`, naming the text, on anything that is not a finite quantity.
    """
    written = str(text)
    match = _QUANTITY.fullmatch(written) if len(written) <= _LENGTH_MAX else None
    if match is None:
        raise ValueError(f"{written[:_LENGTH_MAX]!r} is not a Kubernetes quantity")
    number = Decimal(match["number"])
    suffix = match["suffix"]
    if suffix in _POWERS_OF_1024:
        return float(number * 1024 ** _POWERS_OF_1024[suffix])
    power = int(match["exponent"] or 0) if suffix is None else _POWERS_OF_TEN[suffix]
    value = float(f"{number}e{power}")
    if not math.isfinite(value):
        raise ValueError(f"{written!r} is too large for a number")
    return value
