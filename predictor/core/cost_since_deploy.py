"""What is believed of the cost of requests when only few readings, or none, are of today's pods.

`predictor/core/capacity` sizes by it, and `predictor/core/pods_seen.py` keeps it when the pod
template changes once more: what a single reading said must not outlive the pods that it was of.
Dearer is believed sooner than cheaper, so that no floor falls because of a deploy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray
from predictor.core.state import TargetState

READINGS_MIN = 6
"""A ratio counts from this many readings on: a minute of ticks."""
DEARER_READINGS_MIN = 3
"""After a deploy, so many readings are enough to take requests for dearer than before ..."""
CHEAPER_READINGS_MIN = 30
"""... and so many to take them for cheaper: until then no floor falls because of a deploy."""


def cost_since_deploy(targets: TargetState) -> FloatArray:
    """What requests cost over what they cost before the last deploy, as far as believed: (n,)."""
    readings, ratio = targets.rate_readings, np.nan_to_num(targets.cost_ratio, nan=1.0)
    dearer = np.where(readings >= DEARER_READINGS_MIN, np.maximum(ratio, 1.0), 1.0)
    return np.where(readings >= CHEAPER_READINGS_MIN, ratio, dearer)


def rate_in_proportion(targets: TargetState) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The load of a pod in proportion to its usage, and where it rests on pods of before a deploy.

    Both of shape (n,), the first per second and NaN where nothing is believed.
    """
    enough = targets.rate_readings >= READINGS_MIN
    fresh, former = targets.rate_learned_per_s, targets.rate_former_per_s
    dearer = np.where(targets.rate_readings >= DEARER_READINGS_MIN, fresh, np.nan)
    is_old = ~enough & np.isfinite(former)
    return np.where(enough, fresh, np.where(is_old, np.fmin(former, dearer), np.nan)), is_old
