"""A set of 64-bit numbers that is asked and filled with whole arrays.

`streams/duplicates.py` keeps two for each input partition. Numbers lie in the order in which they
came; a table of heads leads from a number's low bits to the newest one that has them, and from each
to the one before (separate chaining: Knuth, The Art of Computer Programming 3, section 6.4). There
are two heads for each number or more, so nearly every question ends at its head, and one array
operation answers it for a block of events. 20 to 40 bytes a number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Fingerprints = NDArray[np.uint64]

_HEADS_MIN = 1024
_HEADS_EACH = 2


class FingerprintTable:
    """Any numbers; they are expected to be spread evenly."""

    __slots__ = ("_before", "_heads", "_numbers", "held")

    def __init__(self, heads: int = _HEADS_MIN) -> None:
        """`heads` of an earlier table that grew to what is needed."""
        self.held = 0
        self._heads = np.zeros(heads, np.int32)  # 1 + place of the newest; 0 for none
        self._numbers = np.empty(heads // _HEADS_EACH, np.uint64)
        self._before = np.empty(heads // _HEADS_EACH, np.int32)

    @property
    def heads(self) -> int:
        return len(self._heads)

    @property
    def memory_bytes(self) -> int:
        return self._heads.nbytes + self._numbers.nbytes + self._before.nbytes

    def holds(self, numbers: Fingerprints) -> NDArray[np.bool_]:
        """Whether each of `numbers` (n,) is in the set."""
        return self._follow(numbers, self._heads[self._places(numbers)])

    def add(self, numbers: Fingerprints) -> NDArray[np.bool_]:
        """Put all in; True for those that were there, or stand earlier in `numbers`."""
        while self.held + len(numbers) > len(self._numbers):
            self._double()
        repeated = np.zeros(len(numbers), bool)
        rows, at = np.arange(len(numbers), dtype=np.int32), self._places(numbers)
        wanted = numbers
        while True:
            heads = self._heads[at]
            found = self._follow(wanted, heads)
            if found.any():
                repeated[rows[found]] = True
                fresh = ~found
                rows, at, wanted, heads = rows[fresh], at[fresh], wanted[fresh], heads[fresh]
            lost = self._put(at, wanted, heads)
            if not lost.any():
                return repeated
            rows, at, wanted = rows[lost], at[lost], wanted[lost]

    def _put(
        self, at: NDArray[np.int64], numbers: Fingerprints, heads: NDArray[np.int32]
    ) -> NDArray[np.bool_]:
        """Hang numbers in before `heads`; which ones lost their head to one of an earlier row."""
        first = self.held
        mine = np.arange(first + 1, first + 1 + len(at), dtype=np.int32)
        self._heads[at[::-1]] = mine[::-1]  # of equal places the last one stays
        lost = np.asarray(self._heads[at] != mine)
        if lost.any():
            won = ~lost
            at, numbers, heads = at[won], numbers[won], heads[won]
            self._heads[at] = mine[: len(at)]
        self.held = last = first + len(at)
        self._numbers[first:last] = numbers
        self._before[first:last] = heads
        return lost

    def _follow(self, numbers: Fingerprints, heads: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Whether each number stands in the chain that begins at its head."""
        found = np.zeros(len(numbers), bool)
        rows = np.flatnonzero(heads)
        places = heads[rows] - 1
        while len(rows):
            equal = self._numbers[places] == numbers[rows]
            found[rows[equal]] = True
            before = self._before[places]
            going = (before != 0) & ~equal
            rows, places = rows[going], before[going] - 1
        return found

    def _places(self, numbers: Fingerprints) -> NDArray[np.int64]:
        return np.asarray((numbers & np.uint64(len(self._heads) - 1)).view(np.int64))

    def _double(self) -> None:
        larger = FingerprintTable(2 * len(self._heads))
        larger.add(self._numbers[: self.held])
        self.held, self._heads = larger.held, larger._heads
        self._numbers, self._before = larger._numbers, larger._before
