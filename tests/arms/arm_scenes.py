"""Stretches of demand and the scenes an arm is asked at, with a plain HPA around it."""

from __future__ import annotations

import numpy as np

from models.series import FloatArray
from predictor.arms.arm import Arm, ArmFamily, Learnt, Scene, Sizing
from predictor.arms.known_demand import DAY_S, pods_for

STEP_S = 600
MONDAY_S = 1_704_067_200  # 2024-01-01 00:00 UTC
SIZING = Sizing(
    rate_per_pod_per_s=10.0, replicas_min=1, replicas_max=100, lead_time_s=120.0, hold_s=300.0
)
UNHELD = SIZING._replace(stabilisation_s=0.0)


def a_daily_load(days: float, step_s: int = STEP_S, noise: float = 0.0) -> FloatArray:
    """20 to 180 per second over each day, lowest at midnight."""
    times_s = np.arange(int(days * DAY_S / step_s)) * step_s
    drawn = np.random.default_rng(3).standard_normal(len(times_s))
    return np.asarray(100.0 - 80.0 * np.cos(2.0 * np.pi * times_s / DAY_S) + noise * drawn)


def a_learnt(demand: FloatArray, step_s: int = STEP_S, future: FloatArray | None = None) -> Learnt:
    """Learnt from Monday on; the judged stretch begins where it ends."""
    end_s = MONDAY_S + len(demand) * step_s
    return Learnt(demand, end_s, step_s, np.empty(0) if future is None else future)


def a_scene(
    learnt: Learnt, seen: FloatArray, now_s: float, replicas: int = 0, *, recommended: int = 1
) -> Scene:
    """What is known at `now_s` when `seen` follows the learnt stretch."""
    end_s = int(now_s // learnt.step_s) * learnt.step_s
    steps = (end_s - learnt.end_s) // learnt.step_s
    demand = np.concatenate([learnt.demand, seen[:steps]])
    return Scene(now_s, demand, end_s, learnt.step_s, recommended, replicas, replicas)


def floors_of(
    arm: Arm, sizing: Sizing, learnt: Learnt, judged: FloatArray, every_s: int = 60
) -> list[int]:
    """Its floors at syncs over the judged stretch; the HPA asks for what the last step needed."""
    made: list[int] = []
    for now_s in range(learnt.end_s, learnt.end_s + len(judged) * learnt.step_s, every_s):
        known = a_scene(learnt, judged, now_s)
        newest = float(known.demand[-1]) if len(known.demand) else 0.0
        asked = max(pods_for(newest, sizing.rate_per_pod_per_s), sizing.replicas_min)
        replicas = min(max([asked, *made[-1:]]), sizing.replicas_max)
        made.append(arm.floor(known._replace(recommended=asked, replicas=replicas, ready=replicas)))
    return made


def family_floors(
    family: ArmFamily, point: float, learnt: Learnt, judged: FloatArray, every_s: int = 60
) -> list[int]:
    """The floors of one point of a family."""
    return floors_of(family.make(point, SIZING, learnt), SIZING, learnt, judged, every_s)
