"""Adds events up in event-time buckets, for one input partition, and says what a restart needs.

`streams/ingest.py` keeps one `PartitionWindows` for each partition it owns, feeds it records in
offset order and writes what `close` returns in one transaction together with `checkpoint`. Pure:
time is what the events say. Nothing is kept on disk, so this is the argument that nothing is lost
and nothing is counted twice:

1. A bucket is closed when the watermark (`streams/watermark.py`) passes its end, and whether an
   event is late depends on the watermark alone. Both follow from the sequence of records, not from
   when somebody calls `close` or how many events one call brings.
2. A late event still counts while the watermark is at most `amend_s` past its bucket: the parts it
   changes go out again, with a higher revision. So a bucket is kept for that long after it is out.
3. The committed offset is the earliest that any kept bucket still needs, and the metadata next to
   it says `closed_through_s` (every bucket before it is out), `position` (the next record to be
   read at that commit), the watermark and the gaps, an unended one too.
4. A reader that starts from there sees every record of every kept bucket again. Records before
   `position` were judged before (REPLAYED); those of kept buckets rebuild the buckets' sums, which
   no longer depends on whether they were late. From `position` on, state and watermark are those of
   a reader that never stopped, so what follows is the same, part by part.
5. An offset and its parts are committed together or not at all, so a part that is not out is
   written again and one that is out is not.

Where records are missing before the first one that is read, the buckets that may have held some of
them are skipped, because a part that holds half a bucket looks like a drop in demand. They are a
gap (`streams/gaps.py`), which every progress names from then on. That is so where a committed
offset has no metadata we understand (somebody reset it with Kafka's tools, or another version wrote
it; nobody knows since when), and where the records from the committed offset on are not there any
more (then since `closed_through_s`). The gap ends with the first bucket that is certainly whole:

    missing records   ...x x x|
    records read              |t0  .  .  .  .
    event time   [ gap from 0 or closed_through_s   t0 + lateness ) whole buckets

A missing record is at most `lateness_s` newer than the first one read, or that one is late itself.
So reading begins anew at a record that lies further ahead than that, until the whole buckets have
been reached. And no event is newer than its record, so the gap ends at the latest `lateness_s`
after an instant by which all missing records had been written.
"""

from __future__ import annotations

import enum
import math
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from streams.bucket import Bucket, add_rows, amend_rows
from streams.checkpoint import CHECKPOINT_VERSION, Checkpoint, CheckpointMetadata, read_metadata
from streams.demand import DemandPart, Progress
from streams.duplicates import DuplicateFilter
from streams.event_columns import Cells, EventColumns, Integers, columns_of, unknown_stages
from streams.event_types import Heartbeat, RequestEvent
from streams.gaps import Gaps, bounded, united
from streams.partial_stretch import PartialStretch
from streams.silences import Watch
from streams.watermark import Watermark


class Verdict(enum.StrEnum):
    """What became of an event."""

    COUNTED = "counted"
    AMENDED = "amended"
    """It came late, and its bucket went out again with it."""
    LATE = "late"
    """It came too late for its bucket to be amended."""
    DUPLICATE = "duplicate"
    """An event of this id was counted in this bucket."""
    OTHER = "other"
    """It names a module or a region that is not ours."""
    UNKNOWN_STAGE = "unknown_stage"
    """It announces a stage that is no module of ours; beside what became of the event itself."""
    REPLAYED = "replayed"
    """Read again after a restart; what was to be done with it was done before."""


