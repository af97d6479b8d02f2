"""Whole valid HPAs and observations for the twin's tests; a test names only what matters to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from predictor.core.hpa_twin.controller import Sync, new_hpa_state, sync
from predictor.core.hpa_twin.observation import Observation, PodGroup
from predictor.core.hpa_twin.spec import HpaSpec, read_hpa_spec

PODS_METRIC = {
    "type": "Pods",
    "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "100"}},
}
CPU_METRIC = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
}
QUEUE_METRIC = {
    "type": "External",
    "external": {
        "metric": {"name": "queue"},
        "target": {"type": "AverageValue", "averageValue": 1},
    },
}
"""Asks for as many replicas as the queue is long, whatever the pods do."""


def an_hpa(*metrics: Mapping[str, Any], behavior: Any = None) -> HpaSpec:
    """One that scales on 100 requests/s per pod, without `behavior`."""
    return read_hpa_spec({"metrics": list(metrics) or [PODS_METRIC], "behavior": behavior})


def pods(count: int, age_s: float = 3600, **values: int) -> PodGroup:
    """Pods at the time 0, ready ever since they started."""
    return PodGroup(count, -age_s, True, -age_s, False, values)


def seen(*groups: PodGroup, replicas: int | None = None, **changes: Any) -> Observation:
    """What the controller sees of these pods; 1 to 100 replicas, one core requested by each pod."""
    count = sum(group.count for group in groups) if replicas is None else replicas
    whole = Observation(count, 1, 100, groups, {}, frozenset(), {"cpu": 1000})
    return whole._replace(**changes)


def queued(length: int, replicas: int, **changes: Any) -> Observation:
    """A queue of so many entries, seen at so many replicas; for `QUEUE_METRIC`."""
    return seen(pods(replicas), objects={"queue": 1000 * length}, **changes)


def synced(spec: HpaSpec, observations: Sequence[Observation], every_s: float = 15.0) -> list[Sync]:
    """One sync for each observation, from a controller that has just started."""
    state, done = new_hpa_state(), list[Sync]()
    for place, observation in enumerate(observations):
        done.append(sync(spec, observation, state, place * every_s))
        state = done[-1].state
    return done


def followed(
    spec: HpaSpec, queue: Sequence[int], floor: Sequence[int], replicas: int = 1
) -> list[int]:
    """The replicas after each sync of an HPA of `QUEUE_METRIC`, fed with its own replicas."""
    state, path = new_hpa_state(), list[int]()
    for place, (length, least) in enumerate(zip(queue, floor, strict=True)):
        observation = queued(length, replicas, replicas_min=least)
        done = sync(spec, observation, state, place * 15.0)
        state, replicas = done.state, done.replicas
        path.append(replicas)
    return path
