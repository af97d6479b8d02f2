"""`events inspect` on metrics: which count requests, how many, and what keeps others out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import yaml

from predictor.config import load_settings
from predictor.events.findings import judge
from predictor.events.metric_survey import MORE, ROWS_MAX
from predictor.events.topic_report import MetricRow, TopicReport
from predictor.events.topic_survey import TopicSurvey
from predictor.settings import MetricSettings, Settings
from streams.events import Catalog
from tests.service.events_command import events
from tests.streams.format_bodies import NOON_S, as_json
from tests.streams.metric_bodies import COUNTER, from_adapter

GUIDE = Settings(metrics=MetricSettings(topic="mplp.metrics"))
CATALOG = Catalog(GUIDE.modules, GUIDE.regions, default_region=GUIDE.region)


class Record(NamedTuple):
    """As aiokafka gives it."""

    offset: int
    value: bytes
    key: bytes | None = b"pod"
    timestamp: int = int(NOON_S * 1000) + 3_600_000
    timestamp_type: int = 1
    headers: tuple[tuple[str, bytes | None], ...] = ()


def scrape(minute: float, value: float, name: str = COUNTER, **labels: str) -> bytes:
    """Of a pod of core in eu-west-1, unless the labels say something else."""
    second = int(minute * 60)
    known = {"app": "mplp-core", "region": "eu-west-1", "pod": "core-0"}
    time = f"2026-01-01T12:{second // 60:02}:{second % 60:02}Z"
    return as_json(
        from_adapter(f"{value:g}", name=name, timestamp=time, labels={**known, **labels})
    )


def surveyed(
    values: list[bytes], *, partitions: int = 1, key: bytes | None = b"pod", lateness_s: float = 60
) -> TopicReport:
    survey = TopicSurvey("mplp.metrics", CATALOG, partitions, lateness_s=lateness_s)
    survey.add(0, [Record(offset, value, key) for offset, value in enumerate(values)])
    return judge(survey.report(), GUIDE)


def counter(minutes: int, every: float = 0.5, **labels: str) -> list[bytes]:
    """120 requests a minute."""
    return [scrape(turn * every, 120 * turn * every, **labels) for turn in range(minutes * 2 + 1)]


def codes(report: TopicReport) -> dict[str, str]:
    return {one.code: one.level for one in report.findings}


def test_samples_are_told_by_metric_module_and_region_with_the_rate_of_requests() -> None:
    queue = [scrape(turn, 3, "mplp_context_queue_length") for turn in range(10)]
    strange = [scrape(0, 1, "queue_of_somebody"), scrape(1, 7, "queue_of_somebody")]

    report = surveyed(
        [*counter(9), *counter(9, pod="core-1", region="us-east-1"), *queue, *strange]
    )

    assert report.metrics == (
        MetricRow(COUNTER, "requests", "core", "eu-west-1", 1, 19, 1080.0, 2.0),
        MetricRow(COUNTER, "requests", "core", "us-east-1", 1, 19, 1080.0, 2.0),
        MetricRow("mplp_context_queue_length", "not_demand", "", "", 1, 10, 0.0, 0.0),
        MetricRow("queue_of_somebody", "unknown", "", "", 1, 2, 0.0, 0.0),
    )
    assert (report.samples, report.sample_requests, report.rejected_events) == (50, 2160, 0)
    assert report.sample_verdicts["metric_counted"] == 36
    assert "error" not in codes(report).values()


def of(name: str, **labels: str) -> list[bytes]:
    return [scrape(turn, turn, name, **labels) for turn in range(20)]


@pytest.mark.parametrize(
    ("values", "code", "level", "sentence"),
    [
        pytest.param(of("shop_calls_total"), "NoDemandMetric", "error", "shop_calls_total",
                     id="a name that nobody knows"),
        pytest.param(of(COUNTER, app="billing", pod="b-0"), "NothingConfigured", "error",
                     "every sample", id="another platform"),
        pytest.param(counter(9), "Interval", "good", "30 s apart", id="all is well"),
        pytest.param(counter(9, every=3), "IntervalLong", "warning", "180 s apart",
                     id="long between two"),
        pytest.param([*counter(9), *of("mplp_requests_per_second")[:10]], "SecondSource", "note",
                     f"counted are {COUNTER}", id="two sources"),
        pytest.param([*counter(9), scrape(30, -1)], "SamplesPassedOver", "warning",
                     "1 samples are negative", id="negative"),
    ],
)  # fmt: skip
def test_a_finding_says_what_keeps_samples_from_being_demand(
    values: list[bytes], code: str, level: str, sentence: str
) -> None:
    report = surveyed(values)

    assert codes(report).get(code) == level
    assert sentence in next(one.sentence for one in report.findings if one.code == code)


def test_a_lateness_far_above_the_interval_is_shown_to_cost_time() -> None:
    assert codes(surveyed(counter(9), lateness_s=300))["IntervalShort"] == "note"


@pytest.mark.parametrize(
    ("partitions", "key", "level"),
    [(1, None, None), (3, b"pod", None), (3, None, "error")],
    ids=["one partition", "keyed", "scattered"],
)
def test_samples_that_may_lie_in_any_partition_are_an_error(
    partitions: int, key: bytes | None, level: str | None
) -> None:
    report = surveyed(counter(9), partitions=partitions, key=key)

    assert codes(report).get("Unkeyed") == level
    assert report.sample_requests == (0 if level else 1080)


def test_proposed_configuration_can_be_loaded_as_it_stands(tmp_path: Path) -> None:
    reports = [surveyed(of("shop_calls_total")), surveyed(counter(9, every=3))]
    proposed = [one.configuration for report in reports for one in report.findings
                if one.configuration]  # fmt: skip

    assert len(proposed) >= 2
    for number, text in enumerate(proposed):
        assert isinstance(yaml.safe_load(text), dict)
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        load_settings(path, {})


def test_a_flood_of_metrics_does_not_grow_the_report() -> None:
    report = surveyed([scrape(0, 1, f"queue_{number}") for number in range(ROWS_MAX + 50)])

    assert len(report.metrics) == ROWS_MAX + 1
    assert report.metrics[0] == MetricRow(MORE, "unknown", "", "", 50, 50, 0.0, 0.0)


def test_a_file_of_metrics_is_shown_and_is_no_negative_answer(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(b"\n".join(counter(9)))

    shown = events("inspect", file)
    told = events("inspect", file, "-o", "json")

    assert shown.exit_code == told.exit_code == 0
    words = " ".join(shown.stdout.split())
    assert "19 metric samples tell of 1,080 requests" in words
    assert f"{COUNTER} requests core eu-west-1 1 19 2.00" in words
    report: dict[str, Any] = json.loads(told.stdout)
    assert msgspec.convert(report["metrics"], list[MetricRow])[0].requests == 1080
