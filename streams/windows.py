"""Adds events up in event-time buckets, for one input partition, and says what a restart needs.

`streams/ingest.py` keeps one `PartitionWindows` for each partition it owns, feeds it records in
offset order and writes what `close` returns in one transaction together with `checkpoint`. Pure:
time is what the events say. Nothing is kept on disk, so this is the argument that nothing is lost
and nothing is counted twice:

1. A bucket is closed when the watermark (newest event time minus lateness) passes its end, and
   whether an event is late depends on the watermark alone. Both follow from the sequence of
   records, not from when somebody calls `close`.
2. The committed offset is the earliest that any open bucket still needs, and the metadata next to
   it says `closed_through_s` (every bucket before it is out), `position` (the next record to be
   read at that commit), `newest_s` (the watermark's source) and the gaps, an unended one too.
3. A reader that starts from there sees every record of every open bucket again. Records before
   `position` whose bucket is out are set aside as REPLAYED: they were counted, or found late,
   before. Those of open buckets rebuild the buckets. From `position` on, state and watermark are
   those of a reader that never stopped, so what follows is the same, part by part.
4. An offset and its parts are committed together or not at all, so a part that is not out is
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
from typing import NamedTuple

import msgspec

from streams.demand import DemandCell, DemandPart, Progress
from streams.duplicates import DuplicateFilter
from streams.event_types import OTHER, Heartbeat, RequestEvent
from streams.gaps import Gaps, bounded, united

CHECKPOINT_VERSION = 1


class Verdict(enum.StrEnum):
    """What became of an event."""

    COUNTED = "counted"
    LATE = "late"
    """Its bucket was closed before it came."""
    DUPLICATE = "duplicate"
    """An event of this id was counted in this bucket."""
    OTHER = "other"
    """It names a module or a region that is not ours."""
    REPLAYED = "replayed"
    """Read again after a restart; what was to be done with it was done before."""


class Checkpoint(NamedTuple):
    """What is committed: the offset to read from, and what that offset alone does not say."""

    offset: int
    metadata: str


class _Skip(msgspec.Struct, forbid_unknown_fields=True):
    """A gap whose end is not certain yet: its begin, the newest event since, its latest end."""

    from_s: int
    front_s: float | None = None
    until_max_s: float | None = None


class _Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    version: int
    bucket_s: int
    closed_through_s: int
    position: int
    newest_s: float | None
    gaps: Gaps = ()
    skip: _Skip | None = None


class _Bucket:
    """Sums of one bucket: {(module, region, pinned): [requests, events]}."""

    __slots__ = ("cells", "first_offset")

    def __init__(self, first_offset: int) -> None:
        self.first_offset = first_offset
        self.cells: dict[tuple[str, str, bool], list[float]] = {}


class Watermark:
    """How far event time has come: the newest event minus the lateness. It never goes back."""

    def __init__(self, lateness_s: float, newest_s: float = -math.inf) -> None:
        if lateness_s < 0:
            raise ValueError(f"a lateness of {lateness_s} s lies in the future")
        self.lateness_s = lateness_s
        self.newest_s = newest_s

    def see(self, time_s: float) -> None:
        """Take note of an event's time."""
        self.newest_s = max(self.newest_s, time_s)

    @property
    def reached_s(self) -> float:
        """No event before this instant is expected any more; minus infinity before the first."""
        return self.newest_s - self.lateness_s


