"""`explain`: one decision told so that nobody has to know Kafka or the code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from models.series import ALL_REGIONS, SeriesKey
from predictor.core.audit import decode_record
from predictor.core.cluster import TargetKey
from predictor.core.policy import ModulePolicy, Policy, RoutePolicy
from predictor.explain import explained
from predictor.explain_text import WIDTH, page
from predictor.settings import HttpSettings
from predictor.web.probe_server import ProbeServer
from predictor.web.probes import CurrentChecks, LatestRecord
from rigs.ports import free_ports
from tests.core.core_values import AP, CORE, EU, ROLE, US, a_route, three_regions
from tests.service.audit_builders import Recorder, a_morning, called, written

RISE = "2027-01-15T08:01:10Z"
"""The decision of 08:01:00 raises the floor for a rise that comes at 08:03:30."""


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(a_morning(), tmp_path_factory.mktemp("audit") / "audit.jsonl.gz")


def told(*arguments: object) -> str:
    """The page in one line, so that a sentence may be looked for."""
    result = called("explain", *arguments)
    assert result.exit_code == 0, result.output
    return re.sub(r"\s+", " ", result.stdout)


@pytest.mark.parametrize(
    "sentence",
    [
        "core in us-east-1, decision 5 of 2027-01-15 08:01:00 UTC",
        "250.0 requests/s are asked for now. 3 pods are Ready.",
        "A peak of at most 900.0/s, at the 0.9 quantile",
        "Model test. level 100/s (LastValue).",
        "From 2 min to 12 min after the decision. The lead time of 2 min is the configured one",
        "Carries 100.0 requests/s: the HPA's own target for mplp_requests_per_second.",
        "9 replicas (owner's minimum 3, maxReplicas 20).",
        "1. Wanted 9 replicas, at most 7 in one step from 3 (StepUpLimited).",
        "raised from 3 to 7. minReplicas of us-east-1/mplp-core-hpa was patched.",
        "There were 7 pods Ready 1 min 15 s after the decision, before the window began.",
        "Demand came to 880.0/s at 08:03:30, 900.0/s had been forecast.",
        "That asks for 9 pods; Ready were 9. The floor was needed, and more.",
    ],
)
def test_a_raise_is_told_from_demand_to_what_came_of_it(morning: Path, sentence: str) -> None:
    assert sentence in told("core", "--file", morning, "--at", RISE)


def test_a_page_fits_on_a_screen(morning: Path) -> None:
    lines = called("explain", "core", "--file", morning, "--at", RISE).stdout.splitlines()

    assert len(lines) <= 40
    assert max(map(len, lines)) <= WIDTH


def test_of_several_regions_the_one_that_moves_furthest_is_told_whole(tmp_path: Path) -> None:
    regions = [TargetKey("core", region) for region in (US, EU, AP)]
    recorder = Recorder(targets=regions, inputs={"keys": regions})
    recorder.tick({SeriesKey("core", US): 300.0, SeriesKey("core", EU): 800.0}, ticks=2)
    path = written(recorder.records, tmp_path / "a.jsonl")

    text, other = told("core", "--file", path), told("core", "--file", path, "--region", US)

    assert text.startswith("core in eu-west-1, decision 2")
    assert "core in us-east-1: floor 3 → 3; --region us-east-1 tells why" in text
    assert other.startswith("core in us-east-1, decision 2")


def test_the_newest_decision_has_no_later_record(morning: Path) -> None:
    text = told("core", "--file", morning)

    assert "decision 64" in text
    assert "No later record of this target is in the source" in text


def test_shadow_says_that_nothing_was_patched_and_who_was_short(tmp_path: Path) -> None:
    path = written(a_morning(active=False), tmp_path / "audit.jsonl")

    text = told("core", "--file", path, "--at", RISE)

    assert "was not patched: in shadow mode nothing is written (Shadow)." in text
    assert "The floor would have been needed, and more. Too few were Ready in 20 of 41" in text


def test_a_forecast_that_did_not_come_true_is_called_not_needed(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.tick(200.0, ticks=4)
    recorder.tick(200.0, peak=600.0, ticks=60)

    text = told("core", "--file", written(recorder.records, tmp_path / "a.jsonl"), "--at", RISE)

    assert "raised from 3 to 6" in text
    assert "Of the 3 to be added none was needed." in text


def test_measured_lead_times_and_configured_rates_say_so(tmp_path: Path) -> None:
    recorder = Recorder(
        Policy(
            defaults=ModulePolicy(
                rate_per_pod_per_s=50.0, pod_load_ratio=1.2, step_up_ratio_max=0.0
            ),
            warm_up_s=0,
        )
    )
    recorder.tick(100.0, ticks=3)
    for demand in (300.0, 500.0, 700.0):
        recorder.tick(demand, ticks=8)

    text = told("core", "--file", written(recorder.records, tmp_path / "a.jsonl"))

    assert "50.0 requests/s: set in the configuration (rate_per_pod_per_s)." in text
    assert "Floors are planned for 60.0/s each (pod_load_ratio)." in text
    assert re.search(r"measured in the last [3-9] raises", text)


def test_weights_of_the_route_are_told_with_their_reason(tmp_path: Path) -> None:
    weights = {US: 50, EU: 30, AP: 20}
    regions = [TargetKey("core", region) for region in weights]
    policy = Policy(routes={"core": RoutePolicy(home_weights=weights)}, warm_up_s=0.0)
    inputs = {"keys": three_regions(), "routes": [a_route(weights)]}
    recorder = Recorder(policy, targets=regions, inputs=inputs)
    recorder.tick({SeriesKey("core", ALL_REGIONS): 4500.0}, ticks=30)

    text = told("core", "--file", written(recorder.records, tmp_path / "a.jsonl"))

    assert (
        "Route The weights are to go from us-east-1 50, eu-west-1 30, ap-southeast-1 20 to" in text
    )
    assert "The route mplp-production/mplp-global-traffic was patched." in text
    assert "Demand of all regions:" in text


def test_a_target_that_is_left_alone_says_why(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.floors[CORE] = 0
    recorder.tick(100.0, ticks=2)

    text = told("core", "--file", written(recorder.records, tmp_path / "a.jsonl"))

    assert "The target is left alone:" in text
    assert "(ScaledToZero)" in text


def test_json_holds_the_numbers_of_the_record(morning: Path) -> None:
    result = called("explain", "core", "--file", morning, "--at", RISE, "--json")

    found: dict[str, Any] = json.loads(result.stdout)
    (target,) = found["targets"]
    row = decode_record(a_morning()[4]).decision.floors[0]
    assert target["forecast_peak_per_s"] == row.forecast_peak_per_s
    assert (target["floor_now"], target["floor"]) == (row.floor_now, row.floor)
    assert target["afterwards"]["peak_replicas"] == 9


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("kore",), "modules there are: core", id="a module that is not there"),
        pytest.param(
            ("core", "--region", EU), "its regions are: us-east-1", id="a region that is not there"
        ),
        pytest.param(
            ("core", "--at", "2027-01-15T07:00:00Z"),
            "records read: 2027-01-15 08:00:00 UTC to 2027-01-15 08:15:45 UTC",
            id="before all records",
        ),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(
    morning: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = called("explain", *arguments, "--file", morning)

    assert result.exit_code == 1
    assert said in result.stderr


def test_records_of_other_workers_do_not_hide_a_module(tmp_path: Path) -> None:
    one, two = a_morning()[:5], a_morning(targets=(ROLE,))[:9]

    text = told("core", "--file", written([*one, *two], tmp_path / "a.jsonl"))

    assert "core in us-east-1, decision 5" in text


any_rate = st.just(float("nan")) | st.floats(min_value=0, max_value=1e12)


@settings(max_examples=60)
@given(st.lists(st.tuples(any_rate, any_rate), min_size=1, max_size=4), st.booleans())
def test_every_decision_can_be_told(ticks: list[tuple[float, float]], active: bool) -> None:
    recorder = Recorder(active=active)
    for demand, peak in ticks:
        recorder.tick(demand, peak)

    for body in recorder.records:
        text = page(explained(decode_record(body), "core"))

        assert text.startswith("core in us-east-1, decision ")
        assert "nan" not in text.split()
        assert "None" not in text.replace("None of them", "").replace("Forecast   None.", "")


@contextmanager
def a_service(latest: LatestRecord) -> Iterator[str]:
    """The probe server of a worker, on a port of its own."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    checks, registry = CurrentChecks(), CollectorRegistry()
    server = ProbeServer(HttpSettings(port=port), checks, registry, latest)
    server.start()
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:
            assert client.get(f"{url}/livez").status_code == 200
        yield url
    finally:
        server.stop()


def test_a_running_service_is_asked_for_its_newest_decision() -> None:
    latest = LatestRecord()
    with a_service(latest) as url:
        before = called("explain", "core", "--service", url)
        latest.body = a_morning()[4]
        after = called("explain", "core", "--service", url)
        body = httpx.get(f"{url}/decisions/latest")

    assert before.exit_code == 1
    assert "no decision has been made yet" in before.stderr
    assert "decision 5 of 2027-01-15 08:01:00 UTC" in after.stdout
    assert (body.content, body.headers["content-type"]) == (latest.body, "application/json")


def test_a_service_that_is_away_ends_with_exit_code_3() -> None:
    (port,) = free_ports(1)

    result = called("explain", "core", "--service", f"http://127.0.0.1:{port}")

    assert result.exit_code == 3
    assert f"127.0.0.1:{port}" in result.stderr
