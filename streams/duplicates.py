"""Recognises an event that is delivered twice, in bounded memory.

`streams/windows.py` keeps one filter for each input partition. The bound is counted in offsets, not
in ids seen: a reader that starts again in the middle then forgets exactly what the first reader
forgot. Bounded for each partition and not over all of them, because catching up brings long runs of
one partition that would push the others out.
"""

from __future__ import annotations


class DuplicateFilter:
    """Remembers ids for one to two generations of `generation_offsets` offsets each.

    An id is remembered together with the bucket of its event. Two events of one id in different
    buckets are two events: were they one, a restart that no longer knows the older bucket would
    count differently from a reader that never stopped.
    """

    def __init__(self, generation_offsets: int = 100_000) -> None:
        if generation_offsets < 1:
            raise ValueError(f"a generation of {generation_offsets} offsets remembers nothing")
        self._generation_offsets = generation_offsets
        self._generation = 0
        self._young: set[tuple[int, str]] = set()
        self._old: set[tuple[int, str]] = set()

    def is_repeated(self, bucket_start_s: int, event_id: str, offset: int) -> bool:
        """Whether the id was seen in this bucket before; remembers it. Offsets never go back."""
        generation = offset // self._generation_offsets
        if generation != self._generation:
            self._turn_to(generation)
        key = (bucket_start_s, event_id)
        if key in self._young or key in self._old:
            return True
        self._young.add(key)
        return False

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def _turn_to(self, generation: int) -> None:
        assert generation > self._generation, "offsets of a partition never go back"
        follows = generation == self._generation + 1
        self._old = self._young if follows else set()
        self._young = set()
        self._generation = generation
