"""The demand topic as Faust tables: each module's history with the one worker that owns it.

The deciding worker runs one `DemandTables` and gives it a `DemandSink`. Faust assigns the
partitions of the demand topic, keeps the parts in an in-memory table with a changelog and rebuilds
it after a restart; owning a partition is the authority to decide for its modules. A part takes the
place of one of the same bucket and input partition as `streams/demand.py` says, so that reading
something twice changes nothing and at-least-once is enough.

What is known of each input partition's `Progress`, all reports merged, lies in a second table, one
entry for each partition of the demand topic: after a restart it is known at once, also where ingest
is down and sends no more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Any, Protocol

import msgspec
import structlog

from streams.backoff import Backoff
from streams.demand import (
    DemandPart,
    Progress,
    decode_demand,
    encode_demand,
    merged_progress,
)
from streams.demand_blocks import (
    BlockKey,
    DemandBlock,
    KeptBlocks,
    block_key,
    decode_key,
    read_block,
    with_part,
)
from streams.faust_kafka import faust_app
from streams.standstill import Standstill
from streams.topics import KafkaConnection, demand_partition

_log = structlog.get_logger(__name__)

_BLOCKS_WITHOUT_PAUSE = 50
_STOP_MAX_S = 60.0
"""What stands still may not end by itself either."""


class DemandSink(Protocol):
    """Who takes the demand in. Called on the event loop, one call at a time; must not block.

    `on_assigned` names all partitions that are owned from now on, and everything of others is to be
    forgotten. Their history follows: first how far each input partition has come, then the blocks,
    oldest first; then the live records through `on_part` and `on_progress`. `on_revoked` names
    partitions that may already be somebody else's: decide nothing for them.
    """

    def on_block(self, block: DemandBlock, demand_partition: int) -> None: ...
    def on_part(self, part: DemandPart, demand_partition: int) -> None: ...
    def on_progress(self, progress: Progress, demand_partition: int) -> None: ...
    def on_assigned(self, partitions: set[int]) -> None: ...
    def on_revoked(self, partitions: set[int]) -> None: ...


class DemandTableSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How much history is kept, and in what pieces. `partitions` is the demand topic's number.

    A take-over in which nothing moves for `standstill_max_s` is begun anew; a group waits for a
    member that is busy for up to 60 s (Faust's `broker_rebalance_timeout`).
    """

    partitions: int
    replication_factor: int = 1
    history_s: int = 15 * 86_400
    block_s: int = 600
    session_timeout_s: float = 10.0
    standstill_max_s: float = 90.0


class TakeOverStandsStillError(Exception):
    """Partitions changed hands and their history does not come."""


class ChangelogUnseenError(Exception):
    """The broker's metadata that Faust holds do not show a changelog as it is."""


