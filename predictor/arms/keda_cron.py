"""KEDA's cron trigger: the windows of an operator who has looked at the hours of past days.

`predictor/arms/families.py` lists it. Its windows come from the learnt stretch and stay as they
are: nobody moves them in the judged stretch.
"""

from __future__ import annotations

import math

import numpy as np

from models.series import FloatArray
from predictor.arms.arm import Arm, ArmFamily, Learnt, Scene, Sizing
from predictor.arms.known_demand import DAY_S, pods_for
from predictor.arms.trigger import Held, asked_by_trigger

HOUR_S = 3600
# With fewer days a weekend has hardly been seen.
DAYS_FOR_WEEKENDS = 14
MONDAY_S = 4 * DAY_S
"""The first Monday after the epoch, which was a Thursday."""


class KedaCron:
    """Twenty-four windows a day, each with the pods that its hour's peak would have needed.

    A window is active inside [start, end), UTC; starts lie earlier by the lead time, rounded up to
    cron's whole minutes. Of overlapping windows the larger counts, as KEDA's triggers do.
    """

    def __init__(self, factor: float, sizing: Sizing, learnt: Learnt) -> None:
        self.every_s = sizing.sync_s
        self._ahead_s = math.ceil(sizing.lead_time_s / 60.0) * 60
        self._windows = [
            pods_for(factor * float(peak), sizing.rate_per_pod_per_s)
            for peak in hourly_peaks(learnt)
        ]
        self._held = Held(sizing.stabilisation_s)

    def floor(self, scene: Scene) -> int:
        """See `Arm`."""
        active = (scene.now_s, scene.now_s + self._ahead_s)
        wanted = max(self._windows[_hour_of_week(time_s)] for time_s in active)
        asked = asked_by_trigger(float(wanted), 1.0, scene.replicas)
        return self._held.most(scene.now_s, asked)


def hourly_peaks(learnt: Learnt) -> FloatArray:
    """The most demanded in each hour of a week from Monday, shape (168,); NaN where unknown.

    All days count as one kind of day until two weeks are learnt, then working days and weekends
    are kept apart.
    """
    starts_s = learnt.end_s - learnt.step_s * np.arange(len(learnt.demand), 0, -1)
    hours = (starts_s - MONDAY_S) // HOUR_S % 168
    weekend = hours >= 5 * 24
    if len(learnt.demand) * learnt.step_s < DAYS_FOR_WEEKENDS * DAY_S:
        weekend[:] = False
    peaks = np.full((2, 24), np.nan)
    np.fmax.at(peaks, (weekend.astype(np.int64), hours % 24), learnt.demand)
    kinds = [0] * 5 + [int(weekend.any())] * 2
    return peaks[kinds].reshape(168)


def _hour_of_week(time_s: float) -> int:
    return int((time_s - MONDAY_S) // HOUR_S) % 168


def _make(factor: float, sizing: Sizing, learnt: Learnt) -> Arm:
    return KedaCron(factor, sizing, learnt)


KEDA_CRON = ArmFamily(
    name="keda-cron",
    version="KEDA 2.21 (8b4f083), cron trigger",
    described="For each hour of the day (working days and weekends apart from two learnt weeks "
    "on) the pods for the most that was learnt in it, from one lead time before.",
    left_out="Nobody revises the windows; time zones; the HPA's scale-up limits on the trigger.",
    points=(1.0, 0.25, 0.4, 0.6, 0.8),
    make=_make,
)
