"""What a forecaster gives: quantiles per step and of the window's peak, or a reason for none.

Forecasters build these, `predictor/core/decide.py` reads them. A row without a forecast is NaN in
every number and carries a reason; it never looks like zero demand.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray, SeriesBatch, SeriesKey
from models.trust_code import TrustCode

QUANTILE_LEVELS: tuple[float, ...] = (0.1, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99)
"""A floor is sized by one at or above the median; the first shows how far down demand may go."""


class ForecastCode(enum.StrEnum):
    """Why a row has the forecast it has."""

    ENSEMBLE = "Ensemble"
    """The mix of all candidates, corrected by trees and calibrated on past peaks."""
    SEASONAL_LEVEL = "SeasonalLevel"
    """The seasonal profile times the recent level."""
    LAST_VALUE = "LastValue"
    """The recent level with the spread of its own past errors."""
    SEASONAL_NAIVE = "SeasonalNaive"
    """As a day before, with the spread of its own past errors: the bar, never sized by."""
    PLANNED_EVENT = "PlannedEvent"
    """The forecast without events, times what a planned one is expected to do to it."""
    ANNOUNCED_STAGES = "AnnouncedStages"
    """The forecast, lifted to what workflows that have started will ask of the module."""
    SHORT_HISTORY = "ShortHistory"
    """Too few measured steps for any forecast."""
    STALE_HISTORY = "StaleHistory"
    """The newest measured step is too old to forecast from."""


@dataclass(frozen=True, slots=True)
class ForecastReason:
    """One row's reason: a code, and a sentence with its numbers."""

    code: ForecastCode | TrustCode
    sentence: str


@dataclass(frozen=True, slots=True)
class Horizon:
    """The window each row must carry: (now + lead_s, now + lead_s + hold_s]; seconds, shape
    (n,)."""

    lead_s: FloatArray
    hold_s: FloatArray


@dataclass(frozen=True, slots=True)
class ForecastBatch:
    """Quantiles of demand (rate per second) for each row of a `SeriesBatch`.

    `peak` has shape (n, len(levels)): the highest step mean in the row's window. `steps` has shape
    (n, len(levels), h): the steps after `made_at_s`, `h` reaching to the end of the longest window.
    Quantiles never cross, are never negative, and are either all finite in a row or all NaN.
    """

    keys: tuple[SeriesKey, ...]
    made_at_s: int
    step_s: int
    levels: tuple[float, ...]
    peak: FloatArray
    steps: FloatArray
    reasons: tuple[ForecastReason, ...]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which rows have a forecast, shape (n,)."""
        return np.asarray(np.isfinite(self.peak).all(axis=1))


class Forecaster(Protocol):
    """One forecasting method. `forecast` is pure: same batch and horizon, same bytes."""

    @property
    def name(self) -> str:
        """The method's name in the literature, in kebab-case."""
        ...

    def forecast(self, batch: SeriesBatch, horizon: Horizon) -> ForecastBatch:
        """Forecast all rows in one call; a row it cannot forecast is NaN with its reason."""
        ...

    def describe(self) -> str:
        """One sentence a person understands: what it is and when it is wrong."""
        ...
