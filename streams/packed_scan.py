"""Reads MessagePack batches of the usual layout without making an object of any event.

`streams/batch_block.py` tries it before it decodes. The layout is known (`PackedRequest` in
`streams/event_batches.py`), so the places of all fields of thousands of events follow from a few
array operations on the bytes: an array of 3 to 6 fields, the time in eight bytes, two short names,
an id of 16 bytes or none, a count. Whatever else MessagePack may write for the same events, and
whatever is wrong with them, is not seen here: such a record is left to the decoder. Must never read
what that one refuses, nor read it differently.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.fingerprint_table import Fingerprints
from streams.id_hash import WIDE_ID_BYTES, Words, wide_hashes

Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]

# MessagePack specification, "Overview" of formats: first bytes.
_ARRAY, _TEXT, _UINT8, _UINT16, _UINT64, _BIN8, _FALSE, _TRUE, _NIL = (
    0x90, 0xA0, 0xCC, 0xCD, 0xCF, 0xC4, 0xC2, 0xC3, 0xC0,
)  # fmt: skip
_FIXED_MAX = 0x7F
_FIELDS_MIN, _FIELDS_MAX = 3, 6
_NAME_MAX = 31
_TIME_BYTES = 10
"""The array's own first byte, the number's, and its eight."""
NAMES_BYTES_MAX = 2 * (_NAME_MAX + 1)
_PADDING = bytes(640)
"""So that a length that was read from the wrong place (up to 255, twice) leads nowhere."""


class Scanned(NamedTuple):
    """Records that were read (records,) and their events (events,).

    `read` are places in the list of bodies, `of` the place of each event's body. `names` (events,)
    is where in `joined` the event's two names begin, `names_bytes` how long both are with their
    first bytes. `id_hash` is 0 without an id.
    """

    read: Integers
    of: Integers
    joined: bytes
    time_ms: Integers
    names: Integers
    names_bytes: Integers
    id_hash: Fingerprints
    counts: Integers
    pinned: NDArray[np.bool_]


def scan(bodies: list[bytes], numbers: list[int], heads: list[int]) -> Scanned | None:
    """The bodies of the usual layout; None if there are none.

    `numbers` and `heads` say how many events each body declares, and in how many bytes.
    """
    joined = b"".join([*bodies, _PADDING])
    ends = np.cumsum([len(body) for body in bodies])
    begins = np.concatenate([[0], ends[:-1]]).astype(np.int64) + heads
    signs = np.frombuffer(joined, np.uint8)
    starts = _possible_starts(signs)
    found = np.diff(np.searchsorted(starts, ends), prepend=0)
    of = np.repeat(np.arange(len(bodies)), found)
    read = np.flatnonzero(found == numbers)
    if len(read) < len(bodies):
        starts, of = _only(read, starts, of)
    if not len(starts):
        return None
    fields = _Fields(signs, starts)
    good = fields.good & _touching(starts, fields.ends, begins[of], ends[of], of)
    if not good.all():
        read = np.setdiff1d(read, of[~good])
        starts, of = _only(read, starts, of)
        fields = _Fields(signs, starts)
    return Scanned(read, of, joined, *fields.values(words_of(joined))) if len(starts) else None


def words_of(joined: bytes) -> Words:
    """The eight bytes from each place on, the lowest first (bytes - 7,); nothing is copied."""
    return np.ndarray((len(joined) - 7,), "<u8", joined, strides=(1,))


def _possible_starts(signs: Bytes) -> Integers:
    """Where an event may begin: an array of some fields, and a time before the year 2 million."""
    at = np.flatnonzero((signs[1:-1] == _UINT64) & (signs[2:] == 0))
    fields = signs[at] - np.uint8(_ARRAY)
    return at[(fields >= _FIELDS_MIN) & (fields <= _FIELDS_MAX)]


def _only(read: Integers, starts: Integers, of: Integers) -> tuple[Integers, Integers]:
    chosen = np.isin(of, read)
    return starts[chosen], of[chosen]


def _touching(
    starts: Integers, ends: Integers, begins: Integers, bodies_end: Integers, of: Integers
) -> NDArray[np.bool_]:
    """Whether each event begins where the one before it in its body ended, or where the body does,
    and whether the last one ends there too. All arrays (events,)."""
    first = np.diff(of, prepend=-1) != 0
    last = np.diff(of, append=-1) != 0
    before = np.where(first, begins, np.concatenate([[0], ends[:-1]]))
    return np.asarray((starts == before) & (~last | (ends == bodies_end)))


class _Fields:
    """The fields of the events that begin at `starts`; `good` is False where one is unusual."""

    def __init__(self, signs: Bytes, starts: Integers) -> None:
        self._starts = starts
        fields = signs[starts] - np.uint8(_ARRAY)
        # Numbers below 0 wrap around to large ones.
        module = signs[starts + _TIME_BYTES] - np.uint8(_TEXT + 1)
        region_at = starts + (_TIME_BYTES + 2) + module
        region = signs[region_at] - np.uint8(_TEXT + 1)
        self.good = (module < _NAME_MAX) & (region < _NAME_MAX)
        id_at = region_at + 2 + region
        self._names_bytes = id_at - starts - _TIME_BYTES
        count_at = self._read_id(signs, id_at, fields > 3)
        pinned_at = self._read_count(signs, count_at, fields > 4)
        has_flag, flag = fields > 5, signs[pinned_at]
        self._pinned = has_flag & (flag == _TRUE)
        self.good &= ~has_flag | self._pinned | (flag == _FALSE)
        self.ends = pinned_at + has_flag

    def values(self, words: Words) -> tuple[Any, ...]:
        """What `Scanned` has of them."""
        time_ms = words[self._starts + 2].byteswap().view(np.int64)
        first = words[self._id_at]
        ids = wide_hashes(first, words[self._id_at + 8])
        ids = np.where(self._has_id, ids, np.uint64(0))
        names = self._starts + _TIME_BYTES
        return time_ms, names, self._names_bytes, ids, self._count, self._pinned

    def _read_id(self, signs: Bytes, at: Integers, there: NDArray[np.bool_]) -> Integers:
        """A wide id, nil or nothing; gives where the next field begins."""
        kind = signs[at]
        self._has_id = there & (kind == _BIN8) & (signs[at + 1] == WIDE_ID_BYTES)
        self._id_at = at + 2
        self.good &= ~there | self._has_id | (kind == _NIL)
        return np.asarray(at + np.where(self._has_id, 2 + WIDE_ID_BYTES, there))

    def _read_count(self, signs: Bytes, at: Integers, there: NDArray[np.bool_]) -> Integers:
        """A number of up to two bytes or nothing, which is 1; gives where the next field begins."""
        first = signs[at]
        if (first <= _FIXED_MAX).all():
            self._count = np.where(there, first, 1)
            return np.asarray(at + there)
        one, two = there & (first == _UINT8), there & (first == _UINT16)
        following = signs[at + 1].astype(np.int64)
        large = np.where(one, following, following << 8 | signs[at + 2])
        self._count = np.where(there, np.where(one | two, large, first), 1)
        self.good &= ~there | one | two | (first <= _FIXED_MAX)
        return np.asarray(at + np.where(one, 2, np.where(two, 3, there)))
