"""Makes events of our contract from arrivals: one for each, or summaries in the order of time.

`predictor/events/convert.py` uses it. Summaries are held back until nothing older is expected, so
that a reader with a short lateness takes them all. Pure; memory is bounded by what is held back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from predictor.events.arrivals import Arrivals

HELD_BACK_S = 120.0
"""Proxies write a line when a request ends, so lines lie out of order by as long as it took."""
BUCKETS_MAX = 20_000
"""Buckets held back at once; more and the oldest are let out early."""

Key = tuple[str, str, bool, float]


class EventWriter:
    """`add` gives the lines that are ready, `finish` the rest.

    `spread_s` says how long a count took to come together: it is spread evenly over that time
    after its own. `out_of_order` counts arrivals that came too late to be put in order.
    """

    def __init__(self, source: str, *, aggregate_s: int = 10, spread_s: int = 0) -> None:
        if spread_s and not aggregate_s:
            raise ValueError("only summaries can be spread")
        if spread_s and spread_s % aggregate_s:
            raise ValueError(f"{spread_s} s are no multiple of a summary's {aggregate_s} s")
        self._source = source
        self._aggregate_s = aggregate_s
        self._pieces = max(1, spread_s // aggregate_s) if aggregate_s else 1
        self._buckets: dict[int, dict[Key, float]] = {}
        self._owed: dict[Key, float] = {}
        self._newest_s = -math.inf
        self._oldest_held_s = math.inf
        self.events = 0
        self.requests = 0.0
        self.out_of_order = 0

    def add(self, arrivals: Arrivals) -> Iterator[bytes]:
        """Lines that are ready now."""
        self._newest_s = max(self._newest_s, arrivals.time_s)
        if arrivals.time_s < self._newest_s - HELD_BACK_S:
            self.out_of_order += 1
        if not self._aggregate_s:
            yield from self._single(arrivals)
            return
        start_s = int(arrivals.time_s // self._aggregate_s) * self._aggregate_s
        key = (arrivals.module, arrivals.region, arrivals.pinned, round(arrivals.one_in, 9))
        part = arrivals.reported / self._pieces
        for piece in range(self._pieces):
            bucket = self._buckets.setdefault(start_s + piece * self._aggregate_s, {})
            bucket[key] = bucket.get(key, 0.0) + part
        self._oldest_held_s = min(self._oldest_held_s, start_s)
        if self._oldest_held_s + self._aggregate_s <= self._newest_s - HELD_BACK_S or (
            len(self._buckets) > BUCKETS_MAX
        ):
            yield from self._let_out()

    def finish(self) -> Iterator[bytes]:
        """All that is left; what rounding still owes goes into each series' last event."""
        for start_s in sorted(self._buckets):
            is_last = start_s == max(self._buckets)
            yield from self._lines(start_s, self._buckets.pop(start_s), is_last=is_last)

    def _let_out(self) -> Iterator[bytes]:
        due_s = self._newest_s - HELD_BACK_S - self._aggregate_s
        starts = sorted(self._buckets)
        surplus = len(starts) - BUCKETS_MAX
        for number, start_s in enumerate(starts):
            if start_s > due_s and number >= surplus:
                break
            yield from self._lines(start_s, self._buckets.pop(start_s))
        self._oldest_held_s = min(self._buckets, default=math.inf)

    def _lines(
        self, start_s: int, cells: dict[Key, float], *, is_last: bool = False
    ) -> Iterator[bytes]:
        is_empty = True
        if is_last:
            cells = {key: cells.get(key, 0.0) for key in {**self._owed, **cells}}
        for key, total in cells.items():
            due = self._owed.get(key, 0.0) + total
            count = round(due) if is_last else math.floor(due + 1e-9)
            self._owed[key] = due - count
            if count > 0:
                is_empty = False
                yield self._request(start_s, key, count)
        if is_empty:
            self.events += 1
            beat = {"kind": "heartbeat", "version": 1, "id": self._id(), "time": _shown(start_s)}
            yield msgspec.json.encode(beat) + b"\n"

    def _single(self, arrivals: Arrivals) -> Iterator[bytes]:
        key = (arrivals.module, arrivals.region, arrivals.pinned, arrivals.one_in)
        due = self._owed.get(key, 0.0) + arrivals.reported
        count = math.floor(due + 1e-9)
        self._owed[key] = due - count
        if count > 0:
            yield self._request(arrivals.time_s, key, count)

    def _request(self, time_s: float, key: Key, count: int) -> bytes:
        module, region, pinned, one_in = key
        self.events += 1
        self.requests += count * one_in
        fields: dict[str, Any] = {
            "kind": "request", "version": 1, "id": self._id(), "time": _shown(time_s),
            "module": module, "region": region, "routing": "pinned" if pinned else "weighted",
        }  # fmt: skip
        if count != 1:
            fields["count"] = count
        if one_in != 1:
            fields["sample_rate"] = 1 / one_in
        return msgspec.json.encode(fields) + b"\n"

    def _id(self) -> str:
        return f"{self._source}-{self.events}"


def _shown(time_s: float) -> str:
    at = datetime.fromtimestamp(round(time_s, 6), UTC)
    timespec = "microseconds" if at.microsecond else "seconds"
    return at.isoformat(timespec=timespec).replace("+00:00", "Z")
