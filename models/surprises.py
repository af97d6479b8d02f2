"""Raises a forecast over what no history announced: a flash crowd, and demand that broke off.

`models/ensemble.py` applies it to every forecast, `models/ensemble_fit.py` learns what it needs.
The forecast of a method that averages comes late to a crowd and shrinks in an outage; here it is
lifted at once, and says so. It must never lower a forecast, nor give one where there was none.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.flash_crowd import (
    BurstHabits,
    Crowds,
    find_crowds,
    learn_bursts,
    lifted,
    unannounced,
)
from models.forecast import QUANTILE_LEVELS, ForecastBatch, ForecastReason
from models.outage import Outages, find_outages, held_level, lifts, may_be_held
from models.profile import DAY_S, Profile
from models.series import FloatArray, SeriesBatch
from models.sight import Window
from models.step_windows import IntArray, StepWindows
from models.trust_code import TrustCode
from models.usual_low import COLLAPSE_SHARE

CROWD_LOOK_S = 5 * 3600
"""Three hours in which a crowd may have begun, the hour before it, and one to spare."""
OUTAGE_LOOK_S = 8 * DAY_S
"""A week tells what is usual at this hour."""
BROKEN_SHARE_MAX = 1 / 3
"""A series that is broken for a third of its time is one that comes and goes."""
NEWEST_S = 7200
"""A collapse that lasts shows itself within two hours, and one that ended before is held no more.
"""
ROWS_AT_ONCE = 1024
"""Bounds memory, and keeps what is looked at of so many rows near the processor."""


def no_habits(rows: int) -> BurstHabits:
    """Rows of which nothing is known; they are not lifted."""
    unknown = np.full(rows, np.nan)
    return BurstHabits(
        unknown,
        unknown.copy(),
        QUANTILE_LEVELS,
        np.full((rows, len(QUANTILE_LEVELS)), np.nan),
        np.zeros(rows, np.int64),
    )


def learnt_habits(
    history: SeriesBatch, profile: Profile, groups: list[tuple[Window, IntArray]]
) -> BurstHabits:
    """How bursts of each row went on, over the row's own window."""
    rows, steps = history.values.shape
    found = no_habits(rows)
    for window, places in groups:
        expected = profile.at(places, history.start_s, history.step_s, steps)
        part = learn_bursts(
            history.values[places],
            expected,
            history.step_s,
            (window.first, window.stop),
            QUANTILE_LEVELS,
        )
        for name in ("deviation", "rise", "ratios", "bursts"):
            getattr(found, name)[places] = getattr(part, name)
    return found


def without_outages(history: SeriesBatch, profile: Profile) -> SeriesBatch:
    """The history with collapses made unknown, so that nothing learns them."""
    rows, steps = history.values.shape
    expected = profile.at(np.arange(rows), history.start_s, history.step_s, steps)
    outages = find_outages(history, expected)
    calm = _without(outages, history.values)
    return history if calm is None else dataclasses.replace(history, values=calm)


def calmed(batch: SeriesBatch, profile: Profile) -> SeriesBatch:
    """The batch with a collapse of the newest days made unknown; rows as in the profile. Where
    nothing looks like one, the very same batch."""
    places = np.flatnonzero(_may_have_collapsed(batch, np.arange(len(batch.keys))))
    if not len(places):
        return batch
    newest, expected = _newest_expected(batch, places, OUTAGE_LOOK_S, profile, places)
    span = newest.values.shape[1]
    outages = find_outages(newest, expected)
    calm = _without(outages, newest.values)
    if calm is None:
        return batch
    values = batch.values.copy()
    values[places, batch.values.shape[1] - span :] = calm
    return dataclasses.replace(batch, values=values)


class Known(NamedTuple):
    """What a forecast is raised from: the newest demand, each row's window, and of the rows at
    `rows` (n,) of profile and habits (-1 for none) what was learnt."""

    batch: SeriesBatch
    windows: StepWindows
    profile: Profile
    habits: BurstHabits
    rows: IntArray


def raised(made: ForecastBatch, known: Known) -> ForecastBatch:
    """The forecast lifted over crowds and held through outages; rows without one stay so."""
    places = np.flatnonzero((known.rows >= 0) & made.usable)
    if not len(places) or not known.batch.values.shape[1]:
        return made
    return _through_outages(_over_crowds(made, known, places), known, places)


def _without(outages: Outages, demand: FloatArray) -> FloatArray | None:
    """The demand with collapses unknown; None where there are none to believe in."""
    measured = np.maximum(np.isfinite(demand).sum(axis=1), 1)
    believed = outages.mask.sum(axis=1) <= BROKEN_SHARE_MAX * measured
    if not (outages.mask & believed[:, None]).any():
        return None
    return np.where(believed[:, None], outages.without(demand), demand)


