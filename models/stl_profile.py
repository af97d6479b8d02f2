"""The shape of a day by STL, for training: slower and steadier than the running median.

`models/training.py` calls it; the service never does. It must never see the days in which its
errors are measured afterwards.
"""

from __future__ import annotations

import numpy as np
from statsmodels.tsa.seasonal import STL

from models.profile import (
    DAILY_KERNEL,
    DAY_S,
    SLOT_S_MIN,
    Profile,
    no_profile,
    smooth_around_the_clock,
)
from models.series import FloatArray, SeriesBatch

DAYS_MIN = 7
"""With fewer days the robust weights cannot tell an odd day from a usual one."""
MEASURED_SHARE_MIN = 0.8
SEASONAL_JUMP, TREND_JUMP = 1, 50
"""Each day is smoothed; the trend, much slower than five minutes, at every fiftieth point."""


def stl_profile(history: SeriesBatch, floor: FloatArray) -> Profile:
    """Robust STL (Cleveland et al., 1990) of the log of five-minute means; rows (n,) with too few
    whole days, or too many gaps, have no profile. About half a second a series and fortnight."""
    rows = len(history.keys)
    slot_steps = max(SLOT_S_MIN // history.step_s, 1)
    slots = DAY_S // (slot_steps * history.step_s)
    if slots * slot_steps * history.step_s != DAY_S:
        return no_profile(rows, history.end_s)
    days = history.values.shape[1] // (slots * slot_steps)
    relative = np.ones((rows, 1, slots))
    known_days = np.zeros(rows, dtype=np.int64)
    if days < DAYS_MIN:
        return Profile(history.end_s, relative, known_days)
    newest = history.values[:, -days * slots * slot_steps :].reshape(rows, -1, slot_steps)
    measured = np.isfinite(newest)
    count = measured.sum(axis=2)
    total = np.where(measured, newest, 0.0).sum(axis=2)
    means = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    for row in range(rows):
        known = np.isfinite(means[row])
        if known.mean() >= MEASURED_SHARE_MIN and np.nanmax(means[row]) > floor[row]:
            relative[row, 0] = _shape(np.log(means[row] + floor[row]), known, slots)
            known_days[row] = days
    return Profile(history.end_s, relative, known_days)


def _shape(logs: FloatArray, known: np.ndarray, slots: int) -> FloatArray:
    """The newest season, back from logs, mean one; gaps are drawn straight before."""
    places = np.arange(len(logs))
    filled = np.interp(places, places[known], logs[known])
    season = STL(
        filled,
        period=slots,
        seasonal=2 * len(logs) // slots + 1,
        seasonal_deg=0,
        robust=True,
        seasonal_jump=SEASONAL_JUMP,
        trend_jump=TREND_JUMP,
        low_pass_jump=TREND_JUMP,
    )
    shape = np.exp(season.fit().seasonal[-slots:])[None, :]
    shape = smooth_around_the_clock(shape, DAILY_KERNEL)[0]
    return np.asarray(shape / shape.mean())
