"""Workflows that started are told with the demand of the modules that they will ask, once each."""

from __future__ import annotations

import msgspec

from streams.demand import DemandCell, DemandPart, decode_demand, encode_demand, supersedes
from streams.event_columns import columns_of
from streams.event_types import OTHER, Heartbeat
from streams.windows import Verdict
from tests.streams.window_builders import CELLS, T0, a_request, a_window, read

END = Heartbeat("", T0 + 10_000)
US = "us-east-1"


def test_stage_is_told_at_its_own_module_and_is_no_demand_there() -> None:
    parts = read([a_request(5, requests=4.0, stages=("plan", "plan")), END], a_window())

    core, plan = parts
    assert (core.module, core.cells[0].requests, core.announced) == ("core", 4.0, ())
    assert (plan.module, plan.cells, plan.announced) == ("plan", (), ((US, 8.0),))


def test_repeated_event_announces_once() -> None:
    twice = [a_request(at_s, event_id="a", stages=("plan",)) for at_s in (5, 6)]

    _, plan = read([*twice, END], a_window())

    assert plan.announced == ((US, 1.0),)


def test_late_event_sends_what_it_announces_out_again_in_whole() -> None:
    windows = a_window(amend_s=30)
    read([a_request(5, stages=("plan",)), Heartbeat("", T0 + 35)], windows)

    windows.add(a_request(6, requests=2.0, stages=("plan",)), 2)

    core, plan = windows.close()
    assert (core.revision, core.cells[0].requests) == (3, 3.0)
    assert (plan.revision, plan.announced) == (3, ((US, 3.0),))


def test_stage_that_is_not_ours_is_counted_and_its_request_too() -> None:
    windows = a_window()
    event = a_request(5, stages=(OTHER, "plan"))

    verdicts = windows.add_columns(columns_of([event, a_request(5)], [0, 1], CELLS))

    assert verdicts == {Verdict.COUNTED: 2, Verdict.UNKNOWN_STAGE: 1}


def test_workflow_of_a_module_that_is_not_ours_announces_nothing() -> None:
    event = a_request(5, module=OTHER, region=OTHER, stages=("plan",))

    assert read([event, END], a_window()) == []


def test_of_equal_revisions_the_part_that_announces_more_counts() -> None:
    less, more = (DemandPart("plan", 0, 10, 0, (), announced=((US, n),)) for n in (1.0, 2.0))

    assert supersedes(more, less)
    assert not supersedes(less, more)


class EarlierPart(msgspec.Struct, tag="demand", tag_field="kind"):
    """What a release from before announcements reads."""

    module: str
    cells: tuple[DemandCell, ...]


def test_release_from_before_announcements_passes_them_over_and_its_parts_are_read() -> None:
    part = DemandPart("plan", 0, 10, 0, (), announced=((US, 2.0),))
    body = encode_demand(part)
    earlier = msgspec.json.decode(body)
    del earlier["announced"]

    assert decode_demand(body) == part
    assert msgspec.json.decode(body, type=EarlierPart) == EarlierPart("plan", ())
    assert decode_demand(msgspec.json.encode(earlier)) == DemandPart("plan", 0, 10, 0, ())
