"""Says why a row has no forecast: too few measured steps, or none that is fresh.

Every forecaster uses it, so that all mean the same by "short" and "stale". It must never take a gap
for a measurement.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.forecast import ForecastCode, ForecastReason
from models.series import FloatArray

SAMPLES_MIN = 30
"""Half an hour of minutes: fewer say little about a level and nothing about its errors."""
STALE_AFTER_S = 600
"""A level older than ten minutes is the past: longer than a broker's restart, no longer."""


def is_fresh(demand: FloatArray, step_s: int) -> NDArray[np.bool_]:
    """Whether each row has a measured step among the newest `STALE_AFTER_S`, shape (n,)."""
    newest = max(round(STALE_AFTER_S / step_s), 1)
    return np.asarray(np.isfinite(demand[:, -newest:]).any(axis=1))


def samples_needed(window_steps: int) -> int:
    """How many measured steps a row needs before its errors over such a window can be known."""
    return max(SAMPLES_MIN, window_steps + SAMPLES_MIN // 2)


def missing_reason(demand: FloatArray, step_s: int, needed: int = SAMPLES_MIN) -> ForecastReason:
    """Why one row, shape (steps,), cannot be forecast by any method."""
    measured = np.flatnonzero(np.isfinite(demand))
    if len(measured) < needed:
        return ForecastReason(
            ForecastCode.SHORT_HISTORY, f"{len(measured)} of {needed} samples of {step_s} s"
        )
    age_s = (len(demand) - 1 - int(measured[-1])) * step_s
    if age_s >= STALE_AFTER_S:
        return ForecastReason(
            ForecastCode.STALE_HISTORY,
            f"newest sample {age_s} s before now, at most {STALE_AFTER_S} s is recent",
        )
    return ForecastReason(
        ForecastCode.SHORT_HISTORY, f"no past window of {needed} samples without gaps to learn from"
    )
