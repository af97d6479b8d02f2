"""Kubernetes quantities as the controller computes with them: whole thousandths of the unit.

`spec.py` reads targets and tolerances with it. It must never pass through a float on the way to a
target: the controller divides whole numbers, and the last one of them decides.

Source: Kubernetes API reference, "Quantity"; `Quantity.MilliValue` and `AsApproximateFloat64` in
`k8s.io/apimachinery/pkg/api/resource/quantity.go`.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

INT64_MAX = 2**63 - 1
_LENGTH_MAX = 64
_WRITTEN = re.compile(
    r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:([kMGTPEmun]|[KMGTPE]i)|[eE]([+-]?\d{1,3}))?", re.ASCII
)
_FACTORS = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}


def milli(written: object) -> int:
    """Thousandths of the unit, rounded up and capped at 63 bits: "500m" gives 500, "20" 20000.

    Raises `ValueError` on what is no quantity.
    """
    return min(math.ceil(_exact(written) * 1000), INT64_MAX)


def approximate_float(written: object) -> float:
    """The float that the controller sees: the API server stores the coarsest whole suffix.

    "0.3" is stored as "300m" and becomes 300 x 0.001. Raises `ValueError` on what is no quantity.
    """
    exact = _exact(written)
    for power in (0, -3, -6):
        scaled = exact * 10**-power
        if scaled.denominator == 1:
            return float(scaled) * 10.0**power
    return float(math.ceil(exact * 10**9)) * 1e-9


def _exact(written: object) -> Fraction:
    # A boolean would read as a number nowhere, and neither does anything but text or a number.
    text = str(written)
    match = _WRITTEN.fullmatch(text) if len(text) <= _LENGTH_MAX else None
    if match is None:
        raise ValueError(f"{text[:_LENGTH_MAX]!r} is not a Kubernetes quantity")
    number, suffix, exponent = match.groups()
    # An exponent of three digits is above all a quantity can hold, so the number stays small.
    return Fraction(number) * _FACTORS.get(suffix, 1) * Fraction(10) ** int(exponent or 0)
