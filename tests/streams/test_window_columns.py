"""Counting by the block: the same as event by event, whatever clocks and senders do."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.checkpoint import Checkpoint
from streams.demand import DemandPart
from streams.duplicates import DuplicateFilter
from streams.event_columns import columns_of
from streams.event_types import Heartbeat, RequestEvent
from streams.watermark import SAMPLE_OFFSETS, SAMPLES_MIN
from streams.windows import PartitionWindows, Verdict
from tests.streams.window_builders import (
    CELLS,
    EVENTS,
    LATENESS_S,
    STOPS,
    T0,
    a_request,
    a_window,
    requests_of,
)

Events = list[RequestEvent | Heartbeat]
AMEND_S = 30


def count(
    events: Events, windows: PartitionWindows, cuts: list[int], stride: int = 1
) -> list[DemandPart]:
    """In blocks that end at the cuts; each block is closed before the next."""
    parts = []
    edges = sorted({0, *(cut % (len(events) + 1) for cut in cuts), len(events)})
    for begin, end in pairwise(edges):
        windows.add_columns(
            columns_of(events[begin:end], range(begin * stride, end * stride, stride), CELLS)
        )
        parts += windows.close()
    return parts


def newest(parts: list[DemandPart]) -> dict[tuple[str, int], DemandPart]:
    """The part of each bucket that a reader ends up with."""
    found: dict[tuple[str, int], DemandPart] = {}
    for part in parts:
        known = found.get((part.module, part.bucket_start_s))
        if known is None or part.revision >= known.revision:
            found[part.module, part.bucket_start_s] = part
    return found


@settings(max_examples=200)
@given(EVENTS, st.lists(st.integers(0, 60), max_size=6), st.sampled_from([1, SAMPLE_OFFSETS]))
def test_blocks_of_any_size_give_what_single_events_give(
    events: Events, cuts: list[int], stride: int
) -> None:
    events = [*events, Heartbeat("", T0 + 10_100)]  # one far ahead is not believed alone
    singly = a_window(amend_s=AMEND_S)
    verdicts: Counter[Verdict] = Counter()
    one_by_one = []
    for offset, event in enumerate(events):
        verdicts[singly.add(event, offset * stride)] += 1
        one_by_one += singly.close()
    blocks = a_window(amend_s=AMEND_S)

    parts = count(events, blocks, cuts, stride)

    assert newest(parts) == newest(one_by_one)
    assert blocks.checkpoint() == singly.checkpoint()
    total = sum(requests_of(list(newest(parts).values())).values())
    beats = sum(isinstance(event, Heartbeat) for event in events)
    assert total == verdicts[Verdict.COUNTED] + verdicts[Verdict.AMENDED] - beats


@settings(max_examples=200)
@given(EVENTS, STOPS, st.sampled_from([1, SAMPLE_OFFSETS]))
def test_corrections_and_clocks_survive_any_restart(
    events: Events, stops: list[tuple[int, int]], stride: int
) -> None:
    whole = a_window(amend_s=AMEND_S)
    expected = newest(count(events, whole, [*range(1, len(events))], stride))
    parts: list[DemandPart] = []
    checkpoint: Checkpoint | None = None
    for read_further, uncommitted in [*stops, (len(events), 0)]:
        windows = a_window(checkpoint, amend_s=AMEND_S)
        begin = -(-windows.position // stride)
        end = min(len(events), begin + read_further)
        for offset in range(begin, end):
            windows.add(events[offset], offset * stride)
            if offset < end - uncommitted:
                parts += windows.close()
                checkpoint = windows.checkpoint()
    windows = a_window(checkpoint, amend_s=AMEND_S)
    for offset in range(-(-windows.position // stride), len(events)):
        windows.add(events[offset], offset * stride)
        parts += windows.close()

    assert newest(parts) == expected


def test_a_late_event_is_a_correction_while_its_bucket_can_be_amended() -> None:
    windows = a_window(amend_s=AMEND_S)
    windows.add(a_request(5), 0)
    windows.add(Heartbeat("", T0 + 35), 1)
    (first,) = windows.close()

    amended = windows.add(a_request(6, requests=3.0), 2)
    (second,) = windows.close()
    windows.add(Heartbeat("", T0 + 75), 3)
    late = windows.add(a_request(7), 4)

    assert (amended, late) == (Verdict.AMENDED, Verdict.LATE)
    assert (first.revision, first.cells[0].requests) == (0, 1.0)
    assert (second.bucket_start_s, second.cells[0].requests) == (first.bucket_start_s, 4.0)
    assert second.revision > first.revision
    assert windows.close() == []


def test_a_correction_names_only_what_it_changes() -> None:
    windows = a_window(amend_s=AMEND_S)
    windows.add(a_request(5), 0)
    windows.add(a_request(5, module="plan"), 1)
    windows.add(Heartbeat("", T0 + 35), 2)
    windows.close()

    windows.add(a_request(6, module="plan"), 3)

    assert [part.module for part in windows.close()] == ["plan"]


def a_busy_partition(seconds: int, rate: int) -> Events:
    return [a_request(second + part / rate) for second in range(seconds) for part in range(rate)]


@pytest.mark.parametrize("share", [100, 20])
def test_one_mad_clock_makes_nobody_else_late(share: int) -> None:
    honest = a_busy_partition(seconds=120, rate=20)
    events: Events = []
    for number, event in enumerate(honest):
        events.append(event)
        if number >= 600 and number % share == 0:
            events.append(a_request(event.time_s - T0 + 120))
    windows = a_window()
    verdicts = windows.add_columns(columns_of(events, range(len(events)), CELLS))

    assert verdicts[Verdict.LATE] == 0
    assert windows.newest_s is not None
    # Before there are enough samples to compare with, anybody is believed.
    settled = a_window()
    settled.add_columns(columns_of(honest, range(len(honest)), CELLS))
    settled.add(a_request(120 + 300), len(honest))
    assert settled.newest_s == int(T0) + 119


def test_a_mad_batch_is_not_believed_however_long_it_is() -> None:
    honest = a_busy_partition(seconds=120, rate=20)
    batch = [a_request(250 + number / 1000) for number in range(10 * SAMPLE_OFFSETS)]
    events: Events = [*honest, *batch, a_request(120.5)]
    windows = a_window()

    verdicts = windows.add_columns(columns_of(events, range(len(events)), CELLS))

    assert windows.newest_s == int(T0) + 120
    assert verdicts[Verdict.LATE] == 0


def test_after_an_outage_the_watermark_follows_within_the_lateness() -> None:
    before = a_busy_partition(seconds=60, rate=20)
    after = [a_request(600 + second) for second in range(30)]
    events: Events = [*before, *after]
    windows = a_window()
    windows.add_columns(columns_of(events, range(len(events)), CELLS))

    assert windows.newest_s == int(T0) + 629


def test_a_busy_partition_that_turns_quiet_goes_on_by_its_heartbeats() -> None:
    events: Events = [*a_busy_partition(seconds=60, rate=20)]
    events += [Heartbeat("", T0 + 60 + 10 * number) for number in range(1, 7)]
    windows = a_window()
    windows.add_columns(columns_of(events, range(len(events)), CELLS))

    assert windows.newest_s == int(T0) + 120


def test_a_slow_partition_is_believed_at_once() -> None:
    windows = a_window()
    number = SAMPLE_OFFSETS * (SAMPLES_MIN + 2)
    times_s = [60 * step for step in range(number)]
    windows.add_columns(columns_of([a_request(s) for s in times_s], range(number), CELLS))

    assert windows.newest_s == int(T0) + times_s[-1]
    assert windows.closed_through_s >= int(T0 + times_s[-1] - LATENESS_S) // 10 * 10


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3), st.integers(0, 2)), max_size=120),
    st.integers(1, 40),
)
def test_repetitions_are_found_as_by_two_sets(
    drawn: list[tuple[int, int, int]], block: int
) -> None:
    remembered = DuplicateFilter(generation_events=20)
    young: set[tuple[int, int]] = set()
    old: set[tuple[int, int]] = set()
    named, offset = 0, 0
    expected, offsets = [], []
    for event_id, bucket, step in drawn:
        offset += step
        offsets.append(offset)
        if event_id and named and named % 20 == 0:
            young, old = set(), young
        named += event_id != 0
        key = bucket, event_id
        expected.append(event_id != 0 and (key in young or key in old))
        if event_id and not expected[-1]:
            young.add(key)
    found: list[bool] = []
    for begin in range(0, len(drawn), block):
        rows = slice(begin, begin + block)
        ids = np.array([one[0] for one in drawn[rows]], np.uint64)
        buckets = np.array([one[1] for one in drawn[rows]], np.int64)
        found += remembered.repeated(buckets, ids, np.array(offsets[rows])).tolist()

    assert found == expected


def test_memory_for_ids_is_bounded_and_false_alarms_are_as_rare_as_promised() -> None:
    generation, bits = 50_000, 24
    rng = np.random.default_rng(7)
    few_bits = DuplicateFilter(generation, fingerprint_bits=bits)
    all_bits = DuplicateFilter(generation)
    alarms = 0
    for begin in range(0, 10 * generation, 5_000):
        ids = rng.integers(1, 2**63, 5_000).astype(np.uint64)
        offsets = np.arange(begin, begin + 5_000)
        buckets = np.zeros(5_000, np.int64)
        assert not all_bits.repeated(buckets, ids, offsets).any()
        alarms += int(few_bits.repeated(buckets, ids, offsets).sum())

    assert len(all_bits) <= 2 * generation
    assert all_bits.memory_bytes <= 40 * 2 * generation
    # Each event meets 50,000 to 100,000 remembered ids: ids / 2^bits, here some 2,200 in all.
    expected = 10 * generation * 1.5 * generation / 2**bits
    assert 0.7 * expected < alarms < 1.1 * expected


def silences_of(windows: PartitionWindows) -> list[tuple[int, int]]:
    return [(a - int(T0), b - int(T0)) for a, b in windows.progress(1, idle=False).silences]


def test_a_stretch_without_any_sign_of_life_is_told_and_survives_a_restart() -> None:
    windows = a_window()
    for offset, at_s in enumerate((5, 10, 400, 405)):
        windows.add(a_request(at_s), offset)
        windows.close()

    assert silences_of(windows) == [(20, 400)]
    assert silences_of(a_window(windows.checkpoint())) == [(20, 400)]


def test_heartbeats_prove_that_zero_is_zero() -> None:
    windows = a_window()
    windows.add(a_request(5), 0)
    for number in range(1, 40):
        windows.add(Heartbeat("", T0 + 10 * number), number)

    assert silences_of(windows) == []


def test_who_is_idle_is_known_to_be_empty_up_to_the_lateness_before() -> None:
    windows = a_window()
    windows.add(a_request(5), 0)

    assert windows.progress(1, idle=True, wall_s=T0 + 97).quiet_through_s == int(T0) + 70
    assert windows.progress(1, idle=False, wall_s=T0 + 97).quiet_through_s is None
