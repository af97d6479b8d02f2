"""MPLP's own events are counted as they are: every arrival once, whatever became of it."""

from __future__ import annotations

from typing import Any

import pytest

from streams.arrivals import ARRIVALS
from streams.event_types import OTHER, WorkflowRequest
from streams.events import FormatOptions, Ignored, Rejected, RejectReason, RequestEvent
from tests.streams.format_bodies import (
    CONTRACT,
    MODULES,
    NOON_S,
    NOON_TEXT,
    SHAPE_MODULES,
    SHAPES,
    Record,
    a_message,
    as_json,
    camel,
    read,
)

H = SHAPES["H"]
PLANLESS = {"event_id": "1", "event_type": "request.received", "timestamp": NOON_TEXT}


def one(fields: object, **options: Any) -> object:
    (outcome,) = read(Record(as_json(fields), (), FormatOptions(**options)))
    return outcome


def module_of(fields: object, **options: Any) -> str:
    event = one(fields, **options)
    assert isinstance(event, RequestEvent), event
    return event.module


@pytest.mark.parametrize("write", [dict, camel], ids=["snake_case", "camelCase"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_one_request_at_its_module(shape: str, write: Any) -> None:
    fields = SHAPES[shape]
    names = ("event_id", "id", "message_id", "requestId")
    event_id = next(fields[name] for name in names if name in fields)

    event = one(write(fields))

    said = (event_id, NOON_S, SHAPE_MODULES[shape], "us-east-1", 1.0, False)
    announces = WorkflowRequest(*said, stages=("plan",))
    assert event == (announces if shape == "D" else RequestEvent(*said))


@pytest.mark.parametrize("shape", SHAPES)
def test_wrapped_in_a_queues_message_a_shape_is_the_same_event(shape: str) -> None:
    bare = one(SHAPES[shape])

    assert one(a_message(SHAPES[shape])) == bare
    assert one(a_message(as_json(SHAPES[shape]).decode())) == bare


def test_queues_message_may_wrap_an_event_of_our_contract() -> None:
    assert one(a_message(CONTRACT)) == one(CONTRACT)


def test_queues_message_stands_in_for_what_its_payload_does_not_say() -> None:
    payload = {"moduleId": "plan", "requestId": "", "serviceId": "s"}

    event = one(a_message(payload, headers={"region": "eu-west-1"}))

    assert event == RequestEvent("m-1", NOON_S, "plan", "eu-west-1", 1.0, pinned=False)


def test_message_in_a_message_in_a_message_is_not_opened() -> None:
    rejected = one(a_message(a_message(H)))

    assert isinstance(rejected, Rejected)
    assert rejected.reason == RejectReason.UNKNOWN_KIND


@pytest.mark.parametrize(
    "status", ["success", "error", "timeout", "rejected", 429, 503, None, {"code": 2}], ids=str
)
def test_refused_and_failed_calls_are_demand_too(status: object) -> None:
    assert one({**H, "status": status}) == one(H)


@pytest.mark.parametrize(
    ("fields", "event_id"),
    [
        ({"event_id": "a", "id": "b", "messageId": "c", "requestId": "d"}, "a"),
        ({"id": "b", "messageId": "c", "requestId": "d"}, "b"),
        ({"messageId": "c", "requestId": "d"}, "c"),
        ({"event_id": "", "id": None, "requestId": "d"}, "d"),
        ({"requestId": "exec-1767268800000-q"}, "exec-1767268800000-q"),
        ({"requestId": "x" * 128}, "x" * 128),
        ({"requestId": 42}, "42"),
        ({"requestId": ""}, ""),
    ],
)
def test_identity_is_the_first_of_its_names(fields: dict[str, object], event_id: str) -> None:
    event = one({"requestId": None, "moduleId": "core", "timestamp": NOON_TEXT, **fields})

    assert isinstance(event, RequestEvent)
    assert event.event_id == event_id


@pytest.mark.parametrize("event_id", ["x" * 129, [1], 1.5])
def test_identity_that_is_none_is_refused(event_id: object) -> None:
    rejected = one({**H, "requestId": event_id})

    assert isinstance(rejected, Rejected)
    assert rejected.reason == RejectReason.INVALID_FIELD


@pytest.mark.parametrize("name", ["time", "timestamp", "created_at", "createdAt"])
@pytest.mark.parametrize("written", [NOON_TEXT, NOON_S, int(NOON_S * 1e6)])
def test_time_stands_under_any_of_its_names(name: str, written: object) -> None:
    fields = {key: value for key, value in H.items() if key != "timestamp"}

    event = one({**fields, name: written})

    assert isinstance(event, RequestEvent)
    assert event.time_s == NOON_S


def test_time_without_zone_is_refused_and_none_is_the_records() -> None:
    rejected = one({**H, "timestamp": "2026-01-01T12:00:00"})

    assert isinstance(rejected, Rejected)
    assert rejected.reason == RejectReason.INVALID_TIME
    assert one({**H, "timestamp": None}) == one(H)


# In the order of authority: each row has the sources of the rows below it as well.
SOURCES: list[tuple[str, dict[str, object]]] = [
    ("plan", {"module": "plan"}),
    ("role", {"source_module": "mplp-role"}),
    ("trace", {"source": "trace"}),
    ("dialog", {"moduleId": "dialog-module-001"}),
    ("collab", {"sender": {"module_type": "collab_module"}}),
    ("network", {"labels": {"app": "mplp-network"}}),
    ("context", {"attributes": {"service.name": "mplp-context-service"}}),
    ("confirm", {"http.route": "/api/v1/confirms/{id}"}),
    ("extension", {"event_type": "extension.request.received"}),
]


@pytest.mark.parametrize("row", range(len(SOURCES)), ids=[name for name, _ in SOURCES])
def test_module_is_the_first_of_its_sources(row: int) -> None:
    fields: dict[str, object] = dict(PLANLESS)
    for _, source in SOURCES[row:]:
        fields.update(source)

    assert module_of(fields) == SOURCES[row][0]


@pytest.mark.parametrize("path", ["/api/plans", "/api/v1/plans/7/execute", "https://x/api/v2/plan"])
def test_route_names_the_module(path: str) -> None:
    assert module_of({**PLANLESS, "data": {"path": path}}) == "plan"


def test_module_that_is_not_ours_is_other_even_if_a_hint_names_one_of_ours() -> None:
    event = one({**PLANLESS, "module": "billing", "source": "core"})

    assert isinstance(event, RequestEvent)
    assert (event.module, event.region) == (OTHER, OTHER)


def test_source_that_is_no_module_leaves_it_to_the_type() -> None:
    assert module_of({**SHAPES["B"], "source": "runtime.ael"}) == "plan"


def test_without_any_name_for_the_module_an_arrival_is_refused() -> None:
    rejected = one(PLANLESS)

    assert isinstance(rejected, Rejected)
    assert rejected.reason == RejectReason.INVALID_FIELD


@pytest.mark.parametrize(
    "fields",
    [
        {"region": "eu-west-1"},
        {"cloud.region": "EU-WEST-1"},
        {"labels": {"region": "eu-west-1"}},
        {"labels": {"cluster": "eu-west-1"}},
        {"attributes": {"topology.kubernetes.io/region": "eu-west-1"}},
        {"data": {"region": "eu-west-1"}},
    ],
    ids=str,
)
def test_region_is_found_where_senders_put_it(fields: dict[str, object]) -> None:
    event = one({**H, **fields})

    assert isinstance(event, RequestEvent)
    assert event.region == "eu-west-1"


@pytest.mark.parametrize("fields", [H, {"kind": "request", "module": "core"}], ids=["H", "ours"])
def test_records_header_gives_the_region_before_the_default_does(fields: dict[str, Any]) -> None:
    headers = [("region", b"us-east-1"), ("region", b"eu-west-1")]

    (event,) = read(Record(as_json(fields), headers))
    (named,) = read(Record(as_json({**fields, "region": "us-east-1"}), headers))

    assert isinstance(event, RequestEvent)
    assert isinstance(named, RequestEvent)
    assert (event.region, named.region) == ("eu-west-1", "us-east-1")


def test_aggregate_sampling_and_routing_count_in_any_shape() -> None:
    event = one({**H, "count": 30, "sampleRate": 0.1, "routing": "pinned"})

    assert event == RequestEvent("req-1", NOON_S, "core", "us-east-1", 300.0, True, None, 2700.0)


ENDS = ["request.completed", "mplp.core.request.failed", "request_rejected", "response",
        "workflow_completed", "tool_execution_failed", "SAStepCompleted"]  # fmt: skip
STARTS = ["mplp.request.started", "request.received", "core.request.accepted", "workflow_started",
          "tool_execution_started", "SAStepStarted", "MAPSessionStarted"]  # fmt: skip
ALONE = [
    "plan_created",
    "user_message_received",
    "capability_granted",
    "io.mplp.confirm.created.v1",
]
NEITHER = ["graph_update", "connection_established", "SAInitialized", "server_started", "tool.call"]


@pytest.mark.parametrize("event_type", [*STARTS, *ENDS, *ALONE, *NEITHER])
@pytest.mark.parametrize("count_on", ["started", "completed"])
def test_request_is_counted_at_its_start_or_at_its_end_and_never_at_both(
    event_type: str, count_on: str
) -> None:
    outcome = one({**PLANLESS, "event_type": event_type, "source": "core"}, count_on=count_on)

    counted = event_type in ALONE or event_type in (STARTS if count_on == "started" else ENDS)
    assert isinstance(outcome, RequestEvent if counted else Ignored), outcome


def test_what_is_no_arrival_still_proves_that_the_feed_is_alive() -> None:
    assert one({**H, "event_type": "request.completed"}) == Ignored(
        "req-1", NOON_S, "request.completed", 1
    )


def test_options_say_which_types_count_and_where() -> None:
    arrivals = {"tool.call": "extension", "plan_created": False, "SAInitialized": True}
    base = {"event_id": "1", "timestamp": NOON_TEXT}

    assert module_of({**base, "event_type": "tool.call"}, arrivals=arrivals) == "extension"
    assert module_of(
        {**base, "event_type": "SAInitialized", "source": "role"}, arrivals=arrivals
    ) == "role"  # fmt: skip
    assert isinstance(one({**base, "event_type": "plan_created"}, arrivals=arrivals), Ignored)


WORKFLOW = {"event_id": "1", "event_type": "workflow_started", "timestamp": NOON_TEXT}


@pytest.mark.parametrize("place", ["stages", "data", "payload"])
def test_stages_of_a_workflow_stand_at_the_top_or_in_its_data(place: str) -> None:
    stages = ["mplp-plan-service", "confirm", "plan", "billing"]
    event = one({**WORKFLOW, place: stages if place == "stages" else {"stages": stages}})

    assert isinstance(event, WorkflowRequest)
    assert event.stages == ("plan", "confirm", "plan", OTHER)


@pytest.mark.parametrize("stages", ["plan", 7, ["plan", 7], {"plan": 1}, ["x" * 200]])
def test_stages_that_cannot_be_read_are_one_not_ours_and_the_request_counts(stages: object) -> None:
    event = one({**WORKFLOW, "stages": stages})

    assert isinstance(event, WorkflowRequest)
    assert (event.requests, event.stages) == (1.0, (OTHER,))


def test_of_too_many_stages_the_first_are_taken() -> None:
    event = one({**WORKFLOW, "stages": ["plan"] * 100})

    assert isinstance(event, WorkflowRequest)
    assert event.stages == ("plan",) * 63 + (OTHER,)


def test_payload_is_never_shown() -> None:
    for fields in ({**SHAPES["A"], "timestamp": []}, {"payload": "secret"}):
        rejected = one(fields)

        assert isinstance(rejected, Rejected)
        assert "secret" not in rejected.detail


def test_every_module_with_work_of_its_own_is_in_the_table() -> None:
    # Trace's load is everybody's events and network's is a level: neither has an arrival.
    assert set(ARRIVALS.values()) == set(MODULES) - {"trace", "network"}
