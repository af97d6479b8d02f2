"""Recognises an event that is delivered twice, in bounded memory.

`streams/windows.py` keeps one filter for each input partition. The bound is counted in the events
of the partition that have an id, from its first one on: a reader that starts again in the middle is
told where in that count it stands, and forgets exactly what the first reader forgot. Bounded for
each partition and not over all of them, because catching up brings long runs of one partition that
would push the others out.

An id is kept as a fingerprint of 64 bits (`streams/fingerprint_table.py`), 20 to 40 bytes where
the text costs over 100. Two different events are taken for one with a probability of (ids
remembered) / 2^64 each, 1e-14 at the default bound; the hash is Python's SipHash with a secret of
the process, so nobody can make ids collide on purpose.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.fingerprint_table import Fingerprints, FingerprintTable

Integers = NDArray[np.int64]

_BUCKET_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio (Knuth, The Art of Computer Programming 3, section 6.4)."""
_SPREAD = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(32)


class IdCount(NamedTuple):
    """So many events with an id stand before the record at `offset`."""

    offset: int = 0
    events: int = 0


class DuplicateFilter:
    """Remembers ids for one to two generations of `generation_events` events each.

    An id is remembered together with the bucket of its event. Two events of one id in different
    buckets are two events: were they one, a restart that no longer knows the older bucket would
    count differently from a reader that never stopped.
    """

    def __init__(
        self,
        generation_events: int = 100_000,
        *,
        begin: IdCount | None = None,
        fingerprint_bits: int = 64,
    ) -> None:
        """`begin` is where the count goes on, `IdCount()` the partition's first record.

        `fingerprint_bits` below 64 is for those who want to see collisions.
        """
        if generation_events < 1:
            raise ValueError(f"a generation of {generation_events} events remembers nothing")
        self.generation_events = generation_events
        self._begin = begin or IdCount()
        self._mask = np.uint64((1 << fingerprint_bits) - 1)
        self._generation = self._begin.events // generation_events
        self._young = FingerprintTable()
        self._old = FingerprintTable()
        self._events = self._begin.events
        self._offsets, self._named = np.zeros(0, np.int64), np.zeros(0, bool)
        self._record, self._before_block = self._begin, self._begin.events

    def repeated(
        self,
        buckets: Integers,
        ids: Fingerprints,
        offsets: Integers,
        chosen: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.bool_]:
        """Which events were seen before, in this call or earlier; remembers the others.

        All arrays (events,), in the order of the offsets, which never go back: every event of the
        partition, so that all are counted. `ids` are hashes of the events' ids, 0 where there is
        none. Only those that are `chosen` are asked for and remembered.
        """
        named = ids != 0
        if offsets[0] < self._begin.offset:
            named &= offsets >= self._begin.offset
        self._note(offsets, named)
        asked = named if chosen is None else named & chosen
        if asked.all():
            return self._repeated(buckets, ids, np.arange(self._before_block, self._events))
        found = np.zeros(len(ids), bool)
        if asked.any():
            numbers = self._before_block + np.cumsum(named) - 1
            found[asked] = self._repeated(buckets[asked], ids[asked], numbers[asked])
        return found

    def count_before(self, offset: int) -> IdCount:
        """How many events with an id stand before a record of the events last asked for."""
        if offset <= self._record.offset:
            return self._record
        rows = int(np.searchsorted(self._offsets, offset))
        return IdCount(offset, self._before_block + int(np.count_nonzero(self._named[:rows])))

    @property
    def count(self) -> IdCount:
        """Where the count stands after the last event."""
        after = int(self._offsets[-1]) + 1 if len(self._offsets) else self._begin.offset
        return IdCount(after, self._events)

    def __len__(self) -> int:
        return self._young.held + self._old.held

    @property
    def memory_bytes(self) -> int:
        """What the tables take now."""
        return self._young.memory_bytes + self._old.memory_bytes

    def _note(self, offsets: Integers, named: NDArray[np.bool_]) -> None:
        """Count a block; where its first record began earlier, that one's own count stays."""
        if len(self._offsets):
            last = int(self._offsets[-1])
            self._record = self.count_before(last) if offsets[0] == last else self.count
        self._offsets, self._named = offsets, named
        self._before_block = self._events
        self._events += int(np.count_nonzero(named))

    def _repeated(
        self, buckets: Integers, ids: Fingerprints, numbers: Integers
    ) -> NDArray[np.bool_]:
        """`numbers` (events,): the place of each among the partition's events with an id."""
        keys = ids ^ (buckets.view(np.uint64) * _BUCKET_FACTOR)
        keys = ((keys ^ (keys >> _SHIFT)) * _SPREAD) & self._mask
        generations = numbers // self.generation_events
        if generations[0] == generations[-1]:
            return self._in_generation(keys, int(generations[0]))
        found = np.empty(len(keys), bool)
        for generation in np.unique(generations).tolist():
            rows = generations == generation
            found[rows] = self._in_generation(keys[rows], generation)
        return found

    def _in_generation(self, keys: Fingerprints, generation: int) -> NDArray[np.bool_]:
        if generation != self._generation:
            self._turn_to(generation)
        if not self._old.held:
            return self._young.add(keys)
        found = self._old.holds(keys)
        if found.any():
            fresh = ~found
            found[fresh] = self._young.add(keys[fresh])
            return found
        return self._young.add(keys)

    def _turn_to(self, generation: int) -> None:
        assert generation > self._generation, "offsets of a partition never go back"
        follows = generation == self._generation + 1
        self._old = self._young if follows else FingerprintTable()
        self._young = FingerprintTable(self._old.heads)
        self._generation = generation
