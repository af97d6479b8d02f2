"""Buckets of one partition: nothing lost, nothing twice, wherever the reader stops."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.demand import DemandCell, DemandPart
from streams.event_columns import columns_of
from streams.event_types import Heartbeat, RequestEvent
from streams.watermark import Watermark
from streams.windows import PartitionWindows, Verdict
from tests.streams.window_builders import (
    CELLS,
    EVENTS,
    LATENESS_S,
    STOPS,
    T0,
    a_request,
    a_window,
    read,
    requests_of,
)


def test_watermark_stays_when_a_late_event_arrives() -> None:
    # event time   0 ------ 100
    # arrival     2nd       1st
    watermark = Watermark(lateness_s=30)
    watermark.see(np.array([100]), np.array([0]))

    watermark.see(np.array([0]), np.array([1]))

    assert watermark.reached_s == 70


def test_bucket_goes_out_when_the_watermark_has_passed_its_end() -> None:
    windows = a_window()

    assert read([a_request(3), a_request(9), a_request(29.9)], windows) == []
    windows.add(Heartbeat("", T0 + 30), 3)

    assert requests_of(windows.close()) == {0: 2}
    assert windows.close() == []


def test_part_holds_regions_and_pinned_requests_apart() -> None:
    events: list[RequestEvent | Heartbeat] = [
        a_request(1),
        a_request(2, region="eu-west-1", requests=10.0),
        a_request(3, pinned=True),
        a_request(4, module="plan"),
        Heartbeat("", T0 + 60),
    ]

    parts = {part.module: part for part in read(events, a_window())}

    assert parts["core"].cells == (
        DemandCell("eu-west-1", pinned=False, requests=10.0, events=1),
        DemandCell("us-east-1", pinned=False, requests=1.0, events=1),
        DemandCell("us-east-1", pinned=True, requests=1.0, events=1),
    )
    assert set(parts) == {"core", "plan"}
    assert parts["core"].partition == 3


def test_event_behind_the_watermark_is_late_even_before_its_bucket_is_taken_out() -> None:
    # event time   5 -- 40        bucket [0, 10) is over at 30
    windows = a_window()
    windows.add(a_request(40), 0)

    assert windows.add(a_request(5), 1) == Verdict.LATE
    assert windows.close() == []


def test_second_delivery_of_an_event_is_not_counted() -> None:
    windows = a_window()

    verdicts = [windows.add(a_request(5, event_id="a"), offset) for offset in range(2)]

    assert verdicts == [Verdict.COUNTED, Verdict.DUPLICATE]


def test_events_without_an_id_are_never_duplicates() -> None:
    windows = a_window()

    assert [windows.add(a_request(5), offset) for offset in range(2)] == [Verdict.COUNTED] * 2


def test_idle_partition_shows_what_it_has_and_still_closes_it_later() -> None:
    windows = a_window()
    windows.add(a_request(5), 0)

    assert requests_of(windows.snapshot()) == {0: 1}
    windows.add(a_request(6), 1)
    windows.add(Heartbeat("", T0 + 60), 2)

    assert requests_of(windows.close()) == {0: 2}


def stopped_and_never_stopped(
    events: list[RequestEvent | Heartbeat],
    stops: list[tuple[int, int]],
    generation: int,
    batch: int,
) -> tuple[list[DemandPart], list[DemandPart]]:
    """Each stop commits after so many records, reads some more in vain and is killed."""
    records = [events[at : at + batch] for at in range(0, len(events), batch)]

    def read_on(windows: PartitionWindows, number: int) -> None:
        begin = windows.position
        for offset, record in enumerate(records[begin : begin + number], begin):
            for event in record:
                windows.add(event, offset)

    whole = a_window(generation=generation)
    read_on(whole, len(records))
    seen: list[DemandPart] = []
    windows = a_window(generation=generation)
    for until_commit, wasted in stops:
        read_on(windows, until_commit)
        seen += windows.close()
        checkpoint = windows.checkpoint()
        read_on(windows, wasted)
        windows = a_window(checkpoint, generation)
    read_on(windows, len(records))
    return seen + windows.close(), whole.close()


@given(EVENTS, STOPS, st.integers(1, 8), st.integers(1, 3))
@settings(max_examples=300, deadline=None)
def test_reader_that_stops_anywhere_hands_over_the_same_parts(
    events: list[RequestEvent | Heartbeat],
    stops: list[tuple[int, int]],
    generation: int,
    batch: int,
) -> None:
    stopped, never_stopped = stopped_and_never_stopped(events, stops, generation, batch)

    assert stopped == never_stopped


@given(
    st.lists(st.sampled_from(["", *"ab"]), max_size=7),
    st.lists(st.sampled_from("abcd"), min_size=8, max_size=20),
    st.lists(st.tuples(st.integers(5, 15), st.integers(0, 9)), min_size=1, max_size=3),
    st.integers(2, 4),
    st.integers(1, 2),
)
@settings(max_examples=200, deadline=None)
def test_reader_that_stops_forgets_the_same_ids_as_one_that_does_not(
    before: list[str], ids: list[str], stops: list[tuple[int, int]], generation: int, batch: int
) -> None:
    """What was closed before is not read again; how far the ids had come is known all the same."""
    events: list[RequestEvent | Heartbeat] = [
        *(a_request(0, event_id=event_id) for event_id in before),
        Heartbeat("", T0 + 100),
        *(a_request(100, event_id=event_id) for event_id in ids),
        Heartbeat("", T0 + 10_000),
    ]

    stopped, never_stopped = stopped_and_never_stopped(events, stops, generation, batch)

    assert stopped == never_stopped


def test_restart_knows_how_far_event_time_had_come() -> None:
    windows = a_window()
    windows.add(Heartbeat("", T0 + 55), 0)

    assert a_window(windows.checkpoint()).newest_s == T0 + 55


@given(EVENTS, STOPS)
@settings(max_examples=200, deadline=None)
def test_no_event_is_found_late_twice(
    events: list[RequestEvent | Heartbeat], stops: list[tuple[int, int]]
) -> None:
    def late(windows: PartitionWindows, upto: int) -> int:
        verdicts = [windows.add(events[at], at) for at in range(windows.position, upto)]
        windows.close()
        return verdicts.count(Verdict.LATE)

    expected = late(a_window(), len(events))

    found, windows = 0, a_window()
    for until_commit, _ in stops:
        found += late(windows, min(len(events), windows.position + until_commit))
        windows = a_window(windows.checkpoint())
    found += late(windows, len(events))

    assert found == expected


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_order_repetition_and_batching_within_the_lateness_change_nothing(
    data: st.DataObject,
) -> None:
    """Nothing is late, since no event lies further behind another than the lateness."""
    times = data.draw(st.lists(st.integers(0, int(LATENESS_S)), min_size=1, max_size=20))
    events = [a_request(at_s, event_id=f"{i}", requests=2.0) for i, at_s in enumerate(times)]
    repeated = data.draw(st.lists(st.sampled_from(events), max_size=10))
    shuffled = data.draw(st.permutations([*events, *repeated]))
    batch = data.draw(st.integers(1, 9))
    flush = Heartbeat("", T0 + 1000)

    windows = a_window()
    for offset, begin in enumerate(range(0, len(shuffled), batch)):
        rows = shuffled[begin : begin + batch]
        windows.add_columns(columns_of(rows, [offset] * len(rows), CELLS))

    windows.add(flush, windows.position)
    found = windows.close()
    assert found == read([*events, flush], a_window())
    assert sum(requests_of(found).values()) == 2 * len(events)


@given(EVENTS)
@settings(max_examples=100, deadline=None)
def test_open_buckets_stay_within_the_lateness(events: list[RequestEvent | Heartbeat]) -> None:
    windows = a_window()
    for offset, event in enumerate(events):
        windows.add(event, offset)
        windows.close()
        assert windows.open_buckets <= LATENESS_S / 10 + 1
