"""Scores what a service with a calendar would have forecast at past moments.

`predictor/backtest.py` calls it for a series that planned events lie in. Each event is taken for
what those before it had taught, never for what it turned out to do. The two bars know no calendar.
It must never let a value at or after an origin change a forecast made there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from models.event_uplift import learn_uplift
from models.planned_events import PlannedEvents
from models.planned_forecast import event_free, widened
from models.rolling_origins import RollingResult, Target, rolling_origins
from models.series import FloatArray, SeriesBatch
from models.step_windows import IntArray
from models.uplift import Uplift
from predictor.backtest_scores import losses, steps_ahead


def planned_origins(
    series: SeriesBatch,
    targets: tuple[Target, ...],
    planned: PlannedEvents,
    *,
    origins_max: int,
    cpu_s: Callable[[], float],
) -> tuple[RollingResult, ...]:
    """As `rolling_origins`, with the events in; twice its cost where any event lies in a series."""
    plain = rolling_origins(series, targets, origins_max=origins_max, cpu_s=cpu_s)
    if not planned.events:
        return plain
    uplift = learn_uplift(series, planned)
    quiet = event_free(series, uplift, honest=True)
    if quiet is series:
        return plain
    found = rolling_origins(quiet, targets, origins_max=origins_max, cpu_s=cpu_s)
    return tuple(
        _with_events(without, one, uplift, series)
        for without, one in zip(plain, found, strict=True)
    )


def _with_events(
    without: RollingResult, quiet: RollingResult, uplift: Uplift, series: SeriesBatch
) -> RollingResult:
    """The quiet forecasts with what was expected of the events, beside what was measured."""
    step_s, keys = series.step_s, (quiet.key,)
    first, stop = steps_ahead(quiet.target, step_s)
    steps = series.values.shape[1] + stop
    places = (quiet.origin_s - series.start_s) // step_s
    factor, deviation = (
        _highest(table(keys, series.start_s, step_s, steps)[0], places, first, stop)
        for table in (uplift.factor, uplift.log_deviation)
    )
    made = widened(quiet.quantiles * factor[:, None], deviation, quiet.levels)
    result = dataclasses.replace(
        without, quantiles=made, fit_s=quiet.fit_s, forecast_s=quiet.forecast_s
    )
    touched = int(((factor != 1.0) | (deviation > 0.0)).sum())
    return dataclasses.replace(result, reasons=(*result.reasons, _said(without, result, touched)))


def _highest(of_step: FloatArray, places: IntArray, first: int, stop: int) -> FloatArray:
    """The highest of each origin's window, shape (origins,)."""
    window = places[:, None] + np.arange(first, stop)
    return np.asarray(of_step[window].max(axis=1, initial=0.0))


def _said(without: RollingResult, result: RollingResult, touched: int) -> str:
    head = f"planned events change {touched} of {len(result.outcome)} forecasts"
    before, after = (float(np.nansum(losses(one))) for one in (without, result))
    if not touched or before <= 0:
        return head
    return f"{head}; the loss is {after / before:.3f} of what it is without the calendar"
