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
   read at that commit) and `newest_s` (the watermark's source).
3. A reader that starts from there sees every record of every open bucket again. Records before
   `position` whose bucket is out are set aside as REPLAYED: they were counted, or found late,
   before. Those of open buckets rebuild the buckets. From `position` on, state and watermark are
   those of a reader that never stopped, so what follows is the same, part by part.
4. An offset and its parts are committed together or not at all, so a part that is not out is
   written again and one that is out is not.

A committed offset without metadata we understand (somebody reset it with Kafka's tools, or another
version wrote it) starts in mid-stream: buckets that may have begun before it are skipped, because
a part that holds half a bucket looks like a drop in demand.
"""

from __future__ import annotations

import enum
import math
from typing import NamedTuple

import msgspec

from streams.demand import DemandCell, DemandPart, Progress
from streams.duplicates import DuplicateFilter
from streams.event_types import Heartbeat, RequestEvent

CHECKPOINT_VERSION = 1


class Verdict(enum.StrEnum):
    """What became of an event."""

    COUNTED = "counted"
    LATE = "late"
    """Its bucket was closed before it came."""
    DUPLICATE = "duplicate"
    """An event of this id was counted in this bucket."""
    REPLAYED = "replayed"
    """Read again after a restart; what was to be done with it was done before."""


class Checkpoint(NamedTuple):
    """What is committed: the offset to read from, and what that offset alone does not say."""

    offset: int
    metadata: str


class _Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    bucket_s: int
    closed_through_s: int
    position: int
    newest_s: float | None


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
    ) -> None:
        """Start from the partition's very first record, or from what was committed."""
        self.partition = partition
        self.bucket_s = bucket_s
        self.position = 0
        self.replay_until = 0
        self.closed_through_s = 0
        self.skipping_partial = False
        self._watermark = Watermark(lateness_s)
        self._duplicates = DuplicateFilter(duplicate_offsets)
        self._open: dict[int, _Bucket] = {}
        if checkpoint is not None:
            self._restore(checkpoint)

    @property
    def newest_s(self) -> float | None:
        """The newest event time seen, None before the first event."""
        newest_s = self._watermark.newest_s
        return newest_s if math.isfinite(newest_s) else None

    @property
    def open_buckets(self) -> int:
        """How many buckets hold events that are not out yet."""
        return len(self._open)

    def add(self, event: RequestEvent | Heartbeat, offset: int) -> Verdict:
        """Count an event. Offsets of a partition come in order, each once between restarts."""
        assert offset >= self.position, "the records of a partition come in offset order"
        self.position = offset + 1
        time_s = event.time_s
        if self.skipping_partial:
            self._skip_partial_buckets(time_s)
        if time_s > self._watermark.newest_s:
            self._see(time_s)
        if isinstance(event, Heartbeat):
            return Verdict.COUNTED
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
        """How far the parts that are out reach; `partitions` of the input topic."""
        return Progress(self.partition, self.closed_through_s, idle, partitions)

    def checkpoint(self) -> Checkpoint:
        """What to commit with the parts of the last `close`; asserts that they were taken."""
        assert all(start_s >= self.closed_through_s for start_s in self._open), "close() first"
        # Before the end of a replay the older position stays: what lies before it is accounted for.
        position = max(self.position, self.replay_until)
        offset = min((one.first_offset for one in self._open.values()), default=self.position)
        if self.skipping_partial:
            return Checkpoint(offset, "")
        metadata = _Metadata(
            CHECKPOINT_VERSION, self.bucket_s, self.closed_through_s, position, self.newest_s
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

    def _restore(self, checkpoint: Checkpoint) -> None:
        self.position = checkpoint.offset
        metadata = _read_metadata(checkpoint.metadata)
        if metadata is None or metadata.bucket_s != self.bucket_s:
            self.skipping_partial = checkpoint.offset > 0
            return
        self.replay_until = max(metadata.position, checkpoint.offset)
        self.closed_through_s = metadata.closed_through_s
        if metadata.newest_s is not None:
            self._watermark.see(metadata.newest_s)

    def _skip_partial_buckets(self, time_s: float) -> None:
        """Let out only buckets that must lie wholly after the record where reading started.

        Records before it are at most `lateness_s` newer than this event, or it would be late.
        """
        whole_from_s = math.ceil((time_s + self._watermark.lateness_s) / self.bucket_s)
        self.closed_through_s = max(self.closed_through_s, whole_from_s * self.bucket_s)
        self.skipping_partial = False


def _read_metadata(text: str) -> _Metadata | None:
    try:
        metadata = msgspec.json.decode(text, type=_Metadata)
    except (msgspec.MsgspecError, ValueError):
        return None
    return metadata if metadata.version == CHECKPOINT_VERSION else None
