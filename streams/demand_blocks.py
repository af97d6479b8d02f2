"""The small blocks in which the demand table keeps its history, and their keys.

`streams/faust_app.py` stores them. A block holds what one input partition gave of one module within
one stretch of time, so that a closed bucket rewrites a few kilobytes of the changelog, however long
the history is and however many input partitions there are. It lies in columns, one for each cell,
so that weeks of blocks are added up by arrays and not part by part. Pure. The key and the layout
are stored state: another layout needs another version, and an unknown version is set aside, never
guessed at.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.demand import DemandCell, DemandPart, supersedes

BLOCK_VERSION = 2
ABSENT = -1
"""Stands as the revision of a bucket that no part was given of."""
EVENTS_MAX = 2**32 - 1

_FLOAT, _EVENTS, _REVISION = struct.Struct("<d"), struct.Struct("<I"), struct.Struct("<q")
_NO_REQUESTS = _FLOAT.pack(float("nan"))


class BlockKey(NamedTuple):
    """Names a block; written as `core|1732000200|3`."""

    module: str
    start_s: int
    partition: int

    def encode(self) -> bytes:
        """The table's key."""
        return f"{self.module}|{self.start_s}|{self.partition}".encode()


@dataclass(frozen=True, slots=True)
class DemandBlock:
    """What one input partition gave of a module in the buckets from `key.start_s` on.

    `cells` are (region, pinned). `requests`, `variance` and `events` have shape (cells, buckets);
    requests are NaN where the bucket's part did not name the cell. `revisions` has shape (buckets,)
    and is `ABSENT` where there is no part. `announced` are (region, workflows), the latter of shape
    (buckets,) and 0 where none were announced.
    """

    key: BlockKey
    bucket_s: int
    cells: tuple[tuple[str, bool], ...]
    requests: NDArray[np.float64]
    events: NDArray[np.int64]
    variance: NDArray[np.float64]
    revisions: NDArray[np.int64]
    announced: tuple[tuple[str, NDArray[np.float64]], ...] = ()

    @property
    def end_s(self) -> int:
        """The first instant after the last bucket that was given."""
        return self.key.start_s + len(self.revisions) * self.bucket_s

    def parts(self) -> list[DemandPart]:
        """The parts in order of time, the cells of each by region, movable first."""
        return [self._part(place) for place in np.flatnonzero(self.revisions != ABSENT).tolist()]

    def _part(self, place: int) -> DemandPart:
        cells = (
            DemandCell(region, pinned, requests, events, variance)
            for (region, pinned), requests, events, variance in zip(
                self.cells,
                self.requests[:, place].tolist(),
                self.events[:, place].tolist(),
                self.variance[:, place].tolist(),
                strict=True,
            )
            if requests == requests  # noqa: PLR0124 - NaN: the part did not name it
        )
        return DemandPart(
            self.key.module,
            self.key.start_s + place * self.bucket_s,
            self.bucket_s,
            self.key.partition,
            tuple(sorted(cells, key=lambda cell: (cell.region, cell.pinned))),
            revision=int(self.revisions[place]),
            announced=tuple(
                (region, float(workflows[place]))
                for region, workflows in self.announced
                if workflows[place] > 0
            ),
        )


def block_key(part: DemandPart, block_s: int) -> BlockKey:
    """The block that a part belongs to."""
    return BlockKey(part.module, part.bucket_start_s // block_s * block_s, part.partition)


def decode_key(key: bytes) -> BlockKey:
    """Read a key back; raises `ValueError` on anything else."""
    module, start_s, partition = key.decode().rsplit("|", 2)
    return BlockKey(module, int(start_s), int(partition))


def with_part(key: BlockKey, body: bytes | None, part: DemandPart) -> bytes:
    """The block with this part in it, unless it holds one of the bucket that `supersedes` it."""
    stored = _of_step(key, body, part.bucket_s)
    place = (part.bucket_start_s - key.start_s) // part.bucket_s
    if place < len(stored.revisions) // 8:
        (revision,) = _REVISION.unpack_from(stored.revisions, place * 8)
        if revision != ABSENT and not supersedes(part, _opened(key, stored)._part(place)):
            return body or b""
    _put(stored, part, place)
    return _ENCODER.encode(stored)


def read_block(key: BlockKey, body: bytes) -> DemandBlock | None:
    """The block; None if a release that we do not know wrote it."""
    stored = _decode(key, body)
    return None if stored is None else _opened(key, stored)


class KeptBlocks:
    """Which blocks of one module and partition there are, and which fell out of the history."""

    def __init__(self, history_s: int) -> None:
        self._history_s = history_s
        self._starts: set[int] = set()
        self._oldest: list[int] = []
        self._newest_s = 0

    def note(self, start_s: int) -> None:
        """Remember a block."""
        if start_s not in self._starts:
            self._starts.add(start_s)
            heapq.heappush(self._oldest, start_s)
            self._newest_s = max(self._newest_s, start_s)

    def take_too_old(self) -> list[int]:
        """The starts of blocks that lie before the history, which are forgotten here."""
        dropped = []
        while self._oldest and self._oldest[0] < self._newest_s - self._history_s:
            dropped.append(heapq.heappop(self._oldest))
            self._starts.discard(dropped[-1])
        return dropped


class _Column(msgspec.Struct, array_like=True):
    """One cell: little-endian doubles and counts, as long as the newest bucket that names it."""

    region: str
    pinned: bool
    requests: bytearray = msgspec.field(default_factory=bytearray)
    events: bytearray = msgspec.field(default_factory=bytearray)
    variance: bytearray = msgspec.field(default_factory=bytearray)


class _Stored(msgspec.Struct, array_like=True):
    """The bytes' own layout. An empty variance is zero throughout.

    `announced` holds little-endian doubles by region, each as long as its newest bucket needs;
    older releases pass it over, and blocks of theirs lack it.
    """

    version: int
    bucket_s: int
    revisions: bytearray
    columns: list[_Column]
    announced: dict[str, bytearray] = {}


class _FirstLayout(msgspec.Struct, array_like=True):
    """What version 1 held: the cells of each bucket, by the bucket's start."""

    version: int
    bucket_s: int
    buckets: dict[int, tuple[DemandCell, ...]]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Stored)
