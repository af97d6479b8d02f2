"""Makes an aiokafka consumer give its records by the batch, without an object of its own for each.

`streams/ingest.py` calls `give_whole_batches` on a consumer that has started; from then on each
item that `getmany` gives is a list of records instead of one. That halves the cost of fetching, but
it leans on private parts of aiokafka 0.14, so it checks them first and changes nothing if one is
missing: `getmany` then gives single records, and everything works at half the speed.
`tests/streams/test_kafka_contracts.py` holds what a new release must keep. Must never give a record
of an aborted transaction, of a control batch, before the position, or of a batch with a bad
checksum.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from typing import Any

import google_crc32c
from aiokafka import conn
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

RECORDS_MAX = 4096
"""Batches are joined up to about so many records: about five milliseconds of work."""
BYTES_MAX = 2 << 20
"""And up to about so many bytes: records of many events are long, and what has left the processor's
cache is decoded half as fast."""

_READ_BUFFER_BYTES = 4 << 20
"""aiokafka's 64 KiB make it wait for the socket a dozen times for each fetch."""
_LENGTH, _CRC = struct.Struct(">i"), struct.Struct(">I")
_HEAD_BYTES, _MAGIC_AT, _CRC_AT, _CHECKED_AT = 12, 16, 17, 21
_MAGIC = 2
_PRIVATE = (
    "_records", "_aborted_producers", "_aborted_transactions", "_isolation_level",
    "_consume_aborted_up_to", "_contains_abort_marker", "next_fetch_offset",
)  # fmt: skip


def give_whole_batches(consumer: Any) -> bool:
    """From now on `getmany` of this consumer gives lists of records; False if it cannot."""
    reader: Any = getattr(consumer, "_fetcher", None)
    if not _has_the_private_parts(reader):
        return False
    KeptRecords.install()
    known = _Fetched()
    known.update(reader._records)
    reader._records = known
    return True


def widen_read_buffers() -> None:
    """Of all connections made from now on in this process, if aiokafka has such a limit."""
    if getattr(conn, "READER_LIMIT", None) == 1 << 16:
        conn.READER_LIMIT = _READ_BUFFER_BYTES


def _has_the_private_parts(reader: Any) -> bool:
    if not isinstance(getattr(reader, "_records", None), OrderedDict):
        return False
    try:
        empty = fetcher.PartitionRecords(None, MemoryRecords(b""), None, 0, None, None, True, 1)
    except TypeError:
        return False
    return hasattr(fetcher, "FetchResult") and all(hasattr(empty, name) for name in _PRIVATE)


class KeptRecords(MemoryRecords):  # type: ignore[misc]
    """Fetched bytes that stay readable: aiokafka's own class hides them."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data: bytes | None = data

    @classmethod
    def install(cls) -> None:
        fetcher.MemoryRecords = cls


class _Fetched(OrderedDict[Any, Any]):
    """The fetcher's results by partition; those that hold records hold batches from now on."""

    def __setitem__(self, source: Any, result: Any) -> None:
        found = getattr(result, "_partition_records", None)
        if isinstance(found, fetcher.PartitionRecords):
            result._partition_records = Batches(found)
        super().__setitem__(source, result)


class Batches:
    """Stands in for aiokafka's iterator over records: gives lists of records."""

    def __init__(self, records: Any) -> None:
        records._records_iterator = (
            None  # refers to its owner: the bytes would wait for the collector
        )
        self._of = records
        self._source = records._tp
        self._memory = records._records
        self._committed_only = records._isolation_level == fetcher.READ_COMMITTED
        self._at = 0
        self.next_fetch_offset: int = records.next_fetch_offset

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> list[Any]:
        found: list[Any] = []
        found_bytes = 0
        while len(found) < RECORDS_MAX and found_bytes < BYTES_MAX and self._memory.has_next():
            batch = self._memory.next_batch()
            self._check(batch)
            if not self._is_left_out(batch):
                records = list(batch)
                if records and records[0].offset < self.next_fetch_offset:
                    records = [one for one in records if one.offset >= self.next_fetch_offset]
                if records:
                    found_bytes += len(records) * len(records[0].value or b"")
                found = found + records if found else records
            self.next_fetch_offset = batch.next_offset
        if not found and not self._memory.has_next():
            raise StopIteration
        return found

    def _check(self, batch: Any) -> None:
        """Hold the batch against its CRC-32C, in hardware where its format is the current one."""
        data = getattr(self._memory, "data", None)
        if (
            data is None
            or len(data) < self._at + _CHECKED_AT
            or data[self._at + _MAGIC_AT] != _MAGIC
        ):
            self._memory.data = None  # of another format: aiokafka checks all that follow
            good = batch.validate_crc()
        else:
            end = self._at + _HEAD_BYTES + _LENGTH.unpack_from(data, self._at + 8)[0]
            wanted = _CRC.unpack_from(data, self._at + _CRC_AT)[0]
            good = google_crc32c.value(data[self._at + _CHECKED_AT : end]) == wanted
            self._at = end
        if not good:
            raise CorruptRecordException(f"Invalid CRC - {self._source}")

    def _is_left_out(self, batch: Any) -> bool:
        """Control batches, and those of transactions that were aborted."""
        of = self._of
        if self._committed_only and batch.producer_id is not None:
            of._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and of._contains_abort_marker(batch):
                of._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in of._aborted_producers:
                return True
        return bool(batch.is_control_batch)
