"""Shares what was counted between two instants out over the buckets that lie between them.

`streams/counters.py` calls it for each sample. Pure; must never make or lose a request.
"""

from __future__ import annotations

import itertools
import math

FRACTION = 1024
"""Amounts that are not whole are whole in 1/1024, so that sums are exact in any order."""
_MICROSECONDS = 1_000_000


def spread(
    requests: float, from_s: float, until_s: float, bucket_s: int
) -> list[tuple[float, float]]:
    """Share requests out over the buckets of (from_s, until_s], in proportion to time.

    Gives (time_s, requests) of each bucket that gets some, and always one at `until_s`. Whole
    requests stay whole, others are multiples of 1/1024; the largest remainders get what is left
    over (Hamilton's method), so the shares add up to the amount exactly.
    """
    fraction = 1 if requests.is_integer() else FRACTION
    # Rounded down: up could be into the next bucket.
    bucket_us, from_us = bucket_s * _MICROSECONDS, math.floor(from_s * _MICROSECONDS)
    until_us = max(math.floor(until_s * _MICROSECONDS), from_us)
    inner_us = range((from_us // bucket_us + 1) * bucket_us, until_us + 1, bucket_us)
    edges_us = [from_us, *inner_us, until_us]
    lengths_us = [end - start for start, end in itertools.pairwise(edges_us)]
    shares = largest_remainder(round(requests * fraction), lengths_us)
    made = [
        (start_us / _MICROSECONDS, share / fraction)
        for start_us, share in zip(edges_us, shares[:-1], strict=False)
        if share
    ]
    return [*made, (until_s, shares[-1] / fraction)]


def largest_remainder(units: int, lengths: list[int]) -> list[int]:
    """Whole shares in proportion to the lengths; where all are 0, the last one gets everything.

    Of equal remainders the earlier one is served first.
    """
    total = sum(lengths)
    if total == 0:
        return [0] * (len(lengths) - 1) + [units]
    shares = [units * length // total for length in lengths]
    remainders = [units * length % total for length in lengths]
    places = sorted(range(len(lengths)), key=lambda place: -remainders[place])
    for place in places[: units - sum(shares)]:
        shares[place] += 1
    return shares
