"""Weeks of demand with planned events in it, for the tests of planned events and their uplift."""

from __future__ import annotations

import numpy as np

from models.planned_events import PlannedEvent
from models.series import ALL_REGIONS, FloatArray, SeriesBatch, SeriesKey
from tests.models.series_builders import MONDAY_S, a_daily_load

DAY_S = 86_400
HOUR_S = 3600
KEY = SeriesKey("core", ALL_REGIONS)


def a_launch(day: float, hour: float = 14.0, hours: float = 1.0, **fields: object) -> PlannedEvent:
    start_s = int(MONDAY_S + day * DAY_S + hour * HOUR_S)
    known: dict[str, object] = {"name": "launch", "category": "marketing"} | fields
    return PlannedEvent(start_s=start_s, end_s=start_s + int(hours * HOUR_S), **known)  # type: ignore[arg-type]


def weeks_of_demand(
    *lifted: tuple[PlannedEvent, float], days: int = 28, noise: float = 0.03, seed: int = 1
) -> SeriesBatch:
    """One series of a minute's steps, the daily wave lifted during each of the events."""
    values: FloatArray = a_daily_load(days=days, noise=noise, seed=seed)
    for event, factor in lifted:
        first, stop = ((at - MONDAY_S) // 60 for at in (event.start_s, event.end_s))
        values[first:stop] *= factor
    return SeriesBatch((KEY,), MONDAY_S, 60, np.atleast_2d(values))
