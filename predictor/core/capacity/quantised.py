"""Shortens numbers before they are remembered, so that an audit record stays small.

`usage_samples.py` calls it for samples and lines: what is measured to a percent needs no seventeen
digits. It must never make a number that reads back as another one.
"""

from __future__ import annotations

import numpy as np

from models.series import FloatArray


def quantised(values: FloatArray, digits: int) -> FloatArray:
    """The values to so many significant digits; NaN and 0 stay."""
    with np.errstate(all="ignore"):
        places = digits - 1 - np.floor(np.log10(np.abs(values)))
        usable = np.isfinite(places) & (np.abs(places) <= 15)
        # Powers of ten are exact on this side of 1e22 only, so that each is multiplied or divided.
        up = 10.0 ** np.where(usable, np.maximum(places, 0), 0)
        down = 10.0 ** np.where(usable, np.maximum(-places, 0), 0)
        short: FloatArray = np.round(values / down * up) / up * down
    return np.where(usable, short, values)