class PartitionWindows:
    """Buckets of one input partition.

    Request counts are whole numbers as long as sample rates are 1/n, and whole numbers up to 2**53
    add up to the same bytes in any order; other rates may differ in the last bit with the order.
    """

    def __init__(
        self,
        partition: int,
        *,
        bucket_s: int = 10,
        lateness_s: float = 30.0,
        duplicate_offsets: int = 100_000,
        checkpoint: Checkpoint | None = None,
        first_offset: int | None = None,
    ) -> None:
        """Start from the partition's very first record, or from what was committed.

        `first_offset` is given where the records from the checkpoint on are not there any more:
        the offset of the first that is (below the checkpoint's if it is another log altogether).
        """
        self.partition = partition
        self.bucket_s = bucket_s
        self.position = 0
        self.replay_until = 0
        self.closed_through_s = 0
        self.gaps: Gaps = ()
        self._skip: _Skip | None = None
        self._watermark = Watermark(lateness_s)
        self._duplicates = DuplicateFilter(duplicate_offsets)
        self._open: dict[int, _Bucket] = {}
        if checkpoint is not None:
            self._restore(checkpoint, checkpoint.offset if first_offset is None else first_offset)

    @property
    def newest_s(self) -> float | None:
        """The newest event time seen, None before the first event."""
        newest_s = self._watermark.newest_s
        return newest_s if math.isfinite(newest_s) else None

    @property
    def open_buckets(self) -> int:
        """How many buckets hold events that are not out yet."""
        return len(self._open)

    @property
    def skipping_partial(self) -> bool:
        """Whether records are missing and no bucket is certainly whole yet."""
        return self._skip is not None

    def lost_before(self, time_s: float) -> None:
        """Take note that all missing records had been written by then; the earliest one counts."""
        if self._skip is not None:
            until_s = time_s + self._watermark.lateness_s
            known_s = self._skip.until_max_s
            self._skip.until_max_s = until_s if known_s is None else min(known_s, until_s)

    def add(self, event: RequestEvent | Heartbeat, offset: int) -> Verdict:
        """Count an event. Offsets come in order; the events of one record share theirs."""
        assert offset >= self.position - 1, "the records of a partition come in offset order"
        self.position = offset + 1
        time_s = event.time_s
        if self._skip is not None:
            self._skip_partial_buckets(self._skip, time_s)
        if time_s > self._watermark.newest_s:
            self._see(time_s)
        if isinstance(event, Heartbeat):
            return Verdict.COUNTED
        if event.module == OTHER:
            return Verdict.REPLAYED if offset < self.replay_until else Verdict.OTHER
        start_s = int(time_s // self.bucket_s) * self.bucket_s
        if start_s < self.closed_through_s:
            return Verdict.REPLAYED if offset < self.replay_until else Verdict.LATE
        if event.event_id and self._duplicates.is_repeated(start_s, event.event_id, offset):
            return Verdict.DUPLICATE
        bucket = self._open.get(start_s)
        if bucket is None:
            bucket = self._open[start_s] = _Bucket(offset)
        key = (event.module, event.region, event.pinned)
        cell = bucket.cells.get(key)
        if cell is None:
            bucket.cells[key] = [event.requests, 1]
        else:
            cell[0] += event.requests
            cell[1] += 1
        return Verdict.COUNTED

    def pass_by(self, offset: int) -> None:
        """Note that the record at `offset` was read and holds nothing to count."""
        assert offset >= self.position, "the records of a partition come in offset order"
        self.position = offset + 1

    def close(self) -> list[DemandPart]:
        """Take out every bucket that the watermark has passed: one part for each of its modules."""
        done = sorted(start_s for start_s in self._open if start_s < self.closed_through_s)
        return [part for start_s in done for part in self._parts(start_s, self._open.pop(start_s))]

    def snapshot(self) -> list[DemandPart]:
        """The open buckets as they are, for an idle partition; their final parts replace these."""
        return [part for start_s in sorted(self._open) for part in self._parts(start_s)]

    def progress(self, partitions: int, *, idle: bool) -> Progress:
        """How far the parts that are out reach, and the gaps; `partitions` of the input topic.

        A partition with missing records is idle only if it is known when they had been written.
        """
        gaps, skip = self.gaps, self._skip
        if skip is not None:
            idle = idle and skip.until_max_s is not None
            until_s = self.closed_through_s
            if idle and skip.until_max_s is not None:
                until_s = max(until_s, self._bucket_from(skip.until_max_s))
            gaps = bounded(united(gaps, [(skip.from_s, until_s)]), self.closed_through_s)
        return Progress(self.partition, self.closed_through_s, idle, partitions, gaps=gaps)

    def checkpoint(self) -> Checkpoint:
        """What to commit with the parts of the last `close`; asserts that they were taken."""
        assert all(start_s >= self.closed_through_s for start_s in self._open), "close() first"
        # Before the end of a replay the older position stays: what lies before it is accounted for.
        position = max(self.position, self.replay_until)
        offset = min((one.first_offset for one in self._open.values()), default=self.position)
        metadata = _Metadata(
            CHECKPOINT_VERSION,
            self.bucket_s,
            self.closed_through_s,
            position,
            self.newest_s,
            bounded(self.gaps, self.closed_through_s),
            self._skip,
        )
        return Checkpoint(offset, msgspec.json.encode(metadata).decode())

    def _see(self, time_s: float) -> None:
        self._watermark.see(time_s)
        reached_s = int(self._watermark.reached_s // self.bucket_s) * self.bucket_s
        self.closed_through_s = max(self.closed_through_s, reached_s)

    def _parts(self, start_s: int, bucket: _Bucket | None = None) -> list[DemandPart]:
        cells_by_module: dict[str, list[DemandCell]] = {}
        cells = (bucket or self._open[start_s]).cells
        for (module, region, pinned), (requests, events) in sorted(cells.items()):
            cell = DemandCell(region, pinned, float(requests), int(events))
            cells_by_module.setdefault(module, []).append(cell)
        return [
            DemandPart(module, start_s, self.bucket_s, self.partition, tuple(of_module))
            for module, of_module in cells_by_module.items()
        ]

    def _restore(self, checkpoint: Checkpoint, first_offset: int) -> None:
        self.position = first_offset
        metadata = _read_metadata(checkpoint.metadata)
        if metadata is None or metadata.bucket_s != self.bucket_s:
            if checkpoint.offset > 0 or first_offset != checkpoint.offset:
                self._skip = _Skip(0)
            return
        self.closed_through_s = metadata.closed_through_s
        self.gaps = metadata.gaps
        self._skip = metadata.skip
        if metadata.newest_s is not None:
            self._watermark.see(metadata.newest_s)
        if first_offset >= checkpoint.offset:
            self.replay_until = max(metadata.position, first_offset)
        if first_offset != checkpoint.offset:
            self._lose_open_buckets(checkpoint.offset, metadata, first_offset)

    def _lose_open_buckets(self, offset: int, metadata: _Metadata, first_offset: int) -> None:
        """Skip what records from the committed offset on were needed for: they are gone."""
        from_s = self.closed_through_s if self._skip is None else self._skip.from_s
        newest_s = metadata.newest_s
        if offset < metadata.position and newest_s is not None:
            # Buckets were open, and the newest event tells the last of them.
            after_last_s = int(newest_s // self.bucket_s + 1) * self.bucket_s
            self.closed_through_s = max(self.closed_through_s, after_last_s)
        if offset <= first_offset <= metadata.position:
            self._add_gap(from_s)  # all that is missing had been read before
        else:
            self._skip = _Skip(from_s)

    def _skip_partial_buckets(self, skip: _Skip, time_s: float) -> None:
        """Let out only buckets that must lie wholly after the records that are missing."""
        lateness_s = self._watermark.lateness_s
        latest_s = math.inf if skip.until_max_s is None else skip.until_max_s
        if skip.front_s is None or time_s > skip.front_s + lateness_s:
            whole_from_s = self._bucket_from(min(time_s + lateness_s, latest_s))
            self.closed_through_s = max(self.closed_through_s, whole_from_s)
            skip.front_s = time_s
        skip.front_s = max(skip.front_s, time_s)
        if skip.front_s >= self.closed_through_s or self.closed_through_s >= latest_s:
            self._skip = None
            self._add_gap(skip.from_s)

    def _add_gap(self, from_s: int) -> None:
        """Everything from there to the first bucket that is whole."""
        gap = (from_s, self.closed_through_s)
        self.gaps = bounded(united(self.gaps, [gap]), self.closed_through_s)

    def _bucket_from(self, time_s: float) -> int:
        """The start of the first bucket that lies wholly after this instant."""
        return math.ceil(time_s / self.bucket_s) * self.bucket_s


def _read_metadata(text: str) -> _Metadata | None:
    try:
        metadata = msgspec.json.decode(text, type=_Metadata)
    except (msgspec.MsgspecError, ValueError):
        return None
    return metadata if metadata.version == CHECKPOINT_VERSION else None
