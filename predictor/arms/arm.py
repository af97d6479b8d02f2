"""What an arm is: one way of setting the floor, asked at syncs, with what it may know then.

The simulation builds a `Scene` at each sync and asks; every peer of `predictor/arms/families.py`
answers. An arm must never see demand that had not been measured at `now_s`; the perfect-foresight
bound alone may read `Learnt.future`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from models.series import FloatArray

NOTHING: FloatArray = np.empty(0)


class Sizing(NamedTuple):
    """One target, as its HPA and its cluster have it.

    `rate_per_pod_per_s` (above 0) is the demand one pod carries at the HPA's own target,
    `pod_limit_per_s` what it carries at its limit: above it there is a violation. Without the
    latter the bound sizes by the former. `lead_time_s` goes from a raised floor to Ready pods,
    `hold_s` is how long beyond it a floor should still be right, `sync_s` the HPA's period.
    `target_cores` is the CPU a pod uses at the HPA's target, in cores: arms that speak in CPU
    (Crane) take demand / `rate_per_pod_per_s` * `target_cores`. `stabilisation_s` is the HPA's
    own scale-down window: an arm whose number is one of the HPA's metrics is held for as long.
    """

    rate_per_pod_per_s: float
    replicas_min: int
    replicas_max: int
    lead_time_s: float
    hold_s: float
    sync_s: float = 15.0
    pod_limit_per_s: float | None = None
    target_cores: float = 0.6
    stabilisation_s: float = 300.0


class Scene(NamedTuple):
    """What an arm may know at `now_s`, epoch seconds.

    `demand` has one per-second rate for each whole step of `step_s` that ended at or before
    `end_s` (at most `now_s`), oldest first, NaN for a gap; it may begin anywhere. `recommended`
    is what the HPA's metrics ask for at this sync, before stabilisation and limits; `replicas`
    and `ready` count pods. `use_of_target` is the mean use of the Ready pods as a multiple of the
    HPA's target (1.0 = at target), NaN where it was not measured; Kapacity's gate reads it, and
    passes without it. While requests wait or are refused it says nothing: leave it NaN then.
    """

    now_s: float
    demand: FloatArray
    end_s: int
    step_s: int
    recommended: int
    replicas: int
    ready: int
    use_of_target: float = math.nan


class Learnt(NamedTuple):
    """What an arm may read before the judged stretch begins: demand as in `Scene`.

    `future` is the whole judged demand, its first step beginning at `end_s`. Only the
    perfect-foresight bound may look at it; every other arm gets the same answers without it.
    """

    demand: FloatArray
    end_s: int
    step_s: int
    future: FloatArray = NOTHING


class Arm(Protocol):
    """One peer at work on one target; keeps what it has seen, so one per target and run.

    `every_s` is how often it is asked, a multiple of the HPA's 15 s. `floor` answers in replicas,
    0 for "no floor"; it never raises on gaps, zeros or short history, and the caller clamps it
    to baseline and maxReplicas. Scenes come in order of time.
    """

    @property
    def every_s(self) -> float: ...

    def floor(self, scene: Scene) -> int: ...


class ArmFamily(NamedTuple):
    """One peer with its frontier.

    `points` are what `make` takes first: a factor on the peer's forecast, or its quantile; the
    first is as shipped or as usually set, the others make it cheaper or dearer.
    """

    name: str
    version: str
    described: str
    left_out: str
    points: tuple[float, ...]
    make: Callable[[float, Sizing, Learnt], Arm]
