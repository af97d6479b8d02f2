"""Records that were lost before they were read are a gap, never a drop."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.checkpoint import Checkpoint
from streams.demand import DemandPart
from streams.event_types import Heartbeat, RequestEvent
from streams.windows import PartitionWindows, Verdict
from tests.streams.window_builders import (
    DRAWN,
    EVENTS,
    LATENESS_S,
    STOPS,
    T0,
    a_request,
    a_window,
    gaps_of,
    in_the_order_of_arrival,
    read,
    requests_of,
)


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
