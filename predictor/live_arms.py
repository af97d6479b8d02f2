"""The two arms of the live demo: what is seen of each Deployment, and what it adds up to.

`predictor/live_demo.py` samples with it. It feeds the HPAs' metric, because somebody has to be the
load; it must never touch an HPA or a Deployment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from predictor.core.audit import Record, decode_record
from predictor.demo_report import ALONE, HELPED, ArmsRun, TargetTrack
from predictor.live_manifests import (
    METRIC,
    MODULE,
    POD_DELAY_S,
    POD_LIMIT_PER_S,
    REGION,
    TARGET_PER_POD_PER_S,
)
from predictor.web.report import ArmRow

if TYPE_CHECKING:
    from rigs.kubernetes import ControlPlane


@dataclass(slots=True)
class Arm:
    """What was seen of one Deployment."""

    namespace: str
    ready: int = 0
    floor: int = 0
    violation_s: float = 0.0
    pod_s: float = 0.0
    scale_actions: int = 0
    replicas: int = 0


@dataclass(slots=True)
class LiveRun:
    """Everything seen during the played day, a sample at a time."""

    times_s: list[float] = field(default_factory=list)
    demand: list[float] = field(default_factory=list)
    ready_helped: list[int] = field(default_factory=list)
    ready_alone: list[int] = field(default_factory=list)
    floors: list[int] = field(default_factory=list)
    arms: dict[str, Arm] = field(default_factory=dict)
    records: list[bytes] = field(default_factory=list)
    """The audit records of the run, in the order they were written."""


def sample(run: LiveRun, plane: ControlPlane, demand: float, now_s: int, passed_s: int) -> None:
    """Look at both Deployments, feed their HPAs' metric, and count what was served.

    `demand` is in requests per second, `passed_s` the event time since the last sample.
    """
    ready = _look(run.arms.values(), plane)
    for arm in run.arms.values():
        if pods := ready[arm.namespace]:
            milli = int(demand / len(pods) * 1000)
            plane.write_metric(arm.namespace, pods, METRIC, f"{milli}m")
        arm.pod_s += arm.replicas * passed_s
        if demand > arm.ready * POD_LIMIT_PER_S:
            arm.violation_s += passed_s
    run.times_s.append(now_s)
    run.demand.append(demand)
    run.ready_helped.append(run.arms[HELPED].ready)
    run.ready_alone.append(run.arms[ALONE].ready)
    run.floors.append(run.arms[HELPED].floor)


def _look(arms: Iterable[Arm], plane: ControlPlane) -> dict[str, list[str]]:
    """Update every arm from three lists, and give the names of its Ready pods by namespace.

    Few requests, because the machine that looks is the machine that is looked at.
    """
    deployments = _by_namespace(plane, "/apis/apps/v1/deployments")
    hpas = _by_namespace(plane, "/apis/autoscaling/v2/horizontalpodautoscalers")
    pods = _by_namespace(plane, "/api/v1/pods")
    ready: dict[str, list[str]] = {}
    for arm in arms:
        (deployment,), (hpa,) = deployments[arm.namespace], hpas[arm.namespace]
        replicas = int(deployment["spec"]["replicas"])
        arm.scale_actions += int(bool(arm.replicas) and replicas != arm.replicas)
        arm.replicas = replicas
        arm.ready = int(deployment["status"].get("readyReplicas", 0))
        arm.floor = int(hpa["spec"]["minReplicas"])
        own = pods.get(arm.namespace, [])
        ready[arm.namespace] = [pod["metadata"]["name"] for pod in own if _is_ready(pod)]
    return ready


def _by_namespace(plane: ControlPlane, path: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    selector = f"labelSelector=app%3Dmplp-{MODULE}"
    for item in plane.request("GET", f"{path}?{selector}")[1]["items"]:
        found[item["metadata"]["namespace"]].append(item)
    return found


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def arms_run(run: LiveRun, speed: int) -> ArmsRun:
    """The run as the table and the page want it."""
    track = TargetTrack(f"{MODULE} in {REGION}")
    track.times_s = [int(at) for at in run.times_s]
    track.demand = run.demand
    track.capacity_alone = [ready * POD_LIMIT_PER_S for ready in run.ready_alone]
    track.capacity_helped = [ready * POD_LIMIT_PER_S for ready in run.ready_helped]
    track.floor_carries = [floor * TARGET_PER_POD_PER_S for floor in run.floors]
    _tell_decisions(track, run)
    track.violated_alone = [d > c for d, c in zip(run.demand, track.capacity_alone, strict=True)]
    track.violated_helped = [d > c for d, c in zip(run.demand, track.capacity_helped, strict=True)]
    arms = [
        ArmRow(name, arm.violation_s / 60, arm.pod_s / 3600, None, arm.scale_actions)
        for name, arm in ((ALONE, run.arms[ALONE]), (HELPED, run.arms[HELPED]))
    ]
    return ArmsRun(
        title="One real day against a real HPA controller: alone, and with our floor",
        subtitle=f"10 July 1995, played {speed} times as fast; times are the day's own",
        arms=arms,
        tracks=[track],
        lead_s=POD_DELAY_S * speed,
        notes=[
            "Real Kafka broker, kube-apiserver and HPA controller (sync 2 s), pods played by kwok. "
            "At this speed a sync is 24 minutes of the day, so the reactive HPA is later by far "
            "than it would be; look at the order of events, not at the size of the difference.",
        ],
    )


def _tell_decisions(track: TargetTrack, run: LiveRun) -> None:
    """Forecasts and raises as the audit records tell them, at the samples' times."""
    decided = [decode_record(record) for record in run.records]
    decided = [one for one in decided if one.decision.floors]
    made_s = [one.decision.made_at_s for one in decided]
    for at_s in run.times_s:
        place = int(np.searchsorted(made_s, at_s, side="right")) - 1
        median, high = (None, None) if place < 0 else _peak(decided[place])
        track.forecast_median.append(median)
        track.forecast_high.append(high)
    for one in decided:
        row = one.decision.floors[0]
        if row.intent is not None and row.intent.floor > row.intent.floor_now:
            track.raises.append((int(one.decision.made_at_s), row))


def _peak(record: Record) -> tuple[float | None, float | None]:
    peak = record.inputs.peak[0]
    high = record.inputs.levels.index(record.decision.floors[0].quantile)
    return (float(peak[0]), float(peak[high])) if np.isfinite(peak).all() else (None, None)
