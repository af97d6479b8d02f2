"""Makes a fingerprint of 64 bits of an event's id, one by one or for whole arrays of them.

Everything that fills `EventColumns.id_hash` asks here, so that an id has one fingerprint, however
its event was decoded. Texts and bytes go through Python's SipHash; ids of 16 bytes, a UUID's
length, go through a mixer that numpy can do for all at once. Both have a secret of the process, so
that no sender knows which ids collide.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streams.fingerprint_table import Fingerprints

Words = NDArray[np.uint64]

WIDE_ID_BYTES = 16
_WORD = 0xFFFF_FFFF_FFFF_FFFF
_KEYS = tuple(hash(f"key {number} of the ids") & _WORD for number in range(2))
# Multipliers and shifts of splitmix64's finalizer (Steele, Lea and Flood 2014, "Fast splittable
# pseudorandom number generators"), once for each half.
_FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_SHIFTS = (30, 27, 31)


def hash_of(event_id: str | bytes) -> int:
    """A signed number of 64 bits; 0 for no id (and only by chance of 2^-64 for one that is)."""
    if len(event_id) == WIDE_ID_BYTES and isinstance(event_id, bytes):
        words = np.frombuffer(event_id, "<u8")
        return int(wide_hashes(words[:1], words[1:]).view(np.int64)[0])
    return hash(event_id)  # Python's hash of an empty text is 0


def hashes_of(ids: Sequence[str] | Sequence[bytes]) -> Fingerprints:
    """The same for many, all texts or all bytes, as unsigned numbers (ids,)."""
    if isinstance(ids[0], str):
        return np.fromiter(map(hash, ids), np.int64, len(ids)).view(np.uint64)
    if set(map(len, ids)) == {WIDE_ID_BYTES}:
        words = np.frombuffer(b"".join(ids), "<u8")  # type: ignore[arg-type]
        return wide_hashes(words[::2], words[1::2])
    return np.fromiter(map(hash_of, ids), np.int64, len(ids)).view(np.uint64)


def wide_hashes(first: Words, second: Words) -> Fingerprints:
    """Of ids of 16 bytes: their halves, read with the lowest byte first; arrays (ids,)."""
    mixed = _mixed(first ^ np.uint64(_KEYS[0]))
    return _mixed(mixed + (second ^ np.uint64(_KEYS[1])))


def _mixed(words: Words) -> Words:
    words = (words ^ (words >> np.uint64(_SHIFTS[0]))) * np.uint64(_FACTORS[0])
    words = (words ^ (words >> np.uint64(_SHIFTS[1]))) * np.uint64(_FACTORS[1])
    return words ^ (words >> np.uint64(_SHIFTS[2]))