def _newest(batch: SeriesBatch, places: IntArray, span_s: int) -> SeriesBatch:
    steps = min(span_s // batch.step_s, batch.values.shape[1])
    keys = tuple(batch.keys[place] for place in places)
    values = batch.values[:, batch.values.shape[1] - steps :][places].astype(np.float64, copy=False)
    return SeriesBatch(keys, batch.end_s - steps * batch.step_s, batch.step_s, values)


def _newest_expected(
    batch: SeriesBatch, places: IntArray, span_s: int, profile: Profile, rows: IntArray
) -> tuple[SeriesBatch, FloatArray]:
    """The newest demand at some places, and the profile there; `rows` are theirs in the profile."""
    newest = _newest(batch, places, span_s)
    return newest, profile.at(rows, newest.start_s, newest.step_s, newest.values.shape[1])


def _crowds(known: Known, places: IntArray) -> Crowds:
    own = known.rows[places]
    newest, expected = _newest_expected(known.batch, places, CROWD_LOOK_S, known.profile, own)
    return find_crowds(newest.values, expected, newest.step_s, known.habits.rows(own))


def _over_crowds(made: ForecastBatch, known: Known, usable: IntArray) -> ForecastBatch:
    blocks = [usable[begin : begin + ROWS_AT_ONCE] for begin in range(0, len(usable), ROWS_AT_ONCE)]
    places = np.concatenate([some[_crowds(known, some).present] for some in blocks])
    crowds, of_rows = _crowds(known, places), known.habits.rows(known.rows[places])
    began = known.batch.values.shape[1] - 1 - crowds.age_s // known.batch.step_s
    highest = [
        np.fmax.reduce(known.batch.values[place, : int(begin)], initial=0.0)
        for place, begin in zip(places, began, strict=True)
    ]
    chosen = np.flatnonzero(unannounced(crowds, of_rows, np.asarray(highest)))
    if not len(chosen):
        return made
    places, crowds, of_rows = places[chosen], crowds.rows(chosen), of_rows.rows(chosen)
    peak, steps, reasons = made.peak.copy(), made.steps.copy(), list(made.reasons)
    stop = int(known.windows.stop[places].max())
    over = np.sort(lifted(peak[places], crowds, of_rows, stop), axis=1)
    changed = (over > peak[places]).any(axis=1) & np.isfinite(over).all(axis=1)
    for place in np.flatnonzero(changed):
        at = places[place]
        peak[at] = over[place]
        steps[at] = np.maximum(steps[at], np.minimum(over[place], crowds.newest[place])[:, None])
        reasons[at] = ForecastReason(
            TrustCode.FLASH_CROWD,
            f"demand rose from {crowds.level_before[place]:.4g} to {crowds.newest[place]:.4g}/s "
            f"within {crowds.age_s[place] / 60:.0f} min, which no history announced; "
            f"{reasons[at].sentence}",
        )
    return dataclasses.replace(made, peak=peak, steps=steps, reasons=tuple(reasons))


def _through_outages(made: ForecastBatch, known: Known, usable: IntArray) -> ForecastBatch:
    batch, windows, profile = known.batch, known.windows, known.profile
    places = usable[_may_have_collapsed(batch, usable)]
    own = known.rows[places]
    if not len(places):
        return made
    newest, expected = _newest_expected(batch, places, OUTAGE_LOOK_S, profile, own)
    outages = find_outages(newest, expected, newest_only=True)
    if not outages.held.any():
        return made
    ahead = profile.at(own, batch.end_s, batch.step_s, made.steps.shape[2])
    held = held_level(outages, ahead)
    peak, steps, reasons = made.peak.copy(), made.steps.copy(), list(made.reasons)
    chosen = lifts(outages, made.levels)
    for place in np.flatnonzero(outages.held):
        at, some = places[place], chosen[place]
        highest = held[place, windows.first[at] : windows.stop[at]].max(initial=0.0)
        if highest <= peak[at, some][0]:
            continue
        peak[at, some] = np.maximum(peak[at, some], highest)
        steps[at, some] = np.maximum(steps[at, some], held[place])
        code, sentence = _said(outages, int(place), highest)
        reasons[at] = ForecastReason(code, f"{sentence}; {reasons[at].sentence}")
    return dataclasses.replace(made, peak=peak, steps=steps, reasons=tuple(reasons))


def _said(outages: Outages, row: int, highest: float) -> tuple[TrustCode, str]:
    lasts = f"{outages.age_s[row] / 60:.0f} min ago"
    if outages.in_outage[row]:
        code, since = TrustCode.IN_OUTAGE, f"demand broke off {lasts}"
    else:
        ended = outages.ended_ago_s[row] / 60
        code, since = (
            TrustCode.AFTER_OUTAGE,
            f"demand broke off {lasts} and is back for {ended:.0f}",
        )
        since += " min"
    return code, f"{since}: held at {highest:.4g}/s, its profile at the level before"


def _may_have_collapsed(batch: SeriesBatch, places: IntArray) -> NDArray[np.bool_]:
    """Rows worth a closer look: a newest step far below the day's mean and below what is usual at
    this hour. Cheap, for every tick."""
    day = batch.values[:, -(DAY_S // batch.step_s) :]
    count = max(NEWEST_S // batch.step_s, 1)
    found = np.zeros(len(places), bool)
    for begin in range(0, len(places), ROWS_AT_ONCE):
        some = places[begin : begin + ROWS_AT_ONCE]
        part = day[some]
        known = np.isfinite(part)
        mean = np.where(known, part, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        newest = part[:, -count:]
        least = np.where(np.isfinite(newest), newest, np.inf).min(axis=1, initial=np.inf)
        low = np.flatnonzero(least < COLLAPSE_SHARE * mean)
        found[begin + low] = may_be_held(_newest(batch, some[low], OUTAGE_LOOK_S), count)
    return found
