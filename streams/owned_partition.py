"""One input partition in the hands of this worker: its windows, its handover, what waits to go out.

`streams/ingest.py` keeps one for each partition of its assignment. It knows nothing of assignments:
losing it loses only work, since whoever takes the partition over next reads it again from the last
checkpoint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from streams.checkpoint import Checkpoint
from streams.counters import CounterDemand
from streams.dead_letter import DeadLetter, dead_letter
from streams.event_columns import Cells, EventColumns, columns_of, merged_columns
from streams.event_types import RequestEvent
from streams.handover import Handover, Package
from streams.record_block import Block, decode_block
from streams.windows import PartitionWindows

LOG_APPEND_TIME = 1
"""A record's timestamp type where the broker set it (Kafka's record batch format)."""


class CommitPolicy(Protocol):
    """The settings of `IngestSettings` that matter here."""

    @property
    def commit_interval_s(self) -> float: ...
    @property
    def progress_every_s(self) -> float: ...
    @property
    def open_buckets_max(self) -> int: ...
    @property
    def dead_letters_max(self) -> int: ...
    @property
    def dead_letter_bytes_max(self) -> int: ...


class OwnedPartition:
    """Takes records in and hands packages over. `now_s` is the worker's monotonic clock."""

    def __init__(
        self,
        windows: PartitionWindows,
        counters: CounterDemand,
        handover: Handover,
        policy: CommitPolicy,
        now_s: float,
        *,
        partitions: int = 0,
    ) -> None:
        """`partitions` of the topic; 0 where that is not known yet."""
        self.windows = windows
        self.handover = handover
        self.last_record_s = now_s
        self._counters = counters
        self._partitions = partitions
        self._policy = policy
        self._dead_letters: list[DeadLetter] = []
        self._committed_s = now_s
        self._told_s = float("-inf")
        self._told: tuple[int, bool] | None = None
        self._was_empty = False

    def take(
        self,
        records: Sequence[Any],
        cells: Cells,
        counts: Counter[str],
    ) -> None:
        """Decode and count aiokafka's records; those read before are passed over."""
        windows = self.windows
        if records and records[0].offset < windows.position:
            records = [record for record in records if record.offset >= windows.position]
        if not records:
            return
        first = records[0]
        if windows.skipping_partial and first.timestamp_type == LOG_APPEND_TIME:
            # In the broker's time what is missing came before; senders' clocks promise nothing.
            windows.lost_before(first.timestamp / 1000)
        block = decode_block(records, cells)
        columns = block.columns
        if block.samples:
            columns = self._with_samples(block, records, cells, counts)
        for verdict, number in windows.add_columns(columns).items():
            counts[verdict.value] += number
        windows.pass_by(records[-1].offset)
        if block.rejected or block.ignored:
            self._set_aside(block, records, counts)

    def _with_samples(
        self, block: Block, records: Sequence[Any], cells: Cells, counts: Counter[str]
    ) -> EventColumns:
        """The block's events, and between them what its metric samples tell of requests."""
        events: list[RequestEvent] = []
        rows, needed = [], []
        verdicts = self._counters.counts
        for row, sample in block.samples:
            record = records[row]
            verdicts.clear()
            keyed = record.key is not None or self._partitions == 1
            for amount in self._counters.add(sample, record.offset, whole_series=keyed):
                events.append(amount.event)
                rows.append(row)
                needed.append(amount.needed_offset)
            if record.offset < self.windows.replay_until:
                counts["replayed"] += 1
            else:
                counts.update({verdict.value: number for verdict, number in verdicts.items()})
        offsets = np.array([record.offset for record in records])
        made = columns_of(events, offsets[rows].tolist() if rows else [], cells, needed)
        among = np.searchsorted(offsets, block.columns.offset)
        return merged_columns(block.columns, among, made, np.array(rows, np.int64))

    def _set_aside(self, block: Block, records: Sequence[Any], counts: Counter[str]) -> None:
        """What the block holds besides events to count; one dead letter for each bad record."""
        counts["ignored"] += block.ignored
        replay_until, lettered = self.windows.replay_until, -1
        for row, rejected in block.rejected:
            if records[row].offset < replay_until:
                counts["replayed"] += 1
                continue
            counts[rejected.reason.value] += 1
            if row != lettered:
                lettered = row
                limit = self._policy.dead_letter_bytes_max
                source = self.handover.source
                self._dead_letters.append(dead_letter(source, records[row], rejected, limit))

    def is_due(self, now_s: float, *, idle: bool) -> bool:
        """Whether something should go out now."""
        policy = self._policy
        if len(self._dead_letters) >= policy.dead_letters_max:
            return True
        if self.windows.open_buckets > policy.open_buckets_max:
            return True
        news = self._told != (self.windows.closed_through_s, idle)
        # A commit that held nothing but progress must not make the parts after it wait.
        if now_s - self._committed_s < policy.commit_interval_s and not (news and self._was_empty):
            return False
        return news or bool(self._dead_letters) or now_s - self._told_s >= policy.progress_every_s

    async def hand_over(
        self, partitions: int, now_s: float, *, idle: bool, wall_s: float | None = None
    ) -> int:
        """One transaction; gives the number of parts in it. After an error, start over."""
        parts = self.windows.close()
        if idle and (self._told is None or not self._told[1]):
            parts += self.windows.snapshot()
        progress = self.windows.progress(partitions, idle=idle, wall_s=wall_s)
        self._partitions = partitions
        package = Package(parts, progress, self._dead_letters, self._checkpoint())
        await self.handover.commit(package)
        self._was_empty = not parts and not self._dead_letters
        self._dead_letters = []
        self._committed_s = self._told_s = now_s
        self._told = (progress.closed_through_s, idle)
        return len(parts)

    def _checkpoint(self) -> Checkpoint:
        """The windows', held back by what the next differences of counters need."""
        checkpoint = self.windows.checkpoint()
        needed = self._counters.needed_offset(self.windows.newest_s)
        if needed is None or needed >= checkpoint.offset:
            return checkpoint
        return checkpoint._replace(offset=needed)
