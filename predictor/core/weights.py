"""Arithmetic of integer weights that sum to 100; no opinion on what they should be.

`predictor/core/allocation.py` calls it. Every function gives integers that sum exactly and gives
the same answer for the same numbers, whatever the number of regions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray

IntArray = NDArray[np.int64]
TOTAL = 100


def rounded(shares: FloatArray, total: int) -> IntArray:
    """Whole numbers nearest to the shares that sum to `total` (largest remainder, Hamilton 1792).

    `shares` must sum to `total` up to float dust; a tie goes to the earlier region.
    """
    whole = np.floor(shares + 1e-9).astype(np.int64)
    missing = total - int(whole.sum())
    if missing:
        order = np.argsort(-(shares - whole), kind="stable")
        whole[order[:missing]] += 1
    return whole


def percent(weights: IntArray) -> IntArray:
    """The same split in points of 100; weights of a route are relative. All zero is not a split."""
    assert weights.sum() > 0
    return rounded(weights / weights.sum() * TOTAL, TOTAL)


def spread(home: IntArray, lowest: FloatArray, highest: FloatArray) -> FloatArray:
    """The shares nearest to home that keep to the bounds, summing to 100.

    What a full region cannot take goes to the others in proportion to their home weights (water
    filling). When the bounds cannot sum to 100 the rest is spread in proportion to `highest`, so
    that every region is overloaded alike.
    """
    highest = np.maximum(highest, lowest)
    if highest.sum() <= TOTAL:
        missing = TOTAL - highest.sum()
        by = highest if highest.sum() > 0 else home.astype(np.float64)
        filled: FloatArray = highest + missing * by / by.sum()
        return filled
    # The scale at which clipped home weights sum to 100; monotone, so halving finds it. A region
    # whose home is 0 takes a share only through this small weight.
    base = np.maximum(home.astype(np.float64), 0.01)
    low, high = 0.0, float(TOTAL / base.min())
    for _ in range(60):
        middle = (low + high) / 2
        if np.clip(base * middle, lowest, highest).sum() < TOTAL:
            low = middle
        else:
            high = middle
    shares = np.clip(base * high, lowest, highest)
    return _settled(shares, lowest, highest)


def stepped(now: IntArray, wanted: IntArray, step_max: int) -> IntArray:
    """From `now` towards `wanted`, no region by more than `step_max` points."""
    change = wanted - now
    largest = int(np.abs(change).max(initial=0))
    if largest <= step_max:
        return wanted
    gains = np.maximum(change, 0)
    losses = np.maximum(-change, 0)
    scale = step_max / largest
    points = int(np.floor(gains.sum() * scale + 1e-9))
    return now + limited(gains, gains * scale, points) - limited(losses, losses * scale, points)


def limited(most: IntArray, shares: FloatArray, total: int) -> IntArray:
    """`total` points in proportion to `shares`, no entry above `most`; 0 <= total <= most.sum()."""
    if total <= 0 or shares.sum() <= 0:
        return np.zeros_like(most)
    points = np.minimum(rounded(shares / shares.sum() * total, total), most)
    for row in np.argsort(-(most - points), kind="stable"):
        missing = total - int(points.sum())
        points[row] += min(missing, int(most[row] - points[row]))
    return points


def _settled(shares: FloatArray, lowest: FloatArray, highest: FloatArray) -> FloatArray:
    """Take away the dust of the halving where there is room for it."""
    dust = TOTAL - shares.sum()
    room = highest - shares if dust > 0 else shares - lowest
    widest = int(np.argmax(room))
    shares[widest] += dust
    return shares
