"""Forecasts past what a calendar knows: a method sees demand without events, its answer has them.

`predictor/current_model.py` asks it in the place of the ensemble where something is planned, and
`models/rolling_origins.py` scores it. An event that demand has followed already is divided out of
what the method sees, so that nothing is counted twice. Where no event lies, every number must be
the method's own, to the last bit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from models.coarse_history import CoarseHistory, packed, unpacked
from models.forecast import ForecastBatch, ForecastCode, Forecaster, ForecastReason, Horizon
from models.series import FloatArray, SeriesBatch, SeriesKey
from models.step_windows import StepWindows, step_windows
from models.uplift import Uplift

FactorOf = Callable[[tuple[SeriesKey, ...], int, int, int], FloatArray]
CELLS_AT_ONCE = 2_000_000
"""Factors made together, some tens of megabytes."""


@dataclass(frozen=True, slots=True)
class PlannedForecast:
    """`method` asked about demand without the events that lie behind.

    `quiet` is that of the batch `measured`, where it has been made already.
    """

    method: Forecaster
    uplift: Uplift
    measured: SeriesBatch | None = None
    quiet: SeriesBatch | None = None

    @property
    def name(self) -> str:
        """See `Forecaster`."""
        return self.method.name

    def describe(self) -> str:
        """See `Forecaster`."""
        return f"{self.method.describe()} Planned events multiply it by what past ones did."

    def forecast(self, batch: SeriesBatch, horizon: Horizon) -> ForecastBatch:
        """See `Forecaster`. Raises what the method raises."""
        quiet = self.quiet if batch is self.measured else None
        if quiet is None:
            quiet = event_free(batch, self.uplift)
        made = self.method.forecast(quiet, horizon)
        windows = step_windows(horizon, len(batch.keys), batch.step_s)
        return with_events(made, self.uplift, windows)


def event_free(batch: SeriesBatch, uplift: Uplift, *, honest: bool = False) -> SeriesBatch:
    """The batch as it would have been without events; the very same one where none lies in it.

    `honest` divides an event by what was expected before it, not by what it turned out to do.
    """
    factor_of = uplift.factor if honest else uplift.past_factor
    older = _older_event_free(batch, uplift, factor_of)
    parts = _parts(uplift, batch.keys, batch.start_s, batch.step_s, batch.values.shape[1])
    if not parts:
        return batch if older is batch.coarser else dataclasses.replace(batch, coarser=older)
    values = batch.values.copy()
    variance = None if batch.sampling_variance is None else batch.sampling_variance.copy()
    for begin, end in parts:
        start_s = batch.start_s + begin * batch.step_s
        factor = factor_of(batch.keys, start_s, batch.step_s, end - begin)
        values[:, begin:end] /= factor
        if variance is not None:
            variance[:, begin:end] /= factor**2
    return dataclasses.replace(batch, values=values, sampling_variance=variance, coarser=older)


def _older_event_free(
    batch: SeriesBatch, uplift: Uplift, factor_of: FactorOf
) -> CoarseHistory | None:
    older = batch.coarser
    if older is None:
        return None
    parts = _parts(uplift, batch.keys, older.start_s, older.step_s, older.packed.shape[1])
    if not parts:
        return older
    cells = older.packed.copy()
    for begin, end in parts:
        start_s = older.start_s + begin * older.step_s
        factor = factor_of(batch.keys, start_s, older.step_s, end - begin)
        cells[:, begin:end] = packed(unpacked(cells[:, begin:end]) / factor)
    return dataclasses.replace(older, packed=cells)


def _parts(
    uplift: Uplift, keys: tuple[SeriesKey, ...], start_s: int, step_s: int, steps: int
) -> list[tuple[int, int]]:
    """The stretches of steps that events change, cut so that each is done in bounded memory."""
    width = max(CELLS_AT_ONCE // max(len(keys), 1), 1)
    stretches = uplift.stretches(start_s, step_s, steps) if keys else ()
    return [
        (begin, min(begin + width, stop))
        for first, stop in stretches
        for begin in range(first, stop, width)
    ]


def with_events(made: ForecastBatch, uplift: Uplift, windows: StepWindows) -> ForecastBatch:
    """A forecast without events multiplied by what is planned after it, and widened.

    A step takes its own factor. The peak takes the highest of its window's, each weighed by how
    high the median stands at that step beside its top: an event that covers a part of the window
    counts as far as its steps can become the peak, and one that halves demand in a part not at all.
    """
    steps = made.steps.shape[2]
    until_s = made.made_at_s + steps * made.step_s
    said = uplift.sentences(made.keys, made.made_at_s, until_s) if steps else ()
    if not any(said):
        return made
    grid = (made.keys, made.made_at_s, made.step_s, steps)
    factor, deviation = uplift.factor(*grid), uplift.log_deviation(*grid)
    ahead = np.arange(steps)
    inside = (ahead >= windows.first[:, None]) & (ahead < windows.stop[:, None])
    median = made.steps[:, made.levels.index(0.5)]
    of_peak = _peak_factor(median, factor, inside)
    peak_deviation = np.where(inside, deviation, 0.0).max(axis=1)
    reasons = tuple(
        _with_event(reason, words) if words and usable else reason
        for reason, words, usable in zip(made.reasons, said, made.usable, strict=True)
    )
    return dataclasses.replace(
        made,
        peak=widened(made.peak * of_peak[:, None], peak_deviation, made.levels),
        steps=widened(made.steps * factor[:, None, :], deviation, made.levels),
        reasons=reasons,
    )


def _peak_factor(median: FloatArray, factor: FloatArray, inside: np.ndarray) -> FloatArray:
    """By how much the peak of each row's window changes, shape (n,)."""
    seen = np.where(inside & np.isfinite(median), median, 0.0)
    top = seen.max(axis=1, keepdims=True)
    height = np.where(top > 0, seen / np.where(top > 0, top, 1.0), inside)
    return np.asarray((height * factor).max(axis=1))


def widened(quantiles: FloatArray, deviation: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """Quantiles (n, levels, ...) of demand whose factor itself has that deviation (n, ...).

    What multiplies adds in logarithms, where independent variances add up; a quantile's distance
    from the median stands for its share of the standard deviation, as in `with_noise`.
    """
    score = np.asarray([NormalDist().inv_cdf(level) for level in levels])
    score = score.reshape(-1, *[1] * (quantiles.ndim - 2))
    median = quantiles[:, [levels.index(0.5)]]
    added = (score * deviation[:, None]) ** 2
    known = (quantiles > 0) & (median > 0) & (added > 0)
    middle = np.log(np.where(known, median, 1.0))
    distance = np.log(np.where(known, quantiles, 1.0)) - middle
    wider = np.exp(middle + np.sign(score) * np.sqrt(distance**2 + added))
    return np.asarray(np.maximum.accumulate(np.where(known, wider, quantiles), axis=1))


def _with_event(reason: ForecastReason, said: str) -> ForecastReason:
    """The event's words before the method's own; an alarm keeps its code."""
    is_usual = isinstance(reason.code, ForecastCode)
    code = ForecastCode.PLANNED_EVENT if is_usual else reason.code
    return ForecastReason(code, f"{said}; without it: {reason.sentence}")
