"""Lays what announced workflows will ask under a forecast: it comes whatever else does.

`predictor/current_model.py` calls it after everything else. It must never lower a quantile, nor
touch one below the median: those say how far down demand may go.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from models.forecast import ForecastBatch, ForecastCode, ForecastReason
from models.series import FloatArray
from models.step_windows import StepWindows


def with_announced(
    made: ForecastBatch,
    rows: NDArray[np.int64],
    rate_per_s: FloatArray,
    sentences: Sequence[str],
    windows: StepWindows,
) -> ForecastBatch:
    """The forecast with its upper quantiles at least at those of what `rows` (k,) will be asked.

    `rate_per_s` (k, steps of the forecast) is the mean of the requests that are to come, each by
    itself; so their number in a step is a Poisson variable, and its quantiles are those of the
    normal distribution of that variance. `sentences` (k,) say it for a person. The same object
    where nothing is raised.
    """
    upper = np.flatnonzero(np.asarray(made.levels) >= 0.5)
    score = np.array([NormalDist().inv_cdf(made.levels[level]) for level in upper.tolist()])
    noise = np.sqrt(rate_per_s / made.step_s)
    floor = rate_per_s[:, None, :] + score[:, None] * noise[:, None, :]
    ahead = np.arange(rate_per_s.shape[1])
    inside = (ahead >= windows.first[rows, None]) & (ahead < windows.stop[rows, None])
    of_peak = np.where(inside[:, None, :], floor, 0.0).max(axis=2)
    cells = np.ix_(rows, upper)
    steps_before, peak_before = made.steps[cells], made.peak[cells]
    raised = (floor > steps_before).any(axis=(1, 2)) | (of_peak > peak_before).any(axis=1)
    raised &= made.usable[rows]
    if not raised.any():
        return made
    steps, peak, reasons = made.steps.copy(), made.peak.copy(), list(made.reasons)
    steps[cells] = np.maximum(steps_before, floor)
    peak[cells] = np.maximum(peak_before, of_peak)
    for place in np.flatnonzero(raised).tolist():
        row = int(rows[place])
        reasons[row] = _with_announcement(reasons[row], sentences[place])
    return dataclasses.replace(made, steps=steps, peak=peak, reasons=tuple(reasons))


def _with_announcement(reason: ForecastReason, said: str) -> ForecastReason:
    """The announcement's words before the method's own; an alarm keeps its code."""
    is_usual = isinstance(reason.code, ForecastCode)
    code = ForecastCode.ANNOUNCED_STAGES if is_usual else reason.code
    return ForecastReason(code, f"{said}; without them: {reason.sentence}")
