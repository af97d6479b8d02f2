"""What is asked for right now, and how much of it is known.

`predictor/core/history.py` makes it at each tick, `predictor/core/inputs.py` takes it into what a
decision reads. A number that is not known is NaN here and never zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.series import FloatArray, SeriesKey


@dataclass(frozen=True, slots=True)
class Observed:
    """What is asked for now, one row per series key; NaN where it is not known.

    `complete_per_s` is the mean rate over the newest whole step and `sampling_variance` what
    sampling adds to its variance, `provisional_per_s` the highest mean rate over three buckets in
    the last two minutes, whole or not. `telemetry_age_s` is the time since the furthest input
    partition's progress, `lag_s` the time since the newest whole bucket (both infinite before the
    first); `incomplete` names what is missing, empty when nothing is, and `slowest` the input that
    holds the others up. `served_per_s` has shape (routed modules, regions): the unpinned demand of
    the newest whole step by the region that served it, for display. `usual_peak_per_s` is the
    highest demand that a series has as a rule (`predictor/core/usual_peak.py`; None: not known).
    """

    keys: tuple[SeriesKey, ...]
    complete_per_s: FloatArray
    provisional_per_s: FloatArray
    telemetry_age_s: float
    incomplete: str
    served_per_s: FloatArray
    lag_s: float
    slowest: str
    sampling_variance: FloatArray | None = None
    usual_peak_per_s: FloatArray | None = None
