"""The controller's 32-bit numbers: what becomes of a value that does not fit.

The arithmetic of replicas and utilisation goes through these wherever a wild metric or policy could
leave 32 bits. They must give what the controller built for amd64 gives.
"""

from __future__ import annotations

import math

INT32_MAX = 2**31 - 1
INT32_MIN = -(2**31)


def ceil_int32(value: float) -> int:
    """Go's `int32(math.Ceil(value))`; what does not fit becomes the smallest number (amd64)."""
    # Written so that a NaN fails the comparison, too.
    if -2147483649.0 < value <= 2147483647.0:
        return math.ceil(value)
    return INT32_MIN


def truncated_int32(value: float) -> int:
    """Go's `int32(value)` of a float."""
    if -2147483649.0 < value < 2147483648.0:
        return int(value)
    return INT32_MIN


def wrapped_int32(value: int) -> int:
    """Go's `int32(value)` of a larger whole number, or the result of 32-bit arithmetic."""
    if INT32_MIN <= value <= INT32_MAX:
        return value
    return (value - INT32_MIN) % 2**32 + INT32_MIN


def quotient(dividend: int, divisor: int) -> int:
    """Go's division of whole numbers, which cuts towards zero; the divisor is above 0."""
    return dividend // divisor if dividend >= 0 else -(-dividend // divisor)