class DemandTables:
    """One member of the deciding group; `counts` holds parts, progress, rejects since the start."""

    def __init__(
        self,
        connection: KafkaConnection,
        demand_topic: str,
        group: str,
        sink: DemandSink,
        settings: DemandTableSettings,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.settings = settings
        self._connection = connection
        self._demand_topic = demand_topic
        self._group = group
        self._sink = sink
        self._tables: _Tables | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    @property
    def owned_partitions(self) -> frozenset[int]:
        """The partitions of the demand topic whose modules are ours to decide for, now."""
        return frozenset() if self._tables is None else self._tables.owned

    @property
    def recovered(self) -> bool:
        """Whether the sink has the history of all owned partitions."""
        return self._tables is not None and self._tables.recovered

    async def start(self) -> None:
        """Begin in the background; `recovered` tells when the history is there."""
        self._task = asyncio.create_task(self.run(), name="demand tables")

    async def stop(self) -> None:
        """Leave the group; raises what ended the background task, if it did not end well."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def run(self) -> None:
        """Until `stop`. Where Faust gives up, a new app starts after a while."""
        backoff = Backoff()
        while not self._stopping.is_set():
            self._tables = _Tables(self)
            try:
                await self._tables.serve(self._stopping)
                backoff.reset()
            except Exception as error:  # noqa: BLE001 - whatever ended Faust, its partitions are gone
                self.counts["restart"] += 1
                _log.warning("demand tables ended", error=repr(error))
            finally:
                self._tables.let_go()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), backoff.next_delay_s())


class _Tables:
    """One life of the Faust app."""

    def __init__(self, owner: DemandTables) -> None:
        self.owned: frozenset[int] = frozenset()
        self.recovered = False
        self._settings = owner.settings
        self._counts = owner.counts
        self._sink = owner._sink
        self._demand_topic = owner._demand_topic
        self._blocks: dict[tuple[str, int], KeptBlocks] = {}
        self._replayed = 0
        self._app = faust_app(
            owner._connection,
            owner._group,
            partitions=owner.settings.partitions,
            replication_factor=owner.settings.replication_factor,
            session_timeout_s=owner.settings.session_timeout_s,
        )
        self._parts = self._table("parts")
        self._progress = self._table("progress")
        self._parts.on_recover(self._on_recovered)
        self._app.on_partitions_revoked.connect(self._on_revoked)
        topic = self._app.topic(owner._demand_topic, **_RAW)
        self._app.agent(topic, name="demand")(self._read)

    async def serve(self, stopping: asyncio.Event) -> None:
        """Run until told to stop; raises what made Faust crash, or that it stands still."""
        app, standstill = self._app, Standstill(self._settings.standstill_max_s)
        starting = asyncio.create_task(app.start())
        waits = {
            asyncio.create_task(stopping.wait()),
            asyncio.create_task(app.wait_until_stopped()),
        }
        try:
            while not stopping.is_set() and not app.crashed and not app.should_stop:
                await asyncio.wait(
                    {*waits, starting} if not starting.done() else waits,
                    return_when=asyncio.FIRST_COMPLETED,
                    timeout=1.0,
                )
                if starting.done():
                    starting.result()
                if standstill.has_lasted(self._takeover(), asyncio.get_running_loop().time()):
                    raise TakeOverStandsStillError(
                        f"nothing moved for {self._settings.standstill_max_s:g} s while partitions "
                        "were taken over"
                    )
        finally:
            for task in (*waits, starting):
                task.cancel()
            await asyncio.gather(*waits, starting, return_exceptions=True)
            async with asyncio.timeout(_STOP_MAX_S):
                await app.stop()
        if app.crash_reason is not None:
            raise app.crash_reason

    def _takeover(self) -> tuple[int, ...] | None:
        """What grows while partitions are taken over, None while none are. A member to which the
        group gives none is not rebalancing."""
        if not self._app.rebalancing:
            return None
        read = sum(offset or 0 for offset in self._app.tables.recovery.active_offsets.values())
        return self._app.rebalancing_count, read, self._replayed

    def let_go(self) -> None:
        """Nothing is ours any more."""
        self.recovered = False
        lost, self.owned = set(self.owned), frozenset()
        if lost:
            self._sink.on_revoked(lost)

    async def _read(self, stream: Any) -> None:
        async for event in stream.events():
            try:
                record = decode_demand(event.value)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError):
                self._counts["rejected"] += 1
                continue
            try:
                self._take(record, event.message.partition)
            except Exception:  # noqa: BLE001 - the sink is not ours
                # Faust would start the agent anew and pass the record over without a word.
                # The table has it already; only what the sink does with it failed.
                self._counts["failed"] += 1
                _log.exception("demand record failed", offset=event.message.offset)

    def _take(self, record: DemandPart | Progress, partition: int) -> None:
        if isinstance(record, Progress):
            self._take_progress(record, partition)
        elif demand_partition(record.module, self._settings.partitions) != partition:
            self._counts["misplaced"] += 1
        else:
            self._take_part(record, partition)

    def _take_part(self, part: DemandPart, partition: int) -> None:
        key = block_key(part, self._settings.block_s)
        encoded = key.encode()
        known = self._parts.get(encoded)
        body = with_part(key, known, part)
        if body != known:
            self._parts[encoded] = body
        kept = self._kept_blocks(key)
        kept.note(key.start_s)
        for start_s in kept.take_too_old():
            self._parts.pop(BlockKey(key.module, start_s, key.partition).encode(), None)
        self._counts["parts"] += 1
        self._sink.on_part(part, partition)

    def _take_progress(self, progress: Progress, partition: int) -> None:
        key = f"{partition}|{progress.partition}".encode()
        known = self._progress.get(key)
        merged = merged_progress(None if known is None else _progress(known), progress)
        self._progress[key] = encode_demand(merged)
        self._counts["progress"] += 1
        self._sink.on_progress(merged, partition)

    def _kept_blocks(self, key: BlockKey) -> KeptBlocks:
        of_source = key.module, key.partition
        if of_source not in self._blocks:
            self._blocks[of_source] = KeptBlocks(self._settings.history_s)
        return self._blocks[of_source]

    async def _on_revoked(self, app: Any, revoked: Any, **_: Any) -> None:
        self.let_go()

    async def _on_recovered(self) -> None:
        """Faust has the tables up to date and holds the streams back until this returns."""
        unseen = self._unseen_changelog()
        if unseen:
            # The flow begins when this returns: not before Faust is down.
            await self._app.crash(ChangelogUnseenError(unseen))
            await self._app.wait_until_stopped()
            return
        assigned = self._app.consumer.assignment()
        # Faust's own topics (changelogs, the leader's) are assigned too and are no authority.
        owned = {one.partition for one in assigned if one.topic == self._demand_topic}
        self._forget_all_but(owned)
        self.owned = frozenset(owned)
        self._sink.on_assigned(owned)
        # Progress first: it says which blocks are old enough to be added up for good.
        for key, body in list(self._progress.items()):
            self._sink.on_progress(_progress(body), int(key.partition(b"|")[0]))
        keys = sorted(map(decode_key, self._parts), key=_by_time)
        if not await self._replay_blocks(keys):
            return  # another rebalance; it brings the history again
        self.recovered = True
        _log.info("demand recovered", partitions=sorted(owned), blocks=len(keys))

    def _unseen_changelog(self) -> str:
        """A changelog that was made a moment ago and stands in the metadata without partitions.

        Faust would refuse every write to its table, for as long as the metadata are believed (five
        minutes), and pass the records over. A new app asks the broker anew.
        """
        for table in (self._parts, self._progress):
            seen = self._app.consumer.topic_partitions(table.changelog_topic_name)
            if seen not in (None, self._settings.partitions):
                return f"{table.changelog_topic_name} is seen with {seen} partitions"
        return ""

    async def _replay_blocks(self, keys: list[BlockKey]) -> bool:
        """All of them, oldest first; whether the partitions were still ours at the end."""
        owned = self.owned
        for number, key in enumerate(keys):
            self._replayed += 1
            self._kept_blocks(key).note(key.start_s)
            block = read_block(key, self._parts[key.encode()])
            if block is None:
                self._counts["unknown_block"] += 1
            else:
                self._sink.on_block(block, demand_partition(key.module, self._settings.partitions))
            if number % _BLOCKS_WITHOUT_PAUSE == 0:
                await asyncio.sleep(0)
                if self.owned != owned:
                    return False
        return True

    def _forget_all_but(self, owned: set[int]) -> None:
        """Faust's memory store keeps what we wrote to partitions that are now another worker's."""
        partitions = self._settings.partitions
        for encoded in list(self._parts):
            key = decode_key(encoded)
            if demand_partition(key.module, partitions) not in owned:
                self._parts.data.data.pop(encoded, None)
                self._blocks.pop((key.module, key.partition), None)
        for encoded in list(self._progress):
            if int(encoded.partition(b"|")[0]) not in owned:
                self._progress.data.data.pop(encoded, None)

    def _table(self, name: str) -> Any:
        partitions = self._settings.partitions
        return self._app.Table(name, partitions=partitions, key_type=bytes, value_type=bytes)


_RAW: dict[str, Any] = {
    "key_type": bytes,
    "value_type": bytes,
    "key_serializer": "raw",
    "value_serializer": "raw",
}
"""Bytes in, bytes out: what cannot be decoded is ours to count, and does not stop the stream."""


def _by_time(key: BlockKey) -> tuple[int, str, int]:
    return key.start_s, key.module, key.partition


def _progress(body: bytes) -> Progress:
    record = decode_demand(body)
    assert isinstance(record, Progress), "the progress table holds progress"
    return record