_FIRST_DECODER = msgspec.msgpack.Decoder(_FirstLayout)


def _of_step(key: BlockKey, body: bytes | None, bucket_s: int) -> _Stored:
    stored = None if body is None else _decode(key, body)
    if stored is None or stored.bucket_s != bucket_s:
        return _Stored(BLOCK_VERSION, bucket_s, bytearray(), [])
    return stored


def _decode(key: BlockKey, body: bytes) -> _Stored | None:
    try:
        stored = _DECODER.decode(body)
    except msgspec.MsgspecError:
        return _from_first(key, body)
    return stored if stored.version == BLOCK_VERSION and _is_sound(stored) else None


def _is_sound(stored: _Stored) -> bool:
    """Whether the columns hold whole numbers of values, and none is longer than the block."""
    buckets = len(stored.revisions) // 8
    return (
        stored.bucket_s > 0
        and len(stored.revisions) % 8 == 0
        and all(
            len(column.requests) == 2 * len(column.events)
            and len(column.requests) % 8 == len(column.variance) % 8 == 0
            and max(len(column.requests), len(column.variance)) <= 8 * buckets
            for column in stored.columns
        )
        and all(
            len(workflows) % 8 == 0 and len(workflows) <= 8 * buckets
            for workflows in stored.announced.values()
        )
    )


def _from_first(key: BlockKey, body: bytes) -> _Stored | None:
    try:
        first = _FIRST_DECODER.decode(body)
    except msgspec.MsgspecError:
        return None
    if first.version != 1 or first.bucket_s <= 0:
        return None
    stored = _Stored(BLOCK_VERSION, first.bucket_s, bytearray(), [])
    for start_s, cells in sorted(first.buckets.items()):
        part = DemandPart(key.module, start_s, first.bucket_s, key.partition, cells)
        _put(stored, part, (start_s - key.start_s) // first.bucket_s)
    return stored


def _put(stored: _Stored, part: DemandPart, place: int) -> None:
    """Write the part into its bucket's place in every column."""
    _lengthen(stored.revisions, place, _REVISION, _REVISION.pack(ABSENT))
    _REVISION.pack_into(stored.revisions, place * 8, part.revision)
    columns = {(column.region, column.pinned): column for column in stored.columns}
    for column in stored.columns:
        if place < len(column.requests) // 8:
            _FLOAT.pack_into(column.requests, place * 8, float("nan"))
    for cell in part.cells:
        found = columns.get((cell.region, cell.pinned))
        if found is None:
            found = columns[cell.region, cell.pinned] = _Column(cell.region, cell.pinned)
            stored.columns.append(found)
        _put_cell(found, cell, place)
    _put_announced(stored, part, place)


def _put_announced(stored: _Stored, part: DemandPart, place: int) -> None:
    for workflows in stored.announced.values():
        if place < len(workflows) // 8:
            _FLOAT.pack_into(workflows, place * 8, 0.0)
    for region, number in part.announced:
        found = stored.announced.setdefault(region, bytearray())
        _lengthen(found, place, _FLOAT, bytes(8))
        _FLOAT.pack_into(found, place * 8, number)


def _put_cell(column: _Column, cell: DemandCell, place: int) -> None:
    _lengthen(column.requests, place, _FLOAT, _NO_REQUESTS)
    _FLOAT.pack_into(column.requests, place * 8, cell.requests)
    _lengthen(column.events, place, _EVENTS, bytes(4))
    _EVENTS.pack_into(column.events, place * 4, min(max(cell.events, 0), EVENTS_MAX))
    if cell.variance or column.variance:
        _lengthen(column.variance, place, _FLOAT, bytes(8))
        _FLOAT.pack_into(column.variance, place * 8, cell.variance)


def _lengthen(column: bytearray, place: int, kind: struct.Struct, absent: bytes) -> None:
    """Give the column room for this place, what was not there yet filled with `absent`."""
    missing = place + 1 - len(column) // kind.size
    if missing > 0:
        column += absent * missing


def _opened(key: BlockKey, stored: _Stored) -> DemandBlock:
    buckets = len(stored.revisions) // 8
    requests = np.full((len(stored.columns), buckets), np.nan)
    events = np.zeros((len(stored.columns), buckets), np.int64)
    variance = np.zeros((len(stored.columns), buckets))
    for row, column in enumerate(stored.columns):
        for values, body, kind in (
            (requests, column.requests, "<f8"),
            (events, column.events, "<u4"),
            (variance, column.variance, "<f8"),
        ):
            found = np.frombuffer(body, kind)
            values[row, : len(found)] = found
    return DemandBlock(
        key,
        stored.bucket_s,
        tuple((column.region, column.pinned) for column in stored.columns),
        requests,
        events,
        variance,
        np.frombuffer(stored.revisions, "<i8").astype(np.int64),
        tuple(_announced(stored, buckets)),
    )


def _announced(stored: _Stored, buckets: int) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """In the order of the regions' names, which is that of the parts."""
    for region, body in sorted(stored.announced.items()):
        workflows = np.zeros(buckets)
        workflows[: len(body) // 8] = np.frombuffer(body, "<f8")
        yield region, workflows
