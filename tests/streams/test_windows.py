"""Buckets of one partition: nothing lost, nothing twice, wherever the reader stops."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.demand import DemandCell, DemandPart
from streams.duplicates import DuplicateFilter
from streams.event_types import Heartbeat, RequestEvent
from streams.windows import Checkpoint, PartitionWindows, Verdict, Watermark

T0 = 1_764_000_000.0
LATENESS_S = 20.0


def a_request(at_s: float, **changed: object) -> RequestEvent:
    fields: dict[str, object] = {
        "event_id": "",
        "time_s": T0 + at_s,
        "module": "core",
        "region": "us-east-1",
        "requests": 1.0,
        "pinned": False,
    }
    return RequestEvent(**{**fields, **changed})  # type: ignore[arg-type]


def a_window(
    checkpoint: Checkpoint | None = None,
    generation: int = 1000,
    first_offset: int | None = None,
) -> PartitionWindows:
    return PartitionWindows(
        3,
        lateness_s=LATENESS_S,
        duplicate_offsets=generation,
        checkpoint=checkpoint,
        first_offset=first_offset,
    )


def gaps_of(windows: PartitionWindows, *, idle: bool = False) -> list[tuple[int, int]]:
    """The gaps it tells of, counted from T0; 0 where nobody knows since when."""
    gaps = windows.progress(8, idle=idle).gaps
    return [(from_s and from_s - int(T0), until_s - int(T0)) for from_s, until_s in gaps]


def read(
    events: Sequence[RequestEvent | Heartbeat], windows: PartitionWindows, first: int = 0
) -> list[DemandPart]:
    for offset, event in enumerate(events[first:], first):
        windows.add(event, offset)
    return windows.close()


def requests_of(parts: Sequence[DemandPart]) -> dict[int, float]:
    totals: dict[int, float] = {}
    for part in parts:
        at_s = part.bucket_start_s - int(T0)
        totals[at_s] = totals.get(at_s, 0) + sum(cell.requests for cell in part.cells)
    return totals


def test_watermark_stays_when_a_late_event_arrives() -> None:
    # event time   0 ------ 100
    # arrival     2nd       1st
    watermark = Watermark(lateness_s=30)
    watermark.see(100)

    watermark.see(0)

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


def test_duplicates_are_remembered_for_one_generation_and_memory_is_bounded() -> None:
    remembered = DuplicateFilter(generation_offsets=100)
    for offset in range(1000):
        assert not remembered.is_repeated(0, str(offset), offset)

    assert remembered.is_repeated(0, "950", 1000)
    assert len(remembered) <= 200


def test_idle_partition_shows_what_it_has_and_still_closes_it_later() -> None:
    windows = a_window()
    windows.add(a_request(5), 0)

    assert requests_of(windows.snapshot()) == {0: 1}
    windows.add(a_request(6), 1)
    windows.add(Heartbeat("", T0 + 60), 2)

    assert requests_of(windows.close()) == {0: 2}


def test_offset_alone_starts_behind_the_buckets_that_may_be_halves() -> None:
    # read from offset 7 with no metadata: an event of 12 s may be in company of earlier ones
    windows = a_window(Checkpoint(7, ""))
    events: list[RequestEvent | Heartbeat] = [a_request(12), a_request(31)]
    events += [a_request(42), Heartbeat("", T0 + 100)]

    for offset, event in enumerate(events, 7):
        windows.add(event, offset)

    assert requests_of(windows.close()) == {40: 1}
    assert gaps_of(windows) == [(0, 40)]


def test_late_first_record_does_not_make_lost_buckets_whole() -> None:
    # event time   5 (minutes late) ---------- 300 - 301 ------ 320 -- 400
    windows = a_window(Checkpoint(7, ""))
    for offset, at_s in enumerate([5, 300, 301, 320], 7):
        windows.add(a_request(at_s), offset)
    windows.add(Heartbeat("", T0 + 400), 11)

    assert requests_of(windows.close()) == {320: 1}
    assert gaps_of(windows) == [(0, 320)]


def test_records_that_expired_are_a_gap_from_where_the_checkpoint_had_come_to() -> None:
    # event time   0 - 45 | lost | 500 ---- 520 ---- 600       closed through 20
    before = a_window()
    read([a_request(0), a_request(45)], before)
    windows = a_window(before.checkpoint(), first_offset=50)

    assert windows.position == 50
    assert gaps_of(windows) == [(20, 50)]  # the open buckets are lost, whatever follows
    for offset, at_s in enumerate([500, 510, 520], 50):
        windows.add(a_request(at_s), offset)
    windows.add(Heartbeat("", T0 + 600), 53)

    assert requests_of(windows.close()) == {520: 1}
    assert gaps_of(windows) == [(20, 520)]


def test_expired_records_that_had_been_read_cost_only_the_buckets_that_were_open() -> None:
    # offset       0    1    2    3 | committed: 1, read through 3; now the first one left is 2
    before = a_window()
    read([a_request(0), a_request(21), a_request(22), a_request(45)], before)
    windows = a_window(before.checkpoint(), first_offset=2)

    verdicts = [windows.add(a_request(at_s), offset) for offset, at_s in enumerate([22, 45, 51], 2)]

    assert verdicts == [Verdict.REPLAYED, Verdict.REPLAYED, Verdict.COUNTED]
    assert gaps_of(windows) == [(20, 50)]


def test_gap_ends_when_all_missing_records_had_been_written() -> None:
    windows = a_window(Checkpoint(7, ""))
    windows.lost_before(T0 + 1000)
    windows.lost_before(T0 + 90)
    windows.lost_before(T0 + 2000)

    windows.add(a_request(500), 7)

    assert gaps_of(windows) == [(0, 110)]
    assert not windows.skipping_partial


def test_silent_partition_with_missing_records_holds_nobody_up_and_hides_nothing() -> None:
    before = a_window()
    read([a_request(0), a_request(45)], before)
    windows = a_window(before.checkpoint(), first_offset=50)

    assert not windows.progress(8, idle=True).idle
    windows.lost_before(T0 + 700)

    assert windows.progress(8, idle=True).idle
    assert gaps_of(windows, idle=True) == [(20, 720)]
    assert gaps_of(windows, idle=False) == [(20, 50)]


def test_log_that_is_another_one_is_read_on_with_a_gap() -> None:
    before = a_window()
    read([a_request(0), a_request(45)], before)
    windows = a_window(before.checkpoint(), first_offset=0)

    verdicts = [windows.add(a_request(at_s), offset) for offset, at_s in enumerate([70, 85, 95])]

    assert verdicts == [Verdict.LATE, Verdict.LATE, Verdict.COUNTED]
    assert gaps_of(windows) == [(20, 90)]


def test_start_at_the_first_record_has_no_gap() -> None:
    windows = a_window(Checkpoint(0, ""), first_offset=0)
    windows.add(a_request(3), 0)

    assert gaps_of(windows) == []
    assert not windows.skipping_partial


@pytest.mark.parametrize("metadata", ["", "not json", "{}", '{"version":99}', "[" * 5000, "\udcff"])
def test_metadata_of_others_is_survived(metadata: str) -> None:
    windows = a_window(Checkpoint(7, metadata))

    assert windows.position == 7
    assert windows.checkpoint().offset == 7


def test_restart_before_the_first_event_still_knows_that_it_started_in_the_middle() -> None:
    windows = a_window(Checkpoint(7, ""))
    windows.pass_by(7)

    again = a_window(windows.checkpoint())

    assert again.skipping_partial


DRAWN = st.tuples(
    st.sampled_from([0, 0, 1, 3, 12]),  # how far event time moves on
    st.sampled_from([0, 0, 0, 5, 15, 25]),  # and how far this event lies behind it
    st.sampled_from(["", *"abcdefgh"]),
    st.sampled_from(["core", "plan"]),
    st.sampled_from([False] * 9 + [True]),
)


def in_the_order_of_arrival(
    drawn: list[tuple[int, int, str, str, bool]],
) -> list[RequestEvent | Heartbeat]:
    """Event time moves on while single events lie behind it; the end closes every bucket."""
    events: list[RequestEvent | Heartbeat] = []
    now_s = 100
    for step_s, behind_s, event_id, module, beat in drawn:
        now_s += step_s
        at_s = now_s - behind_s
        events.append(
            Heartbeat("", T0 + at_s) if beat else a_request(at_s, event_id=event_id, module=module)
        )
    return [*events, Heartbeat("", T0 + 10_000)]


EVENTS = st.lists(DRAWN, max_size=40).map(in_the_order_of_arrival)
STOPS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=4)


@given(EVENTS, STOPS, st.integers(1, 8))
@settings(max_examples=300, deadline=None)
def test_reader_that_stops_anywhere_hands_over_the_same_parts(
    events: list[RequestEvent | Heartbeat], stops: list[tuple[int, int]], generation: int
) -> None:
    """Each stop commits after so many records, reads some more in vain and is killed."""
    whole = read(events, a_window(generation=generation))

    seen: list[DemandPart] = []
    windows = a_window(generation=generation)
    for until_commit, wasted in stops:
        for offset in range(windows.position, min(len(events), windows.position + until_commit)):
            windows.add(events[offset], offset)
        seen += windows.close()
        checkpoint = windows.checkpoint()
        for offset in range(windows.position, min(len(events), windows.position + wasted)):
            windows.add(events[offset], offset)
        windows = a_window(checkpoint, generation)
    seen += read(events, windows, windows.position)

    assert seen == whole


@given(EVENTS, STOPS, st.booleans())
@settings(max_examples=200, deadline=None)
def test_restart_in_or_after_a_gap_is_exact(
    events: list[RequestEvent | Heartbeat], stops: list[tuple[int, int]], is_dated: bool
) -> None:
    """The first record read is number 7, and nothing is known of those before it."""

    def begun() -> PartitionWindows:
        windows = a_window(Checkpoint(7, ""))
        if is_dated:
            windows.lost_before(T0 + 150)
        return windows

    records = [*events[:1] * 7, *events]
    never_stopped = begun()
    whole = read(records, never_stopped, 7)

    seen: list[DemandPart] = []
    windows = begun()
    for until_commit, wasted in stops:
        for offset in range(windows.position, min(len(records), windows.position + until_commit)):
            windows.add(records[offset], offset)
        seen += windows.close()
        checkpoint = windows.checkpoint()
        for offset in range(windows.position, min(len(records), windows.position + wasted)):
            windows.add(records[offset], offset)
        windows = a_window(checkpoint)
    seen += read(records, windows, windows.position)

    assert seen == whole
    assert windows.progress(8, idle=False) == never_stopped.progress(8, idle=False)


IN_TIME = st.lists(DRAWN.filter(lambda one: one[1] <= LATENESS_S), min_size=1, max_size=40).map(
    in_the_order_of_arrival
)


@given(IN_TIME, st.data())
@settings(max_examples=300, deadline=None)
def test_records_that_expired_are_a_gap_and_never_a_drop(
    events: list[RequestEvent | Heartbeat], data: st.DataObject
) -> None:
    """Twice a worker stops, and records from its checkpoint on are gone when the next one comes."""
    expected = {(one.module, one.bucket_start_s): one for one in read(events, a_window())}

    seen: list[DemandPart] = []
    windows = a_window()
    for _ in range(2):
        stop = data.draw(st.integers(windows.position, len(events) - 1))
        for offset in range(windows.position, stop):
            windows.add(events[offset], offset)
        seen += windows.close()
        checkpoint = windows.checkpoint()
        first = data.draw(st.integers(checkpoint.offset, len(events) - 1))
        windows = a_window(checkpoint, first_offset=first)
    seen += read(events, windows, windows.position)

    progress = windows.progress(8, idle=False)
    found = {(one.module, one.bucket_start_s): one for one in seen}
    assert len(found) == len(seen)
    assert found.items() <= expected.items()
    assert all(
        any(from_s <= start_s < until_s for from_s, until_s in progress.gaps)
        for _, start_s in expected.keys() - found.keys()
        if start_s < progress.closed_through_s
    )


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
def test_order_within_the_lateness_changes_nothing(data: st.DataObject) -> None:
    """The end of the sequence holds the watermark back, so that nothing is late."""
    times = data.draw(st.lists(st.integers(0, int(LATENESS_S)), max_size=20))
    events = [a_request(at_s, event_id=str(i % 7), requests=2.0) for i, at_s in enumerate(times)]
    shuffled = data.draw(st.permutations(events))
    flush = Heartbeat("", T0 + 1000)

    assert read([*events, flush], a_window()) == read([*shuffled, flush], a_window())


@given(EVENTS)
@settings(max_examples=100, deadline=None)
def test_open_buckets_stay_within_the_lateness(events: list[RequestEvent | Heartbeat]) -> None:
    windows = a_window()
    for offset, event in enumerate(events):
        windows.add(event, offset)
        windows.close()
        assert windows.open_buckets <= LATENESS_S / 10 + 1
