"""How long requests take, as a formula of utilisation, and their quantiles in bounded memory.

`workload.py` asks for the wait of each stretch of time and notes it here. A stretch's response
times are taken as: the wait behind the backlog, then an exponential time whose mean is the service
time plus the wait for a free slot (exact for one slot, and near it for more: with few slots the
tail is a little heavier than in truth). It must never keep single requests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

SMALLEST_S = 1e-4
"""Shorter times are counted as this."""
BINS_PER_E = 20.0
"""Bins grow by 5 %, so a time is at most 2.5 % off."""
_BIN_MAX = 400
UTILISATION_MAX = 0.99
"""The formula of the wait has no end at 1; beyond, the backlog is counted and not the formula."""
P95_FACTOR = -math.log(0.05)
"""An exponential time's 95th percentile, as a multiple of its mean."""


def slot_wait_s(utilisation: float, slots: float, service_time_s: float) -> float:
    """Mean wait for one of `slots` places in an M/M/c queue, seconds.

    Source: Sakasegawa, "An approximation formula L_q = a rho^b / (1 - rho)", Annals of the
    Institute of Statistical Mathematics 29 (1977): the queue is rho^sqrt(2 (c + 1)) / (1 - rho)
    long, and Little's law turns it into a wait.
    """
    if utilisation <= 0.0 or slots <= 0.0:
        return 0.0
    rho = min(utilisation, UTILISATION_MAX)
    exponent = math.sqrt(2.0 * (slots + 1.0)) - 1.0
    return float(rho**exponent) / (slots * (1.0 - rho)) * service_time_s


class ResponseTimes:
    """A histogram of stretches: requests by the bins of their mean time and of their backlog.

    There are at most 401 x 402 bins, and a run fills some hundred.
    """

    __slots__ = ("_requests",)

    def __init__(self) -> None:
        self._requests: dict[tuple[int, int], float] = {}

    def add(self, requests: float, mean_s: float, backlog_s: float) -> None:
        """Note requests served in one stretch: mean of the exponential part, and what precedes."""
        key = (_bin(mean_s), _bin(backlog_s) if backlog_s > SMALLEST_S else -1)
        self._requests[key] = self._requests.get(key, 0.0) + requests

    def merge(self, other: ResponseTimes) -> None:
        """Add all that the other one holds."""
        for key, requests in other._requests.items():
            self._requests[key] = self._requests.get(key, 0.0) + requests

    def copy(self) -> ResponseTimes:
        """The same counts, from here on apart."""
        twin = ResponseTimes()
        twin._requests = dict(self._requests)
        return twin

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResponseTimes) and self._requests == other._requests

    def __repr__(self) -> str:
        return f"ResponseTimes({sorted(self._requests.items())})"

    __hash__ = None  # type: ignore[assignment]

    def quantile_s(self, share: float) -> float:
        """The time that this share of the requests did not exceed, seconds; 0 without requests."""
        total = sum(self._requests.values())
        if total <= 0.0:
            return 0.0
        stretches = [
            (requests / total, _middle_s(mean), _middle_s(backlog) if backlog >= 0 else 0.0)
            for (mean, backlog), requests in sorted(self._requests.items())
        ]
        low, high = 0.0, max(60.0 * mean_s + backlog_s for _, mean_s, backlog_s in stretches)
        for _ in range(60):
            middle = (low + high) / 2.0
            low, high = (
                (low, middle) if _share_within(stretches, middle) >= share else (middle, high)
            )
        return high

    def counts_between(self, bounds_s: Sequence[float]) -> list[float]:
        """Requests up to the first bound, between each two, and beyond the last."""
        stretches = [
            (requests, _middle_s(mean), _middle_s(backlog) if backlog >= 0 else 0.0)
            for (mean, backlog), requests in self._requests.items()
        ]
        within = [_share_within(stretches, bound_s) for bound_s in bounds_s]
        total = sum(requests for requests, _, _ in stretches)
        return [high - low for low, high in pairwise((0.0, *within, total))]


def _share_within(stretches: list[tuple[float, float, float]], limit_s: float) -> float:
    return sum(
        weight * -math.expm1(-(limit_s - backlog_s) / mean_s)
        for weight, mean_s, backlog_s in stretches
        if limit_s > backlog_s
    )


def _bin(duration_s: float) -> int:
    if duration_s <= SMALLEST_S:
        return 0
    return min(int(math.log(duration_s / SMALLEST_S) * BINS_PER_E), _BIN_MAX)


def _middle_s(place: int) -> float:
    return SMALLEST_S * math.exp((place + 0.5) / BINS_PER_E)
