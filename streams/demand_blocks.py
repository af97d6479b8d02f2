"""The small blocks in which the demand table keeps its history, and their keys.

`streams/faust_app.py` stores them. A block holds what one input partition gave of one module within
one stretch of time, so that a closed bucket rewrites a few kilobytes of the changelog, however long
the history is and however many input partitions there are. Pure. The key and the layout are stored
state: another layout needs another version, and an unknown version is set aside, never guessed at.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from streams.demand import DemandCell, DemandPart

BLOCK_VERSION = 1


class BlockKey(NamedTuple):
    """Names a block; written as `core|1732000200|3`."""

    module: str
    start_s: int
    partition: int

    def encode(self) -> bytes:
        """The table's key."""
        return f"{self.module}|{self.start_s}|{self.partition}".encode()


class Block(msgspec.Struct, array_like=True):
    """The cells of each bucket, by the bucket's start."""

    version: int
    bucket_s: int
    buckets: dict[int, tuple[DemandCell, ...]]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Block)


def block_key(part: DemandPart, block_s: int) -> BlockKey:
    """The block that a part belongs to."""
    return BlockKey(part.module, part.bucket_start_s // block_s * block_s, part.partition)


def decode_key(key: bytes) -> BlockKey:
    """Read a key back; raises `ValueError` on anything else."""
    module, start_s, partition = key.decode().rsplit("|", 2)
    return BlockKey(module, int(start_s), int(partition))


def with_part(body: bytes | None, part: DemandPart) -> bytes:
    """The block with this part in it, in place of an older one of the same bucket."""
    block = None if body is None else _decode(body)
    if block is None or block.bucket_s != part.bucket_s:
        block = Block(BLOCK_VERSION, part.bucket_s, {})
    block.buckets[part.bucket_start_s] = part.cells
    return _ENCODER.encode(block)


def parts_of(key: BlockKey, body: bytes) -> list[DemandPart]:
    """The parts of a block in order of time; none if a release we do not know wrote it."""
    block = _decode(body)
    if block is None:
        return []
    return [
        DemandPart(key.module, start_s, block.bucket_s, key.partition, cells)
        for start_s, cells in sorted(block.buckets.items())
    ]


def _decode(body: bytes) -> Block | None:
    try:
        block = _DECODER.decode(body)
    except msgspec.MsgspecError:
        return None
    return block if block.version == BLOCK_VERSION else None
