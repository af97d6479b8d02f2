"""Samples of prometheus-kafka-adapter, as its JSON serializer writes them."""

from __future__ import annotations

from typing import Any

import pytest

from streams.event_types import Ignored, MetricSample, Rejected
from tests.streams.format_bodies import NOON_S, read
from tests.streams.metric_bodies import COUNTER, a_scrape, the_sample


def test_sample_of_the_prometheus_adapter_is_read_as_it_comes() -> None:
    assert the_sample(a_scrape()) == MetricSample(
        "", NOON_S, COUNTER, 4711.0, "core", "eu-west-1",
        (("app", "mplp-core"), ("instance", "10.0.0.7:8080"), ("job", "mplp-modules"),
         ("region", "eu-west-1"), ("status", "200")),
    )  # fmt: skip


@pytest.mark.parametrize("value", ["1e+06", "0", "123456789.5", "4711"])
def test_value_of_the_adapter_is_text_in_any_notation_of_go(value: str) -> None:
    assert the_sample(a_scrape(value=value)).value == float(value)


def test_replica_of_prometheus_tells_servers_apart_and_not_series() -> None:
    labels = {"app": "mplp-core", "pod": "core-0"}
    first, second = (
        the_sample(a_scrape(labels={**labels, "prometheus_replica": replica})) for replica in "ab"
    )

    assert first.labels == second.labels == (("app", "mplp-core"), ("pod", "core-0"))
    assert (first.replica, second.replica) == ("a", "b")


def test_region_of_the_header_stands_in_where_no_label_names_one() -> None:
    record = a_scrape(headers=[("region", b"eu-west-1")], labels={"app": "mplp-core"})

    assert the_sample(record).region == "eu-west-1"


def test_staleness_marker_of_prometheus_is_a_sign_of_life_and_no_value() -> None:
    assert list(read(a_scrape(value="NaN"))) == [Ignored("", NOON_S, "staleness marker")]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"value": "+Inf"}, "invalid_field"),
        ({"value": "-Inf"}, "invalid_field"),
        ({"value": "1e999"}, "invalid_field"),
        ({"value": ""}, "invalid_field"),
        ({"value": None}, "invalid_field"),
        ({"name": ""}, "invalid_field"),
        ({"labels": {"app": 7}}, "invalid_field"),
        ({"timestamp": "2026-01-01T12:00:00"}, "invalid_time"),
        ({"timestamp": "2026-01-01T12:06:00Z"}, "future_time"),
    ],
)
def test_sample_of_the_adapter_that_is_no_good_is_refused_for_its_reason(
    changed: dict[str, Any], reason: str
) -> None:
    (refused,) = read(a_scrape(**changed))

    assert isinstance(refused, Rejected)
    assert refused.reason == reason
