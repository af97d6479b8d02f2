"""Recognises an event that is delivered twice, in bounded memory.

`streams/windows.py` keeps one filter for each input partition. The bound is counted in offsets, not
in ids seen: a reader that starts again in the middle then forgets exactly what the first reader
forgot. Bounded for each partition and not over all of them, because catching up brings long runs of
one partition that would push the others out.

An id is kept as a fingerprint of 64 bits in an open hash table (linear probing, at most half full):
8 to 32 bytes an id where the text costs over 100. Two different events are taken for one with a
probability of (ids remembered) / 2^64 each, 1e-14 at the default bound; the hash is Python's
SipHash with a secret of the process, so nobody can make ids collide on purpose.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Fingerprints = NDArray[np.uint64]

_SLOTS_MIN = 1024
_BUCKET_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio (Knuth, The Art of Computer Programming 3, section 6.4)."""
_SPREAD = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(32)


class DuplicateFilter:
    """Remembers ids for one to two generations of `generation_offsets` offsets each.

    An id is remembered together with the bucket of its event. Two events of one id in different
    buckets are two events: were they one, a restart that no longer knows the older bucket would
    count differently from a reader that never stopped.
    """

    def __init__(self, generation_offsets: int = 100_000, *, fingerprint_bits: int = 64) -> None:
        """`fingerprint_bits` below 64 is for those who want to see collisions."""
        if generation_offsets < 1:
            raise ValueError(f"a generation of {generation_offsets} offsets remembers nothing")
        self._generation_offsets = generation_offsets
        self._generation = 0
        self._mask = np.uint64((1 << fingerprint_bits) - 1)
        self._young = _FingerprintTable()
        self._old = _FingerprintTable()

    def repeated(
        self, buckets: NDArray[np.int64], ids: Fingerprints, offsets: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Which events were seen before, in this call or earlier; remembers the others.

        All arrays (events,), in the order of the offsets, which never go back. `ids` are hashes of
        the events' ids.
        """
        keys = ids ^ (buckets.view(np.uint64) * _BUCKET_FACTOR)
        keys = ((keys ^ (keys >> _SHIFT)) * _SPREAD) & self._mask
        keys[keys == 0] = 1  # 0 marks a free slot
        generations = offsets // self._generation_offsets
        if generations[0] == generations[-1]:
            return self._repeated(keys, int(generations[0]))
        found = np.empty(len(keys), bool)
        for generation in np.unique(generations):
            rows = generations == generation
            found[rows] = self._repeated(keys[rows], int(generation))
        return found

    def __len__(self) -> int:
        return self._young.ids + self._old.ids

    @property
    def memory_bytes(self) -> int:
        """What the tables take now."""
        return self._young.memory_bytes + self._old.memory_bytes

    def _repeated(self, keys: Fingerprints, generation: int) -> NDArray[np.bool_]:
        if generation != self._generation:
            self._turn_to(generation)
        if not self._old.ids:
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
        self._old = self._young if follows else _FingerprintTable()
        self._young = _FingerprintTable(self._old.slots)
        self._generation = generation


class _FingerprintTable:
    """A set of numbers above 0 that is asked and filled with arrays; doubles before half full."""

    __slots__ = ("_slots", "ids")

    def __init__(self, slots: int = _SLOTS_MIN) -> None:
        self.ids = 0
        self._slots = np.zeros(slots, np.uint64)

    @property
    def slots(self) -> int:
        return len(self._slots)

    @property
    def memory_bytes(self) -> int:
        return self._slots.nbytes

    def holds(self, keys: Fingerprints) -> NDArray[np.bool_]:
        """Whether each is in the set."""
        mask = np.int64(len(self._slots) - 1)
        found = np.zeros(len(keys), bool)
        at = (keys.view(np.int64)) & mask
        rows = np.arange(len(keys))
        while len(rows):
            there = self._slots[at]
            equal = there == keys[rows]
            found[rows[equal]] = True
            going = ~equal & (there != 0)
            rows = rows[going]
            at = (at[going] + 1) & mask
        return found

    def add(self, keys: Fingerprints) -> NDArray[np.bool_]:
        """Put all in; True for those that were there, or stand earlier in `keys`."""
        while (self.ids + len(keys)) * 2 > len(self._slots):
            self._double()
        mask = np.int64(len(self._slots) - 1)
        repeated = np.zeros(len(keys), bool)
        rows = np.arange(len(keys))
        at = keys.view(np.int64) & mask
        while len(rows):
            there = self._slots[at]
            wanted = keys[rows]
            free = there == 0
            if free.all():
                taken = self._take(at, wanted, rows)
            else:
                repeated[rows[there == wanted]] = True
                taken = np.zeros(len(rows), bool)
                taken[free] = self._take(at[free], wanted[free], rows[free])
            going = ~(taken | (there == wanted))
            # Who lost a free slot to another looks at it again: it may hold the same number now.
            step = (~free[going]).astype(np.int64)
            rows, at = rows[going], (at[going] + step) & mask
        self.ids += len(keys) - int(repeated.sum())
        return repeated

    def _take(
        self, at: NDArray[np.int64], keys: Fingerprints, rows: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Fill free slots; where several want one, the first row gets it."""
        self._slots[at[::-1]] = rows[::-1].view(np.uint64)  # of equal places the last one stays
        won = self._slots[at] == rows.view(np.uint64)
        self._slots[at[won]] = keys[won]
        return np.asarray(won)

    def _double(self) -> None:
        kept = self._slots[self._slots != 0]
        self._slots = np.zeros(2 * len(self._slots), np.uint64)
        self.ids = 0
        if len(kept):
            self.add(kept)
