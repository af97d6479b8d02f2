"""A dead letter says where it came from and why, and is never large."""

from __future__ import annotations

from typing import NamedTuple

from streams.dead_letter import dead_letter
from streams.event_types import Rejected, RejectReason


class Record(NamedTuple):
    """The fields of aiokafka's ConsumerRecord that matter here."""

    value: bytes | None = b"{"
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    topic: str = "mplp.requests"
    partition: int = 3
    offset: int = 42
    timestamp: int = 1_764_000_000_000


SOURCE = ("mplp.requests", 3)
REJECTED = Rejected(RejectReason.MALFORMED, "JSON is malformed")


def test_letter_names_place_and_reason() -> None:
    headers = dict(dead_letter(SOURCE, Record(), REJECTED, 100).headers)

    assert headers["__connect.errors.topic"] == b"mplp.requests"
    assert headers["__connect.errors.partition"] == b"3"
    assert headers["__connect.errors.offset"] == b"42"
    assert headers["__connect.errors.exception.message"] == b"JSON is malformed"
    assert headers["mplp.reason"] == b"malformed"
    assert "mplp.truncated" not in headers


def test_long_value_is_cut_and_marked_with_its_length() -> None:
    letter = dead_letter(SOURCE, Record(value=b"x" * 101), REJECTED, 100)

    assert letter.value == b"x" * 100
    assert dict(letter.headers)["mplp.truncated"] == b"101"


def test_key_and_headers_of_any_size_give_a_small_letter() -> None:
    record = Record(key=b"k" * 10**6, headers=(("note", b"h" * 10**6), ("none", None)))

    letter = dead_letter(SOURCE, record, REJECTED, 100)

    size = len(letter.key or b"") + sum(len(name) + len(value) for name, value in letter.headers)
    assert size < 8192


def test_tombstone_without_a_key_can_still_be_written() -> None:
    letter = dead_letter(SOURCE, Record(value=None), REJECTED, 100)

    assert letter.value is not None
