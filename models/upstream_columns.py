"""What the callers of modules foretell at an origin: candidate points for the mix, and columns
beside all else that trees are asked with.

`models/ensemble.py`, `models/ensemble_fit.py` and `models/rolling_origins.py` call it, once for the
rows of each window. Points and columns are there for every row, so that there are always as many;
they are NaN where a row has no caller that leads it. It must never read a step at or after an
origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.series import FloatArray, SeriesKey
from models.sight import POINTS, Sight, Window
from models.step_windows import IntArray
from models.upstream import LAG_STEPS_MAX, SMOOTH_STEPS, UpstreamLink, trailing_log_means

FORETOLD = ("growth-of-caller", "share-of-caller")
"""The peak of the window that the caller's growth foretells, from means of three steps; the same by
the share of the caller's demand that came of late, from single steps."""
COLUMNS = ("foretold_growth", "caller_growth", "link_skill")
"""The callee's growth from now (a log ratio); the caller's newest growth over its own half hour;
the link's skill."""
CANDIDATES = (*POINTS, *FORETOLD)
"""The candidate points of a sight with what is foretold, in their order."""
TOLD = len(FORETOLD) + len(COLUMNS)
LEVEL_STEPS = 30
GROWTH_MAX = 3.0
"""Twentyfold: what grows more begins from nothing, and how far it goes is anybody's guess."""
CELLS_AT_ONCE = 2_000_000
LOOK_BACK_STEPS = LAG_STEPS_MAX + LEVEL_STEPS


@dataclass(frozen=True, slots=True)
class Leads:
    """Who leads each row; arrays (n,), see `UpstreamLink`. `caller` is a row, -1 for none."""

    caller: IntArray
    lag_steps: IntArray
    gain: FloatArray
    skill: FloatArray
    floor: FloatArray

    def rows(self, asked: IntArray) -> Leads:
        """Those of other rows, each of which is `asked` (m,) here, -1 for one that is not known.

        Callers are numbered anew; one that is not asked leads nobody.
        """
        here = np.full(len(self.caller) + 1, -1, dtype=np.int64)
        here[asked[asked >= 0]] = np.flatnonzero(asked >= 0)
        padded = (
            np.append(getattr(self, name), np.zeros(1, np.int64)) for name in self.__slots__[1:]
        )
        caller = here[np.append(self.caller, -1)[asked]]
        return Leads(caller, *(array[asked] for array in padded))


def no_leads(rows: int) -> Leads:
    """Nobody leads any of the rows."""
    return leads_of((), rows)


def leads_of(links: Sequence[UpstreamLink], rows: int) -> Leads:
    """The links by row, at most one for each."""
    found = Leads(
        np.full(rows, -1, dtype=np.int64),
        np.ones(rows, dtype=np.int64),
        *(np.zeros(rows) for _ in range(3)),
    )
    for link in links:
        for name in Leads.__slots__:
            getattr(found, name)[link.callee] = getattr(link, name)
    return found


def told_by(leads: Leads | None, keys: Sequence[SeriesKey], step_s: int) -> tuple[str, ...]:
    """Who leads each row, as the end of its forecast's sentence; empty where nobody does."""
    if leads is None:
        return ("",) * len(keys)
    return tuple(
        f"; {keys[caller].module} leads it by {lag * step_s} s with {skill:.0%} less error than "
        "the last value"
        if caller >= 0
        else ""
        for caller, lag, skill in zip(leads.caller, leads.lag_steps, leads.skill, strict=True)
    )


def upstream_columns(
    values: FloatArray, leads: Leads, places: IntArray, origins: IntArray, window: Window
) -> FloatArray:
    """`FORETOLD` in units and `COLUMNS`, shape (places, origins, TOLD), of the rows at `places`;
    `values` and `leads` are of all rows, since a caller may be asked for another window."""
    told = np.full((len(places), len(origins), TOLD), np.nan)
    led = np.flatnonzero(leads.caller[places] >= 0)
    at_once = max(CELLS_AT_ONCE // (len(origins) + LOOK_BACK_STEPS), 1)
    for begin in range(0, len(led) if len(origins) else 0, at_once):
        some = led[begin : begin + at_once]
        told[some] = _columns(values, leads, places[some], origins, window)
    return told


def with_upstream(sight: Sight, told: FloatArray | None) -> Sight:
    """A sight whose points end with `FORETOLD` and whose features with `COLUMNS`; None says that no
    row has a caller that leads it."""
    if told is None:
        told = np.full((*sight.level.shape, TOLD), np.nan)
    points, columns = np.split(told, [len(FORETOLD)], axis=2)
    return sight._replace(
        points=np.concatenate([sight.points, points], axis=2),
        features=np.concatenate([sight.features, columns.astype(np.float32)], axis=2),
    )


def _columns(
    values: FloatArray, leads: Leads, rows: IntArray, origins: IntArray, window: Window
) -> FloatArray:
    """The same of rows that all have a caller."""
    lag, gain = leads.lag_steps[rows], leads.gain[rows][:, None]
    first = max(int(origins.min(initial=0)) - LOOK_BACK_STEPS, 0)
    known = slice(first, int(origins.max(initial=0)))
    led, leading = (
        np.asarray(values[some, known], dtype=np.float64) for some in (rows, leads.caller[rows])
    )
    floor = leads.floor[rows]
    single, caller, usual = trailing_log_means(leading, floor, 1, SMOOTH_STEPS, LEVEL_STEPS)
    nothing = np.full(len(rows), 1e-9)
    own, of_late = trailing_log_means(led, nothing, SMOOTH_STEPS, LEVEL_STEPS)
    at = np.broadcast_to(origins - first, (len(rows), len(origins)))
    began = _at(caller, at - lag[:, None])
    growth = gain * _bounded(_highest(caller, at, lag, window) - began)
    above = _bounded(_highest(single, at, lag, window) - _at(usual, at - lag[:, None]))
    by_share = np.exp(_at(of_late, at) + gain * above)
    foretold = np.exp(_at(own, at) + growth)
    since = _bounded(_at(caller, at) - _at(usual, at))
    skill = np.where(np.isfinite(growth), leads.skill[rows][:, None], np.nan)
    return np.stack([foretold, by_share, growth, since, skill], axis=2)


def _highest(caller: FloatArray, at: IntArray, lag: IntArray, window: Window) -> FloatArray:
    """The caller's highest value among those that reach the callee within the window.

    What reaches it `ahead` steps from now left the caller `lag - ahead` steps ago; beyond the lag
    nothing is known and the newest value stands for it.
    """
    low, high = np.minimum(window.first + 1, lag), np.minimum(window.stop, lag)
    highest = np.full(at.shape, -np.inf)
    for ahead in range(int(low.min()), int(high.max()) + 1):
        some = np.flatnonzero((low <= ahead) & (ahead <= high))
        found = _at(caller[some], at[some] - (lag[some] - ahead)[:, None])
        highest[some] = np.fmax(highest[some], found)
    return np.where(np.isfinite(highest), highest, np.nan)


def _at(rows: FloatArray, places: IntArray) -> FloatArray:
    """Each row's entries at its places (n, o), NaN before the first."""
    found = np.take_along_axis(rows, np.maximum(places, 0), axis=1)
    return np.where(places >= 0, found, np.nan)


def _bounded(growth: FloatArray) -> FloatArray:
    return np.clip(growth, -GROWTH_MAX, GROWTH_MAX)
