"""`events inspect`: what is on a topic, in counts that are true and sentences that help."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.config import load_settings
from predictor.events.findings import judge
from predictor.events.naming_catalog import NAMES_MAX
from predictor.events.quantile_sketch import QuantileSketch
from predictor.events.topic_report import TopicReport
from predictor.events.topic_survey import TopicSurvey
from predictor.settings import Settings
from streams.events import Catalog
from tests.service.events_command import events

T0 = 1_795_593_600
GUIDE = Settings()
CATALOG = Catalog(GUIDE.modules, GUIDE.regions, default_region=GUIDE.region)


class Record(NamedTuple):
    """As aiokafka gives it; `timestamp` in ms."""

    offset: int
    value: bytes | None
    timestamp: int = -1
    timestamp_type: int = 1
    headers: tuple[tuple[str, bytes | None], ...] = ()


def a_request(number: int, **changes: Any) -> bytes:
    usual = {
        "kind": "request", "id": str(number), "time": T0 + number / 10, "module": "core",
        "region": "us-east-1",
    }  # fmt: skip
    fields = {**usual, **changes}
    return json.dumps({key: value for key, value in fields.items() if value is not None}).encode()


def surveyed(*partitions: list[Record]) -> TopicReport:
    survey = TopicSurvey("a topic", CATALOG, len(partitions))
    for number, records in enumerate(partitions):
        for start in range(0, len(records), 70):
            survey.add(number, records[start : start + 70])
    return judge(survey.report(), GUIDE)


def numbered(values: Sequence[bytes | None], **fields: Any) -> list[Record]:
    return [Record(offset, value, **fields) for offset, value in enumerate(values)]


def codes(report: TopicReport) -> dict[str, str]:
    return {one.code: one.level for one in report.findings}


def thousand(make: Callable[[int], bytes] = a_request) -> list[bytes | None]:
    return [make(number) for number in range(1000)]


def test_requests_are_counted_by_module_and_region_without_repetitions() -> None:
    values = [a_request(number, count=3, module="plans") for number in range(200)]

    report = surveyed(numbered([*values, *values[:40], a_request(900, routing="pinned")]))

    assert (report.events, report.duplicates, report.requests) == (241, 40, 601)
    assert {(one.module, one.region): one.requests for one in report.places} == {
        ("plan", "us-east-1"): 600,
        ("core", "us-east-1"): 1,
    }
    assert (report.summaries, report.pinned) == (200, 1)


@pytest.mark.parametrize(
    ("values", "code", "level", "sentence"),
    [
        pytest.param([], "Empty", "error", "no record", id="nothing there"),
        pytest.param([b"\x0a\xff\x00"] * 9, "NothingDecodable", "error", "none of 9 records",
                     id="another format"),
        pytest.param([a_request(1, module="shop")], "NothingConfigured", "error", "not configured",
                     id="another platform"),
        pytest.param([b'{"kind":"heartbeat","time":1795593600}'], "NoRequests", "error",
                     "1 heartbeats", id="only heartbeats"),
        pytest.param([*thousand(), b"{"], "Rejected", "note", "malformed (1)", id="one torn"),
        pytest.param([*thousand(), *[b"{"] * 100], "Rejected", "warning", "9.1 % of", id="many"),
        pytest.param(thousand(lambda n: a_request(n, module="core" if n % 4 else "gateway")),
                     "UnknownModules", "warning", "gateway (250)", id="a module of their own"),
        pytest.param(thousand(lambda n: a_request(n, region="us-east-1" if n % 8 else "iowa")),
                     "UnknownRegions", "warning", "iowa (125)", id="a region of their own"),
        pytest.param(thousand(lambda n: a_request(n, region="us-east-1" if n % 8 else None)),
                     "NoRegion", "warning", "12 % of the events", id="no region"),
        pytest.param(thousand(lambda n: a_request(n, time=T0 + n - 200 * (n % 50 == 0))),
                     "LatenessShort", "warning", "300 covers 99.99 %", id="very late events"),
        pytest.param(thousand(), "Lateness", "good", "lateness_s: 30 covers 100 %", id="in time"),
        pytest.param(thousand(), "LatenessLong", "note", "5 s would cover", id="in order"),
        pytest.param(thousand(), "NoHeartbeats", "note", "no heartbeats", id="no heartbeats"),
        pytest.param([a_request(n, time=T0 + n / 2500) for n in range(5000)], "ManyEvents", "note",
                     "sender that counts", id="an event for each of many requests"),
    ],
)  # fmt: skip
def test_a_finding_says_what_is_there(
    values: list[bytes | None], code: str, level: str, sentence: str
) -> None:
    report = surveyed(numbered(values))

    assert codes(report).get(code) == level
    assert sentence in next(one.sentence for one in report.findings if one.code == code)


def test_every_proposed_configuration_can_be_loaded_as_it_stands(tmp_path: Path) -> None:
    late = [a_request(n, time=T0 + n - 200 * (n % 50 == 0)) for n in range(1000)]
    strange = [a_request(n, module="gateway") for n in range(9)]
    placeless = [a_request(n, region="iowa" if n % 2 else None) for n in range(9)]
    report = surveyed(numbered([*late, *strange, *placeless]))
    proposed = [one.configuration for one in report.findings if one.configuration]

    assert len(proposed) == 4
    for number, text in enumerate(proposed):
        filled = text.replace("''", "core")
        assert isinstance(yaml.safe_load(filled), dict)
        path = tmp_path / f"{number}.yaml"
        path.write_text(filled)
        load_settings(path, {})


def test_times_are_compared_with_the_records() -> None:
    def at(seconds: float) -> int:
        return int((T0 + seconds) * 1000)

    records = [
        Record(0, a_request(0, time=T0), at(4)),
        Record(1, a_request(1, time=T0 + 20), at(5)),
        Record(2, a_request(2, time=None), at(6)),
        Record(3, a_request(3, time=T0 + 7), at(7)),
        Record(4, a_request(4, time=T0 + 9000), at(8)),
    ]

    report = surveyed(records)

    assert (report.ahead_of_record, report.ahead_of_record_max_s) == (1, 15.0)
    assert report.without_time == 1
    assert report.delay.max_s == 4.0
    assert {"AheadOfRecord", "FutureTime", "NoTime"} <= codes(report).keys()
    assert "StampedBySender" not in codes(report)
    by_sender = [one._replace(timestamp_type=0) for one in records]
    assert "StampedBySender" in codes(surveyed(by_sender))


def test_a_fast_clock_does_not_make_everybody_late() -> None:
    usual_s = [T0 + n / 10 for n in range(2000)]
    mad = range(1066, 2000, 97)
    values = [a_request(n, time=at_s + 5000 * (n in mad)) for n, at_s in enumerate(usual_s)]

    report = surveyed(numbered(values))

    assert report.late == 0
    assert report.ahead_of_others == len(mad)


def test_a_partition_that_is_silent_is_told_from_one_that_is_behind() -> None:
    steady = numbered([a_request(n) for n in range(1000)])
    behind = numbered([a_request(n) for n in range(100)])

    report = surveyed(steady, behind, [])

    assert [one.behind_s for one in report.partitions] == [0, 90, None]
    assert "2 of 3 partitions" in next(
        one.sentence for one in report.findings if one.code == "IdlePartitions"
    )


def test_a_rejected_record_is_shown_with_its_place_and_fault() -> None:
    report = surveyed(numbered([a_request(0), b"hello", None, b"bye"]))

    found = {one.reason: one for one in report.rejected}
    assert (found["malformed"].count, found["malformed"].offset) == (2, 1)
    assert found["tombstone"].count == 1
    assert [(one.name, one.records, one.rejected_records) for one in report.formats] == [
        ("(no value)", 1, 1),
        ("json", 3, 2),
    ]


def test_a_flood_of_names_does_not_grow_the_report() -> None:
    values = [a_request(n, module=f"pod-of-{n}-x") for n in range(5000)]

    report = surveyed(numbered(values))

    assert len(report.unknown_names) == NAMES_MAX + 1
    assert sum(one.events for one in report.unknown_names) == 5000


def test_samples_of_metrics_and_ends_of_requests_are_told_from_arrivals() -> None:
    sample = {"kind": "metric", "name": "queue", "value": 4, "module": "core", "time": T0}
    ended = {"event_id": "1", "event_type": "mplp.request.completed", "source": "core",
             "timestamp": "2026-11-25T08:00:00Z"}  # fmt: skip

    report = surveyed(numbered([json.dumps(one).encode() for one in (sample, ended)]))

    assert (report.samples, report.ignored, report.events) == (1, 1, 0)


@given(
    durations_s=st.lists(st.floats(0, 1e6), min_size=1, max_size=200),
    share=st.sampled_from([0.5, 0.9, 0.99, 0.9999]),
)
@settings(deadline=None)
def test_quantiles_are_right_to_the_width_of_a_bin(durations_s: list[float], share: float) -> None:
    sketch = QuantileSketch()
    half = len(durations_s) // 2
    sketch.add(np.array(durations_s[:half]))
    other = QuantileSketch()
    other.add(np.array(durations_s[half:]))
    sketch.merge(other)

    true_s = float(np.quantile(durations_s, share, method="inverted_cdf"))

    assert sketch.quantile_s(share) == pytest.approx(true_s, rel=0.0251, abs=0.001)
    assert sketch.max_s == max(durations_s)


def test_a_file_is_looked_at_like_a_topic(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(one for one in thousand() if one))

    shown = events("inspect", file)
    told = events("inspect", file, "-o", "json")

    assert shown.exit_code == told.exit_code == 0
    assert "core" in shown.stdout
    assert "lateness_s: 30 covers 100 %" in shown.stdout
    report = json.loads(told.stdout)
    assert report["requests"] == 1000
    assert report["places"][0]["module"] == "core"


def test_a_file_of_something_else_is_a_negative_answer(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("milk\nbread\n")

    done = events("inspect", file)

    assert done.exit_code == 1
    assert "none of 2 records can be read" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--last", "1h", "--from-beginning"), 2),
        (("events.jsonl", "--seconds", "3"), 2),
        (("/nowhere/events.jsonl",), 3),
    ],
)
def test_what_cannot_be_inspected_ends_with_its_code(arguments: tuple[str, ...], code: int) -> None:
    assert events("inspect", *arguments).exit_code == code
