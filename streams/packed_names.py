"""Finds the cells of events from the bytes that name their module and region.

`streams/batch_block.py` asks it for what `streams/packed_scan.py` found. A pair of names is looked
up in a table by its words of eight bytes, and compared to the last byte; one that is not there is
read as text, looked up in the catalog and noted. What is kept does not grow with what senders send.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from streams.id_hash import Words
from streams.packed_scan import NAMES_BYTES_MAX, words_of

Integers = NDArray[np.int64]

_PAIRS_MIN = 4096
"""So many are kept; a flood of names begins anew."""
_WORDS = NAMES_BYTES_MAX // 8
_MASKS = np.array([(1 << 8 * min(count, 8)) - 1 for count in range(NAMES_BYTES_MAX + 1)], np.uint64)
_FACTORS = np.random.default_rng(1).integers(1, 1 << 63, _WORDS).astype(np.uint64) * 2 + 1
"""Odd numbers, to mix the words (Dietzfelbinger et al. 1997, multiply-shift hashing)."""
_SLOT_BITS_MIN, _SLOT_BITS_MAX = 12, 18
_SLOTS_EACH = 64
_NAME_BITS = 0x1F


class PackedNames:
    """Pairs of names as senders write them, numbered from 1 on."""

    def __init__(self, placed: Callable[[str, str, bool], int], pairs: int) -> None:
        """`placed` gives the cell of module, region and whether pinned; about `pairs` are kept."""
        self._placed = placed
        self._pairs = max(_PAIRS_MIN, pairs)
        self._forget()

    def cells(
        self, joined: bytes, at: Integers, lengths: Integers, pinned: NDArray[np.bool_]
    ) -> Integers:
        """The cell of each event (events,), -1 where the names cannot be placed.

        `at` is where the names begin in `joined`, `lengths` how many bytes they are.
        """
        if len(self._numbers) >= self._pairs:
            self._forget()
        words = self._words_at(joined, at, lengths)
        slots = self._slots_of(words)
        found = self._slots[slots]
        known = found > 0
        for place, column in enumerate(words):
            known &= self._words[found, place] == column
        flags = pinned.astype(np.int64)
        cells = self._cells_of[found, flags]
        for row in np.flatnonzero(~known).tolist():
            begin = int(at[row])
            names = joined[begin : begin + int(lengths[row])]
            cells[row] = self._look_up(names, int(slots[row]))[flags[row]]
        return np.asarray(cells)

    def __len__(self) -> int:
        return len(self._numbers)

    def _look_up(self, names: bytes, slot: int) -> tuple[int, int]:
        """The cells of a pair, weighted and pinned, and the slot gets it."""
        number = self._numbers.get(names)
        if number is None:
            found = self._place(names)
            if len(self._numbers) >= self._pairs:
                return found  # a flood of names: they begin anew with the next events
            number = self._numbers[names] = len(self._numbers) + 1
            self._words[number] = np.frombuffer(names.ljust(NAMES_BYTES_MAX, b"\0"), "<u8")
            self._cells_of[number] = found
            if len(self._numbers) * _SLOTS_EACH > len(self._slots):
                self._widen()
                return found
        self._slots[slot] = number
        weighted, pinned = self._cells_of[number].tolist()
        return weighted, pinned

    def _place(self, names: bytes) -> tuple[int, int]:
        middle = 1 + (names[0] & _NAME_BITS)
        try:
            module, region = names[1:middle].decode(), names[middle + 1 :].decode()
        except UnicodeDecodeError:
            return -1, -1
        return self._placed(module, region, False), self._placed(module, region, True)

    def _words_at(self, joined: bytes, at: Integers, lengths: Integers) -> list[Words]:
        """The names (events,) in words of eight bytes, zero where they have ended."""
        words = words_of(joined)
        return [
            words[at + 8 * place] & _MASKS[np.clip(lengths - 8 * place, 0, NAMES_BYTES_MAX)]
            for place in range(-(-int(lengths.max()) // 8))
        ]

    def _slots_of(self, words: list[Words]) -> Integers:
        mixed = words[0] * _FACTORS[0]
        for factor, column in zip(_FACTORS[1:], words[1:], strict=False):
            mixed += column * factor
        mixed ^= mixed >> np.uint64(32)
        return np.asarray((mixed * _FACTORS[0] >> np.uint64(64 - self._slot_bits)).view(np.int64))

    def _widen(self) -> None:
        """More slots, so that few pairs share one; the next events fill them again."""
        if self._slot_bits < _SLOT_BITS_MAX:
            self._slot_bits += 2
            self._slots = np.zeros(1 << self._slot_bits, np.int32)

    def _forget(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._words = np.zeros((1 + self._pairs, _WORDS), np.uint64)
        self._cells_of = np.full((1 + self._pairs, 2), -1, np.int64)
        self._slot_bits = _SLOT_BITS_MIN
        self._slots = np.zeros(1 << self._slot_bits, np.int32)
