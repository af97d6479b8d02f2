"""Puts into a forecast what must be said of single rows at the moment it is made.

`models/ensemble.py` calls it once per tick; what was known before is in its `told` already. It must
never change a number of a row that has a forecast by the method whose turn it was.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from models.forecast import ForecastBatch, ForecastReason
from models.series import FloatArray
from models.skill import Rung
from models.step_windows import IntArray
from models.trust import joined, samples_lacking, without_forecast


def with_lacking(
    made: ForecastBatch, values: FloatArray, needed: IntArray, answers: NDArray[np.bool_]
) -> ForecastBatch:
    """Rows that are forecast, but not by the mix (`answers` (n,)), say how many samples it lacks.

    `needed` (n,) are the measured steps of the newest so many that the mix needs.
    """
    places = np.flatnonzero(made.usable & ~answers)
    if not len(places):
        return made
    newest = values[:, -int(needed[places].max()) :]
    samples = np.isfinite(newest).sum(axis=1)
    reasons = list(made.reasons)
    for place in places[samples[places] < needed[places]]:
        lacking = samples_lacking(int(samples[place]), int(needed[place]))
        reasons[place] = joined(reasons[place], (lacking,))
    return dataclasses.replace(made, reasons=tuple(reasons))


def fallen(
    made: ForecastBatch,
    wanted: IntArray,
    rung: IntArray,
    told: tuple[ForecastReason, ...],
    rows: IntArray,
) -> ForecastBatch:
    """Rows whose method gave nothing say so; those with no other have no forecast.

    `wanted` and `rung` (n,) are whose turn it was and who forecasts; `told` are the reasons of the
    ensemble's rows, `rows` (n,) which of them each is.
    """
    places = np.flatnonzero(rung != wanted)
    if not len(places):
        return made
    peak, steps, reasons = made.peak.copy(), made.steps.copy(), list(made.reasons)
    for place in places:
        instead = without_forecast(int(wanted[place]), int(rung[place]))
        reasons[place] = joined(told[rows[place]], (instead,))
    nothing = places[rung[places] == int(Rung.NONE)]
    peak[nothing], steps[nothing] = np.nan, np.nan
    return dataclasses.replace(made, peak=peak, steps=steps, reasons=tuple(reasons))


def by_mix_again(
    made: ForecastBatch, places: IntArray, said: tuple[ForecastReason, ...], rows: IntArray
) -> ForecastBatch:
    """Demoted rows that keep their mix, because much less of them is recorded than when methods
    were judged, say what the mix says; `said` are its reasons, `rows` (n,) which each row is."""
    if not len(places):
        return made
    reasons = list(made.reasons)
    for place in places:
        reasons[place] = said[rows[place]]
    return dataclasses.replace(made, reasons=tuple(reasons))
