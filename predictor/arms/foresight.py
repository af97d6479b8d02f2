"""The bound: a floor that knows all that is coming, and starts pods just in time.

`predictor/arms/families.py` lists it. It alone may read `Learnt.future`; it is no peer, and shows
how much there is to gain.
"""

from __future__ import annotations

import math

import numpy as np

from models.series import FloatArray
from predictor.arms.arm import Arm, ArmFamily, Learnt, Scene, Sizing
from predictor.arms.known_demand import ROUNDING, filled


class Foresight:
    """The least floor with which Ready pods carry the demand at their limit at every moment.

    A pod that is needed at t has to be there from t - lead time on, so the floor is the most that
    is needed anywhere in [now, now + lead time], and until the next sync beyond. It lets go as
    soon as nothing in there needs the pod. No arm has fewer violation minutes, where no pod takes
    longer than `lead_time_s` to be Ready. A gap counts as the demand before it; demand from before
    the judged stretch asks for nothing.
    """

    def __init__(self, sizing: Sizing, learnt: Learnt) -> None:
        self.every_s = sizing.sync_s
        self._ahead_s = sizing.lead_time_s + sizing.sync_s
        self._start_s, self._step_s = learnt.end_s, learnt.step_s
        limit_per_s = sizing.pod_limit_per_s or sizing.rate_per_pod_per_s
        demand = demand_to_carry(learnt)
        self._needed = np.ceil(demand / limit_per_s - ROUNDING).astype(np.int64)

    def floor(self, scene: Scene) -> int:
        """See `Arm`."""
        since_s = scene.now_s - self._start_s
        first = max(math.floor(since_s / self._step_s), 0)
        stop = max(math.ceil((since_s + self._ahead_s) / self._step_s), 0)
        return int(self._needed[first:stop].max(initial=0))


def demand_to_carry(learnt: Learnt) -> FloatArray:
    """The judged demand without gaps, as the simulation plays it, shape of `Learnt.future`.

    A gap takes the demand before it, if need be that of the learnt stretch or else the first that
    is known; what is no demand (negative, infinite) is a gap.
    """
    whole = np.concatenate([learnt.demand, learnt.future])
    bridged = filled(np.where(np.isfinite(whole) & (whole >= 0.0), whole, np.nan))
    first = bridged[:1] if len(bridged) else np.zeros(1)
    led = np.concatenate([np.repeat(first, len(whole) - len(bridged)), bridged])
    return np.asarray(led[len(learnt.demand) :])


def _make(_factor: float, sizing: Sizing, learnt: Learnt) -> Arm:
    return Foresight(sizing, learnt)


FORESIGHT = ArmFamily(
    name="foresight",
    version="perfect foresight, no product",
    described="At every sync the pods that the known future needs within the lead time, at the "
    "pods' limit.",
    left_out="Nothing it could know; it does not raise for the sake of latency below the limit.",
    points=(1.0,),
    make=_make,
)
