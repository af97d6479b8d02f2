"""How forecasts are scored: weighted quantile loss, coverage, and the bar that peers set.

`cells.py` and `mixes.py` use it. It must treat ours and peers alike and knows no names but those of
the seasonal naive forecasts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from scripts.forecast_peers.request import LEVELS, FloatArray, IntArray

COVERED = (0.9, 0.95, 0.99)
PARTS = 4
PART_ORIGINS_MIN = 90
"""A peer scored at fewer origins sets no bar: which is best there is chance."""


class Scored(NamedTuple):
    """A peer's quantiles of one window, shape (rows, levels), at the origins `rows`."""

    rows: IntArray
    quantiles: FloatArray


class Bar(NamedTuple):
    """The loss to beat, as a ratio to the seasonal naive's, and whose it is."""

    ratio: float
    peer: str


def losses(outcome: FloatArray, quantiles: FloatArray) -> FloatArray:
    """The pinball losses summed over the levels, shape (origins,)."""
    over = outcome[:, None] - quantiles
    levels = np.array(LEVELS)
    return np.asarray(np.maximum(levels * over, (levels - 1) * over).sum(axis=1))


def weighted_loss(outcome: FloatArray, quantiles: FloatArray) -> float:
    """2 * sum(pinball) / (levels * sum(|y|)), weighted quantile loss."""
    loss = 2 * float(losses(outcome, quantiles).sum()) / len(LEVELS)
    return loss / max(float(np.abs(outcome).sum()), 1e-9)


def coverage(outcome: FloatArray, quantiles: FloatArray) -> dict[str, float]:
    """The share of outcomes at or below each quantile of `COVERED`."""
    return {
        str(level): float((outcome <= quantiles[:, LEVELS.index(level)]).mean())
        for level in COVERED
    }


def coverage_by_quarter(outcome: FloatArray, quantiles: FloatArray) -> dict[str, list[float]]:
    """The same for each quarter of the origins in time: a mean may hide that two are off."""
    parts = [part for part in np.array_split(np.arange(len(outcome)), PARTS) if len(part)]
    found = [coverage(outcome[part], quantiles[part]) for part in parts]
    return {str(level): [one[str(level)] for one in found] for level in COVERED}


def bar(outcome: FloatArray, peers: Mapping[str, Scored], base: float) -> Bar:
    """The best single peer in hindsight.

    One that was asked at a part of the origins counts by how it does there against the best of
    those that were asked at all of them.
    """
    everywhere = {
        name: weighted_loss(outcome, one.quantiles) / base
        for name, one in peers.items()
        if len(one.rows) == len(outcome)
    }
    dense = min(everywhere, key=everywhere.__getitem__)
    bars = [Bar(everywhere[dense], dense)]
    for name, one in peers.items():
        if PART_ORIGINS_MIN <= len(one.rows) < len(outcome):
            there = weighted_loss(outcome[one.rows], peers[dense].quantiles[one.rows])
            loss = weighted_loss(outcome[one.rows], one.quantiles)
            bars.append(Bar(everywhere[dense] * loss / max(there, 1e-12), name))
    return min(bars)
