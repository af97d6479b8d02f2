"""A rejected record as it goes to the dead-letter topic: cut to size, with headers that say why.

`streams/ingest.py` builds these and writes them in the transaction of the offsets. The headers are
those of Kafka Connect (KIP-298), which tools know, and `mplp.reason`. Must never carry a stack
trace or grow with what the sender sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from streams.event_types import Rejected

_KEY_BYTES_MAX = 1024
_HEADER_BYTES_MAX = 4096
_STAGE = b"VALUE_CONVERTER"


class DeadLetter(NamedTuple):
    """Key, value and headers of a record of the dead-letter topic.

    The record's timestamp goes into a header: as the new record's own, the broker could refuse it
    and the whole transaction with it.
    """

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def dead_letter(
    source: tuple[str, int], record: Any, rejected: Rejected, value_bytes_max: int
) -> DeadLetter:
    """`source` is the topic and partition of `record`, one of aiokafka's.

    The record's own headers come first if they are few enough.
    """
    topic, partition = source
    value = record.value
    headers = _own_headers(record.headers)
    headers += [
        ("__connect.errors.topic", topic.encode()),
        ("__connect.errors.partition", str(partition).encode()),
        ("__connect.errors.offset", str(record.offset).encode()),
        ("__connect.errors.stage", _STAGE),
        ("__connect.errors.exception.class.name", type(rejected).__qualname__.encode()),
        ("__connect.errors.exception.message", rejected.detail.encode("utf-8", "replace")),
        ("mplp.reason", rejected.reason.value.encode()),
        ("mplp.timestamp", str(record.timestamp).encode()),
    ]
    if value is not None and len(value) > value_bytes_max:
        headers.append(("mplp.truncated", str(len(value)).encode()))
        value = value[:value_bytes_max]
    key = record.key[:_KEY_BYTES_MAX] if record.key is not None else None
    if key is None and value is None:
        value = b""  # aiokafka writes no record without both; the reason says it was a tombstone
    return DeadLetter(key, value, headers)


def _own_headers(headers: Sequence[tuple[str, bytes | None]]) -> list[tuple[str, bytes]]:
    kept = [(name, value or b"") for name, value in headers]
    size = sum(len(name) + len(value) for name, value in kept)
    return kept if size <= _HEADER_BYTES_MAX else []
