"""Finds where the lines of joined JSON objects end, if each line is one object.

`streams/record_block.py` and `streams/batch_block.py` ask before they decode many lines in one
call: the decoder takes any white space between two objects, so that it would also accept lines that
hold two of them or half of one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BREAK, _OPEN, _CLOSE = (ord(sign) for sign in "\n{}")


def line_breaks(joined: bytes) -> NDArray[np.int64] | None:
    """Places of the line breaks; None unless every line begins with a brace and ends with one.

    An object cannot go on in a line that begins with a brace where the one before ended with one,
    since JSON wants something between the two. So every line holds at least one object, and where
    as many objects as lines were decoded, every line is one.
    """
    signs = np.frombuffer(joined, np.uint8)
    if not len(signs) or signs[0] != _OPEN or signs[-1] != _CLOSE:
        return None
    breaks = np.flatnonzero(signs == _BREAK)
    if not ((signs[breaks - 1] == _CLOSE) & (signs[breaks + 1] == _OPEN)).all():
        return None
    return breaks
