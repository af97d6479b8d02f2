"""Which format a record is read in, and under which names modules and regions are known."""

from __future__ import annotations

import base64
from typing import Any, get_args

import msgspec
import pytest

from streams.event_types import OTHER
from streams.events import (
    FORMATS,
    FormatOptions,
    Headers,
    Ignored,
    Rejected,
    RejectReason,
    RequestEvent,
)
from streams.format_options import FormatName
from tests.streams.format_bodies import (
    CONTRACT,
    NOON_S,
    SHAPES,
    Record,
    a_catalog,
    as_json,
    packed,
    read,
)

CLOUD_EVENT = {
    "specversion": "1.0", "id": "7", "source": "/mplp/gateway", "type": "io.mplp.request.v1",
    "time": "2026-01-01T12:00:00Z", "data": {"module": "core", "count": 5},
}  # fmt: skip


def test_every_format_that_can_be_configured_is_registered() -> None:
    assert set(get_args(FormatName)) - {""} <= {form.name for form in FORMATS}


def test_headers_go_before_the_option_and_the_option_before_the_keys() -> None:
    options = FormatOptions(format="msgpack")
    line = as_json(CONTRACT)
    headers: Headers = [("content-type", b"application/x-ndjson")]

    (by_header,) = read(Record(line, headers, options))
    (by_option,) = read(Record(packed([0, "core"]).body, (), options))
    (by_keys,) = read(Record(line))

    assert by_header == by_keys
    assert isinstance(by_header, RequestEvent)
    assert isinstance(by_option, Rejected)
    assert by_option.reason == RejectReason.INVALID_TIME


def test_cloud_event_whose_header_was_lost_is_known_by_its_keys() -> None:
    (event,) = read(Record(as_json(CLOUD_EVENT)))

    assert event == RequestEvent("/mplp/gateway 7", NOON_S, "core", "us-east-1", 5.0, pinned=False)


def test_data_of_a_cloud_event_may_be_in_base64() -> None:
    fields = {name: value for name, value in CLOUD_EVENT.items() if name != "data"}
    data = base64.b64encode(as_json(CLOUD_EVENT["data"])).decode()

    (event,) = read(Record(as_json({**fields, "data_base64": data})))
    (rejected,) = read(Record(as_json({**fields, "data_base64": "%"})))

    assert list(read(Record(as_json(CLOUD_EVENT)))) == [event]
    assert isinstance(rejected, Rejected)
    assert rejected.reason == RejectReason.MALFORMED


def test_event_of_ours_may_have_a_field_called_like_an_envelopes() -> None:
    (event,) = read(Record(as_json({**CONTRACT, "specversion": "1.0"})))

    assert list(read(Record(as_json(CONTRACT)))) == [event]


@pytest.mark.parametrize(
    ("changed", "module"),
    [
        ({"type": "mplp.request.received", "data": {"moduleId": "plan-module-001"}}, "plan"),
        ({"type": "io.mplp.plan.created.v1", "data": {}}, "plan"),
        ({"type": "com.acme.request.started", "data": SHAPES["H"]}, "core"),
        ({"type": "request.received", "source": "https://mplp/role", "data": {}}, "role"),
    ],
)
def test_cloud_event_of_a_known_arrival_counts(changed: dict[str, Any], module: str) -> None:
    (event,) = read(Record(as_json({**CLOUD_EVENT, **changed})))

    assert isinstance(event, RequestEvent)
    assert event.module == module
    assert event.time_s == NOON_S
    assert str(event.event_id).endswith(" 7")


def test_cloud_event_of_an_end_is_ignored() -> None:
    (event,) = read(Record(as_json({**CLOUD_EVENT, "type": "mplp.request.completed"})))

    assert isinstance(event, Ignored)


def test_type_that_is_a_version_of_ours_to_come_is_not_taken_for_an_arrival() -> None:
    (rejected,) = read(Record(as_json({**CLOUD_EVENT, "type": "io.mplp.request.v2"})))

    assert isinstance(rejected, Rejected)
    assert rejected.reason == RejectReason.UNKNOWN_VERSION


def test_aliases_name_modules_and_regions_of_ours() -> None:
    options = FormatOptions(
        module_aliases={"planner": "plan"}, region_aliases={"Frankfurt": "eu-west-1"}
    )
    fields = {**CONTRACT, "module": "planner-7d9f8b6c5d-x2x9z", "region": "FRANKFURT"}

    (event,) = read(Record(as_json(fields), (), options))
    (unknown,) = read(Record(as_json(fields)))

    assert isinstance(event, RequestEvent)
    assert (event.module, event.region) == ("plan", "eu-west-1")
    assert isinstance(unknown, RequestEvent)
    assert unknown.module == OTHER


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (FormatOptions(module_aliases={"x": "billing"}), "'x' means 'billing'"),
        (FormatOptions(region_aliases={"x": "mars"}), "'x' means 'mars'"),
        (FormatOptions(module_aliases={"mplp-core": "plan"}), "'core' already"),
    ],
)
def test_alias_that_leads_nowhere_or_elsewhere_is_a_configuration_error(
    options: FormatOptions, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        a_catalog(options)


@pytest.mark.parametrize(
    "fields",
    [
        {"format": "xml"}, {"formats": "json"}, {"count_on": "both"}, {"span_sample_rate": 0},
        {"schemas": [{"id": -1, "language": "avro"}]}, {"arrivals": {"x": 3}},
    ],
)  # fmt: skip
def test_option_that_is_none_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, FormatOptions)


@pytest.mark.parametrize("name", ["", "x-region"])
def test_header_of_the_region_is_a_setting(name: str) -> None:
    record = Record(
        as_json({"kind": "request", "module": "core"}),
        [("x-region", b"eu-west-1"), ("region", b"mars")],
        FormatOptions(region_header=name),
    )

    (event,) = read(record)

    assert isinstance(event, RequestEvent)
    assert event.region == ("eu-west-1" if name else "us-east-1")
