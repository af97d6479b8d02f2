"""A recorded day through real Kafka to a real HPA controller, as an operator would run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from predictor.live_demo import LiveRun, play_day
from predictor.live_manifests import MODULE, POD_LIMIT_PER_S, REGION, REPLICAS_MIN
from rigs.kafka import KafkaBroker
from rigs.kubernetes import ControlPlane

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]


def owners_words(plane: ControlPlane) -> dict[str, Any]:
    """Everything of the HPA that its owner wrote, the floor left out."""
    path = f"/apis/autoscaling/v2/namespaces/{REGION}/horizontalpodautoscalers/mplp-{MODULE}-hpa"
    hpa = plane.request("GET", path)[1]
    spec = {key: value for key, value in hpa["spec"].items() if key != "minReplicas"}
    return {"spec": spec, "labels": hpa["metadata"]["labels"], "uid": hpa["metadata"]["uid"]}


def first_time(run: LiveRun, values: list[int], at_least: int) -> float:
    """When a value first reached so much, in event time."""
    return next(at for at, value in zip(run.times_s, values, strict=True) if value >= at_least)


async def test_the_floor_rises_before_the_ramp_and_pods_are_ready_when_demand_needs_them(
    kafka_broker: KafkaBroker, control_plane: ControlPlane, tmp_path: Path
) -> None:
    # demand   ______/‾‾‾‾\____      needs more than the owner's three pods from `needed_at`
    # floor    ___/‾‾‾‾‾‾‾‾‾\__      raised a lead time earlier, or more
    # Ready    ____/‾‾‾‾‾‾‾‾‾\_      and there in time
    run = await play_day(kafka_broker, control_plane, tmp_path)

    pods_needed = [int(-(-demand // POD_LIMIT_PER_S)) for demand in run.demand]
    needed_at = first_time(run, pods_needed, REPLICAS_MIN + 1)
    raised_at = first_time(run, run.floors, REPLICAS_MIN + 1)
    ready_at = first_time(run, run.ready_helped, REPLICAS_MIN + 1)
    lead_time_s = ready_at - raised_at
    assert raised_at + lead_time_s <= needed_at
    assert ready_at <= needed_at
    short = [
        at
        for at, needed, ready in zip(run.times_s, pods_needed, run.ready_helped, strict=True)
        if ready < needed
    ]
    assert len(short) <= len(run.times_s) // 100
    assert max(run.ready_helped) >= max(pods_needed)
    assert run.floors[-1] < max(run.floors)


async def test_the_owners_words_are_what_they_were(control_plane: ControlPlane) -> None:
    pytest.skip("joined with the day")
