"""Whatever happens to a partition, no step that is told as known holds less than was produced.

Ingest is modelled as its docstrings promise it: per partition, reports in order, each saying how
far it has read. Reports travel on their own and may be late; partitions are slow, paused, lost or
added. The promise is checked at every look in between.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.core.history import History
from predictor.core.input_partitions import InputPartitions
from streams.demand import DemandPart, Progress, input_number, merged_progress, topic_and_partition
from streams.demand_blocks import BlockKey, read_block, with_part
from tests.core.core_values import a_part, a_progress
from tests.core.history_feeding import T0, a_history

BUCKETS = 72
SILENT_BUCKETS = 12
IDLE_BUCKETS = 3
Record = DemandPart | Progress


@dataclass(slots=True)
class Reader:
    """What ingest does with one input partition; `events` has the requests of each bucket."""

    number: int
    partitions: int
    events: list[int]
    late: dict[int, int]
    """Bucket in which late events arrive: how many buckets late they are."""
    read_to: int = 0
    newest: int = -1
    proven: int = -1
    silences: list[tuple[int, int]] = field(default_factory=list)
    counted: dict[int, int] = field(default_factory=dict)

    @property
    def topic(self) -> int:
        return topic_and_partition(self.number)[0]

    def read(self, until: int) -> list[Record]:
        """Everything that was produced before the bucket `until` began, and how far that is."""
        changed: dict[int, int] = {}
        for bucket in range(self.read_to, until):
            for start, revision in ((bucket - self.late.get(bucket, 0), bucket), (bucket, 0)):
                if self.events[bucket] and start >= 0:
                    changed[start] = max(changed.get(start, 0), revision)
                    self.counted[start] = self.counted.get(start, 0) + self.events[bucket]
            if self.events[bucket]:
                if bucket - self.proven > SILENT_BUCKETS:
                    self.silences.append((self.proven + 1, bucket))
                self.newest = self.proven = bucket
        self.read_to = max(self.read_to, until)
        is_idle = until - self.newest > IDLE_BUCKETS
        parts = [
            a_part(at(start), self.counted[start], partition=self.number, revision=revision)
            for start, revision in changed.items()
        ]
        progress = a_progress(
            at(self.newest) if self.newest >= 0 else 0,
            self.number,
            self.partitions,
            idle=is_idle,
            quiet_s=at(until) if is_idle else None,
            silences=tuple((at(a) if a else 0, at(b)) for a, b in self.silences[-8:]),
        )
        return [*parts, progress]


def at(bucket: int) -> int:
    return T0 + 10 * bucket


@st.composite
def readers(draw: st.DrawFn) -> list[Reader]:
    made: list[Reader] = []
    topics = draw(st.sampled_from([(0, 0, 0, 0), (0, 0, 1, 1), (0, 1, 1, 1)]))
    for topic in topics:
        partition = sum(one.topic == topic for one in made)
        quiet = draw(st.sampled_from([0, 1, 1, 3]))
        events = [draw(st.integers(0, 3)) // max(quiet, 1) * min(quiet, 1) for _ in range(BUCKETS)]
        late = {bucket: draw(st.integers(1, 5)) for bucket in draw(st.sets(st.integers(5, 71)))}
        number = input_number(topic, partition)
        made.append(Reader(number, topics.count(topic), events, late))
    return made


def produced(everyone: list[Reader], before: int) -> np.ndarray:
    """Requests of each bucket that had been produced before this one began."""
    total = np.zeros(BUCKETS)
    for reader in everyone:
        for bucket in range(before):
            total[bucket] += reader.events[bucket]
    return total


def assert_never_less(history: History, wanted: np.ndarray, now_s: float) -> None:
    batch = history.series(now_s)
    for step, rate in enumerate(batch.values[0].tolist()):
        first = (batch.start_s + 60 * step - T0) // 10
        if np.isfinite(rate):
            assert rate * 60 >= wanted[max(first, 0) : first + 6].sum() - 1e-6


@settings(max_examples=100, deadline=None)
@given(readers(), st.data())
def test_no_known_step_ever_holds_less_than_was_produced(
    everyone: list[Reader], data: st.DataObject
) -> None:
    history = a_history(inputs=InputPartitions(lost_after_s=60))
    begin = data.draw(st.integers(1, BUCKETS), label="the last partition is added in this bucket")
    added = everyone[-1]
    added.events[:begin] = [0] * begin
    beside = [one for one in everyone[:-1] if one.topic == added.topic]
    for one in beside:
        one.partitions -= 1
    on_the_way: dict[int, deque[Record]] = {one.number: deque() for one in everyone}
    now = 0
    # All partitions but the added one have reported before anything is decided on.
    for one in everyone[:-1]:
        history.advance(a_progress(0, one.number, one.partitions))

    while now < BUCKETS:
        now = min(now + data.draw(st.integers(1, 12)), BUCKETS)
        if begin < now:
            for one in beside:
                one.partitions = added.partitions
        for one in everyone if begin < now else everyone[:-1]:
            if data.draw(st.sampled_from([True, True, False]), label="is read"):
                on_the_way[one.number].extend(one.read(now))
            arrived = data.draw(st.integers(0, 8), label="records that arrive")
            for _ in range(min(arrived, len(on_the_way[one.number]))):
                deliver(history, on_the_way[one.number].popleft())
        assert_never_less(history, produced(everyone, now), at(now))


@settings(max_examples=40, deadline=None)
@given(readers(), st.data())
def test_any_split_of_partitions_over_workers_gives_the_same_series(
    everyone: list[Reader], data: st.DataObject
) -> None:
    """Records of each partition in order, those of different partitions in any; or from blocks."""
    by_partition = [
        [record for now in range(6, BUCKETS + 1, 6) for record in one.read(now)] for one in everyone
    ]
    last = [a_progress(at(BUCKETS + 6), one.number, one.partitions) for one in everyone]
    first = a_part(at(0), 0, partition=everyone[0].number)
    alone, shared, restored = a_history(), a_history(), a_history()

    for record in [first, *(one for records in by_partition for one in records), *last]:
        deliver(alone, record)
    deliver(shared, first)
    queues = [deque(records) for records in by_partition]
    while any(queues):
        queue = data.draw(st.sampled_from([one for one in queues if one]))
        deliver(shared, queue.popleft())
        if data.draw(st.sampled_from([True, *[False] * 9]), label="a look"):
            shared.series(at(BUCKETS))
    for record in last:
        deliver(shared, record)
    restore(restored, [first, *(one for records in by_partition for one in records), *last])

    now_s = at(BUCKETS + 6)
    wanted = alone.series(now_s)
    for other in (shared, restored):
        found = other.series(now_s)
        assert found.start_s == wanted.start_s
        np.testing.assert_equal(found.values, wanted.values)


def deliver(history: History, record: Record) -> None:
    if isinstance(record, DemandPart):
        history.add(record)
    else:
        history.advance(record)


def restore(history: History, records: list[Record]) -> None:
    """As after a change of ownership: the merged progress, then the blocks of the table."""
    known: dict[int, list[Progress]] = {}
    bodies: dict[BlockKey, bytes] = {}
    for record in records:
        if isinstance(record, Progress):
            known.setdefault(record.partition, []).append(record)
        else:
            key = BlockKey(record.module, record.bucket_start_s // 600 * 600, record.partition)
            bodies[key] = with_part(key, bodies.get(key), record)
    for reports in known.values():
        history.advance(reduce(merged_progress, reports))
    for key, body in sorted(bodies.items(), key=lambda item: item[0].start_s):
        block = read_block(key, body)
        assert block is not None
        history.add_block(block)
