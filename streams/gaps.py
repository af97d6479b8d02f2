"""Stretches of event time that an input partition never counted, as sets of buckets.

`streams/demand.py` merges them, `streams/windows.py` makes them and
`predictor/core/input_partitions.py` asks whether a bucket lies in one. A gap is (from_s, until_s):
buckets with from_s <= start < until_s; from_s 0 says that nobody knows since when. Pure. It must
never make a gap smaller to save room.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

Gap = tuple[int, int]
Gaps = tuple[Gap, ...]

GAPS_MAX = 8
"""So many fit into a commit's metadata (4096 bytes by the broker's default) many times over."""
GAP_KEPT_S = 31 * 86_400
"""Longer than any history that is kept, so that a forgotten gap lies before all of it."""


def united(*several: Iterable[Gap]) -> Gaps:
    """All buckets that lie in any of them, as disjoint gaps in order; empty ones are dropped."""
    found: list[Gap] = []
    for from_s, until_s in sorted(gap for gaps in several for gap in gaps if gap[0] < gap[1]):
        if found and from_s <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], until_s))
        else:
            found.append((from_s, until_s))
    return tuple(found)


def without(gaps: Iterable[Gap], taken: Iterable[Gap]) -> Gaps:
    """The buckets that lie in `gaps` and in none of `taken`."""
    left = list(united(gaps))
    for taken_from_s, taken_until_s in united(taken):
        left = [
            (first_s, last_s)
            for from_s, until_s in left
            for first_s, last_s in (
                (from_s, min(until_s, taken_from_s)),
                (max(from_s, taken_until_s), until_s),
            )
            if first_s < last_s
        ]
    return tuple(left)


def bounded(gaps: Iterable[Gap], closed_through_s: int) -> Gaps:
    """At most `GAPS_MAX`, without those that lie before every history.

    Where there are more, the ones closest together become one: what was counted between them counts
    as lost, because the other way round something lost would count as zero.
    """
    kept = [gap for gap in united(gaps) if gap[1] > closed_through_s - GAP_KEPT_S]
    if len(kept) <= GAPS_MAX:
        return tuple(kept)
    apart = [(after[0] - before[1], place) for place, (before, after) in enumerate(pairwise(kept))]
    cuts = sorted(place for _, place in sorted(apart)[-(GAPS_MAX - 1) :])
    firsts = [0, *(place + 1 for place in cuts)]
    lasts = [*cuts, len(kept) - 1]
    return tuple((kept[a][0], kept[b][1]) for a, b in zip(firsts, lasts, strict=True))


def overlaps(gaps: Gaps, first_s: int, last_s: int) -> bool:
    """Whether a bucket that starts from `first_s` to `last_s`, both included, lies in a gap."""
    return any(from_s <= last_s and first_s < until_s for from_s, until_s in gaps)
