"""A recorded day through real Kafka to a real HPA controller, as an operator would run it."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from predictor.core.audit import decode_record, replay
from predictor.live_arms import LiveRun
from predictor.live_demo import apply_objects, play_day
from predictor.live_manifests import MODULE, POD_LIMIT_PER_S, REGION, REPLICAS_MIN
from rigs.kafka import KafkaBroker
from rigs.kubernetes import ControlPlane

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]


def owners_words(plane: ControlPlane) -> str:
    """Everything of the HPA that its owner wrote, the floor left out, byte for byte."""
    path = f"/apis/autoscaling/v2/namespaces/{REGION}/horizontalpodautoscalers/mplp-{MODULE}-hpa"
    hpa = plane.request("GET", path)[1]
    spec = {key: value for key, value in hpa["spec"].items() if key != "minReplicas"}
    labels, uid = hpa["metadata"]["labels"], hpa["metadata"]["uid"]
    return json.dumps({"spec": spec, "labels": labels, "uid": uid}, sort_keys=True)


def first_time(run: LiveRun, values: list[int], at_least: int) -> float:
    """When a value first reached so much, in event time."""
    return next(at for at, value in zip(run.times_s, values, strict=True) if value >= at_least)


def asked(config: Path, path: str) -> httpx.Response:
    """The running worker's own answer."""
    port = yaml.safe_load(config.read_text())["http"]["port"]
    return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5)


async def test_the_floor_rises_before_the_ramp_and_pods_are_ready_when_demand_needs_them(
    own_kafka_broker: KafkaBroker, own_control_plane: ControlPlane, tmp_path: Path
) -> None:
    # demand   ______/‾‾‾‾\____      needs more than the owner's three pods from `needed_at`
    # floor    ___/‾‾‾‾‾‾‾‾‾\__      raised a lead time earlier, or more
    # Ready    ____/‾‾‾‾‾‾‾‾‾\_      and there in time
    # Servers of its own: in the compressed day a second of other work is twelve minutes.
    plane = own_control_plane
    apply_objects(plane)
    before = owners_words(plane)
    answers: list[httpx.Response] = []

    def look() -> None:
        paths = ("/readyz", "/metrics", "/decisions/latest")
        answers[:] = [asked(tmp_path / "live.yaml", path) for path in paths]

    run = await play_day(own_kafka_broker, plane, tmp_path, before_the_end=look)

    pods_needed = [int(-(-demand // POD_LIMIT_PER_S)) for demand in run.demand]
    needed_at = first_time(run, pods_needed, REPLICAS_MIN + 1)
    raised_at = first_time(run, run.floors, REPLICAS_MIN + 1)
    ready_at = first_time(run, run.ready_helped, REPLICAS_MIN + 1)
    lead_time_s = ready_at - raised_at
    assert raised_at + lead_time_s <= needed_at
    samples = list(zip(pods_needed, run.ready_helped, strict=True))
    short = sum(ready < needed for needed, ready in samples)
    assert short <= len(samples) // 100, f"pods were missing in {short} of {len(samples)} samples"
    assert max(run.ready_helped) >= max(pods_needed)
    assert run.floors[-1] < max(run.floors), "the floor is released after the day"
    assert owners_words(plane) == before

    ready, metrics, latest = answers
    assert (ready.status_code, ready.text) == (200, "[+]partitions ok\n[+]cluster ok\n")
    families = {one.name: one for one in text_string_to_metric_families(metrics.text)}
    events = {s.labels["outcome"]: s.value for s in families["mplp_predictor_events"].samples}
    assert events["counted"] > 10_000
    assert {s.labels["kind"] for s in families["mplp_predictor_floor_replicas"].samples} == {
        "wanted", "decided", "now", "baseline",
    }  # fmt: skip

    acted = [body for body in run.records if decode_record(body).decision.floor_intents]
    assert acted, "every change is on the audit topic"
    assert all(replay(body) == body for body in acted[:20])
    assert replay(latest.content) == latest.content