class PartitionWindows:
    """Buckets of one input partition.

    Request counts are whole numbers as long as sample rates are 1/n, and whole numbers up to 2**53
    add up to the same bytes in any order; other rates may differ in the last bit with the order.
    """

    def __init__(
        self,
        partition: int,
        cells: Cells,
        *,
        bucket_s: int = 10,
        lateness_s: float = 30.0,
        amend_s: int = 60,
        silence_max_s: int = 120,
        duplicate_events: int = 100_000,
        checkpoint: Checkpoint | None = None,
        first_offset: int | None = None,
    ) -> None:
        """Start from the partition's very first record, or from what was committed.

        `first_offset` is given where the records from the checkpoint on are not there any more:
        the offset of the first that is (below the checkpoint's if it is another log altogether).
        """
        self.partition = partition
        self.bucket_s = bucket_s
        self.amend_s = amend_s
        self.silence_max_s = silence_max_s
        self.position = 0
        self.replay_until = 0
        self.closed_through_s = 0
        self.gaps: Gaps = ()
        self.silences: Gaps = ()
        self._cells = cells
        self._whole_from_s = 0
        self._skip: PartialStretch | None = None
        self._lateness_s = lateness_s
        self._watermark = Watermark(lateness_s, slack_min_s=bucket_s)
        self._duplicates = DuplicateFilter(duplicate_events)
        self._kept: dict[int, Bucket] = {}
        if checkpoint is not None:
            self._restore(checkpoint, checkpoint.offset if first_offset is None else first_offset)

    @property
    def newest_s(self) -> int | None:
        """The newest believed event time, None before the first event."""
        return self._watermark.newest_s

    @property
    def open_buckets(self) -> int:
        """Buckets with events that are not out yet."""
        return sum(not bucket.is_out for bucket in self._kept.values())

    @property
    def skipping_partial(self) -> bool:
        """Whether records are missing and no bucket is certainly whole yet."""
        return self._skip is not None

    def lost_before(self, time_s: float) -> None:
        """Take note that all missing records had been written by then; the earliest one counts."""
        if self._skip is not None:
            self._skip.end_by(time_s + self._lateness_s)

    def add(self, event: RequestEvent | Heartbeat, offset: int) -> Verdict:
        """Count one event; `add_columns` for many costs a hundredth of it for each."""
        verdicts = self.add_columns(columns_of([event], [offset], self._cells))
        del verdicts[Verdict.UNKNOWN_STAGE]
        (verdict,) = verdicts
        return verdict

    def add_columns(self, columns: EventColumns) -> Counter[Verdict]:
        """Count events in the order of their offsets; those of one record share theirs."""
        offsets = columns.offset
        if not len(offsets):
            return Counter()
        assert offsets[0] >= self.position - 1, "the records of a partition come in offset order"
        self.position = int(offsets[-1]) + 1
        if offsets[0] >= self.replay_until:
            return self._add(columns)
        again = int(np.searchsorted(offsets, self.replay_until))
        self._rebuild(columns.rows(slice(0, again)))
        verdicts = (
            self._add(columns.rows(slice(again, None))) if again < len(offsets) else Counter()
        )
        verdicts[Verdict.REPLAYED] += again
        return verdicts

    def pass_by(self, offset: int) -> None:
        """Note that the record at `offset` was read and holds nothing to count."""
        assert offset >= self.position - 1, "the records of a partition come in offset order"
        self.position = offset + 1

    def close(self) -> list[DemandPart]:
        """Take out every bucket that the watermark has passed, and those that were amended.

        One part for each module, in the order of time.
        """
        parts = []
        for start_s in sorted(one for one in self._kept if one < self.closed_through_s):
            bucket = self._kept[start_s]
            parts += self._parts(start_s, bucket.take_out())
            if start_s < self.closed_through_s - self.amend_s:
                del self._kept[start_s]
        return parts

    def snapshot(self) -> list[DemandPart]:
        """The open buckets as they are, for an idle partition; their final parts replace these."""
        still_open = sorted(one for one, bucket in self._kept.items() if not bucket.is_out)
        return [part for one in still_open for part in self._parts(one, self._kept[one].all())]

    def progress(self, partitions: int, *, idle: bool, wall_s: float | None = None) -> Progress:
        """How far the parts that are out reach, the gaps and silences; `partitions` of the topic.

        A partition with missing records is idle only if it is known when they had been written.
        One that is idle at `wall_s` is known to be empty up to the lateness before.
        """
        gaps, skip = self.gaps, self._skip
        if skip is not None:
            idle = idle and skip.until_max_s is not None
            until_s = self.closed_through_s
            if idle and skip.until_max_s is not None:
                until_s = max(until_s, math.ceil(skip.until_max_s / self.bucket_s) * self.bucket_s)
            gaps = bounded(united(gaps, [(skip.from_s, until_s)]), self.closed_through_s)
        quiet_s = None
        if idle and wall_s is not None:
            quiet_s = int((wall_s - self._lateness_s) // self.bucket_s) * self.bucket_s
        return Progress(
            self.partition,
            self.closed_through_s,
            idle,
            partitions,
            gaps=gaps,
            quiet_through_s=quiet_s,
            silences=bounded(self.silences, self.closed_through_s),
        )

    def checkpoint(self) -> Checkpoint:
        """What to commit with the parts of the last `close`; asserts that they were taken."""
        late = [one for one in self._kept if one < self.closed_through_s]
        assert all(self._kept[one].is_out for one in late), "close() first"
        # Before the end of a replay the older position stays: what lies before it is accounted for.
        position = max(self.position, self.replay_until)
        needed = (bucket.needed_offset for bucket in self._kept.values())
        first = (bucket.first for bucket in self._kept.values())
        metadata = CheckpointMetadata(
            CHECKPOINT_VERSION,
            self.bucket_s,
            self.closed_through_s,
            position,
            self._watermark.state,
            self._whole_from_s,
            bounded(self.gaps, self.closed_through_s),
            self._skip,
            bounded(self.silences, self.closed_through_s),
            min(first, default=self._duplicates.count),
        )
        return metadata.beside(min(needed, default=self.position))

    def _rebuild(self, columns: EventColumns) -> None:
        """Events that were judged before a restart: those of kept buckets are summed up again."""
        if self._skip is not None:
            self._advance(columns, judged=True)
        buckets = columns.time_s // self.bucket_s * self.bucket_s
        kept = (columns.cell < self._cells.other) & (buckets >= self._amendable_from_s())
        self._sum_up(columns, buckets, kept, None)
        for start_s, bucket in self._kept.items():
            bucket.is_out = start_s < self.closed_through_s

    def _add(self, columns: EventColumns) -> Counter[Verdict]:
        closed_s = self._advance(columns, judged=False)
        buckets = columns.time_s // self.bucket_s * self.bucket_s
        ours = columns.cell < self._cells.other
        late = ours & (buckets < closed_s)
        verdicts = Counter(
            {Verdict.OTHER: int(np.count_nonzero(columns.cell == self._cells.other))}
        )
        summed, amends = ours, None
        if late.any():
            amends = late & (buckets >= np.maximum(closed_s - self.amend_s, self._whole_from_s))
            summed = (ours & ~late) | amends
            verdicts[Verdict.LATE] = int(np.count_nonzero(late & ~amends))
        repeated, amended = self._sum_up(columns, buckets, summed, amends)
        counted = int(np.count_nonzero(summed)) - repeated - amended
        beats = int(np.count_nonzero(columns.cell == self._cells.heartbeat))
        verdicts.update(
            {
                Verdict.DUPLICATE: repeated,
                Verdict.AMENDED: amended,
                Verdict.COUNTED: counted + beats,
                Verdict.UNKNOWN_STAGE: unknown_stages(columns, self._cells),
            }
        )
        return +verdicts

    def _sum_up(
        self,
        columns: EventColumns,
        buckets: Integers,
        chosen: NDArray[np.bool_],
        amends: NDArray[np.bool_] | None,
    ) -> tuple[int, int]:
        """Put the chosen events into their buckets; how many were repeated, how many amend."""
        again = self._duplicates.repeated(buckets, columns.id_hash, columns.offset, chosen)
        repeated = int(np.count_nonzero(again))
        if repeated:
            chosen = chosen & ~again
        if not chosen.all():
            columns, buckets = columns.rows(chosen), buckets[chosen]
            amends = None if amends is None else amends[chosen]
        if not len(buckets):
            return repeated, 0
        add_rows(self._kept, columns, buckets, self._cells, self._duplicates.count_before)
        if amends is None or not amends.any():
            return repeated, 0
        amend_rows(self._kept, columns.rows(amends), buckets[amends])
        return repeated, int(np.count_nonzero(amends))

    def _advance(self, columns: EventColumns, *, judged: bool) -> Integers | int:
        """Move the watermark; `closed_through_s` as each event found it, with itself taken in."""
        times_s = columns.time_s
        newest_s = None
        if not judged:
            watch = Watch(self.bucket_s, self.silence_max_s, self._watermark.newest_s)
            jumps = watch.may_find_silence(times_s)
            newest_s = self._watermark.see(
                times_s, columns.offset, step_by_step=jumps or self._skip is not None
            )
            if jumps and newest_s is not None:
                self.silences = united(self.silences, watch.silences(newest_s))
        if newest_s is None and self._skip is None:
            if not judged:
                self.closed_through_s = max(self.closed_through_s, self._reached_bucket())
            return self.closed_through_s
        closed_s = np.full(len(times_s), self.closed_through_s)
        if newest_s is not None:
            reached_s = np.floor_divide(newest_s - self._lateness_s, self.bucket_s)
            closed_s = np.maximum(reached_s.astype(np.int64) * self.bucket_s, closed_s)
        if self._skip is not None:
            self._follow_skip(self._skip, times_s, closed_s)
        self.closed_through_s = int(closed_s[-1])
        return closed_s

    def _follow_skip(self, skip: PartialStretch, times_s: Integers, closed_s: Integers) -> None:
        """Let out only buckets that must lie wholly after the records that are missing."""
        end_s = skip.follow(
            times_s,
            closed_s,
            closed_before_s=self.closed_through_s,
            lateness_s=self._lateness_s,
            bucket_s=self.bucket_s,
        )
        if end_s is not None:
            self._skip = None
            self._add_gap(skip.from_s, end_s)
        whole_from_s = int(closed_s[-1]) if end_s is None else end_s
        self._whole_from_s = max(self._whole_from_s, whole_from_s)

    def _reached_bucket(self) -> int:
        """The bucket in which the watermark stands: all before it are closed."""
        reached_s = self._watermark.reached_s
        return max(0, int(reached_s // self.bucket_s) * self.bucket_s)

    def _amendable_from_s(self) -> int:
        return max(self.closed_through_s - self.amend_s, self._whole_from_s)

    def _parts(self, start_s: int, changed: Integers) -> list[DemandPart]:
        where = {"start_s": start_s, "bucket_s": self.bucket_s, "partition": self.partition}
        return self._kept[start_s].parts(changed, self._cells, **where)

    def _restore(self, checkpoint: Checkpoint, first_offset: int) -> None:
        self.position = first_offset
        metadata = read_metadata(checkpoint.metadata)
        if metadata is None or metadata.bucket_s != self.bucket_s:
            if checkpoint.offset > 0 or first_offset != checkpoint.offset:
                self._skip = PartialStretch(0)
            return
        self.closed_through_s = metadata.closed_through_s
        self.gaps, self.silences = metadata.gaps, metadata.silences
        self._skip = metadata.skip
        self._whole_from_s = metadata.whole_from_s
        self._duplicates = DuplicateFilter(self._duplicates.generation_events, begin=metadata.ids)
        self._watermark = Watermark(
            self._lateness_s, slack_min_s=self.bucket_s, state=metadata.watermark
        )
        if first_offset >= checkpoint.offset:
            self.replay_until = max(metadata.position, first_offset)
        if first_offset != checkpoint.offset:
            self._lose_kept_buckets(checkpoint.offset, metadata, first_offset)

    def _lose_kept_buckets(
        self, offset: int, metadata: CheckpointMetadata, first_offset: int
    ) -> None:
        """Skip what records from the committed offset on were needed for: they are gone."""
        from_s = self.closed_through_s if self._skip is None else self._skip.from_s
        newest_s = metadata.watermark.newest_s
        if offset < metadata.position and newest_s is not None:
            # Buckets were open, and the newest event tells the last of them.
            after_last_s = int(newest_s // self.bucket_s + 1) * self.bucket_s
            self.closed_through_s = max(self.closed_through_s, after_last_s)
        self._whole_from_s = self.closed_through_s
        if offset <= first_offset <= metadata.position:
            self._add_gap(from_s, self.closed_through_s)  # all that is missing had been read before
        else:
            self._skip = PartialStretch(from_s)

    def _add_gap(self, from_s: int, until_s: int) -> None:
        """Everything from there to the first bucket that is whole."""
        self.gaps = bounded(united(self.gaps, [(from_s, until_s)]), self.closed_through_s)

    def _bucket_from(self, time_s: float) -> int:
        """The start of the first bucket that lies wholly after this instant."""
        return math.ceil(time_s / self.bucket_s) * self.bucket_s
