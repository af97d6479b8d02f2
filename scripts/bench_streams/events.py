"""The benchmark's request events: one deterministic stream, and what its totals truly are.

`produce.py` writes them to topics, `check.py` holds every count against the `Truth`. An event is
our own bare contract plus the fields that a real sender has, 307 bytes long: what the field study
of 2026 measured other systems with. Pure; the same `Stream` gives the same bytes on any machine.
"""

from __future__ import annotations

import datetime as dt
import functools
import random
from collections import Counter, deque
from collections.abc import Iterator
from typing import NamedTuple

MODULES = (
    "context", "plan", "role", "confirm", "trace", "extension", "dialog", "collab", "core",
    "network",
)  # fmt: skip
REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-1")
PARTITIONS = 4
EVENT_BYTES = 307
BUCKET_S = 10

_MODULE_WEIGHTS = (20, 15, 5, 5, 20, 3, 12, 8, 7, 5)
_REGION_WEIGHTS = (50, 30, 20)
_STATUS = (200, 200, 200, 200, 200, 200, 200, 429, 500, 503)
_START_MS = 1_780_000_020_000
_DISORDER_MEAN_S, _DISORDER_MAX_S = 0.8, 5.0
_DUPLICATE_SHARE = 0.005
_DUPLICATE_DISTANCE = 50
_BELIEVED_AFTER_MS = 20_000
_CLOSING_AFTER_S = 130  # a whole minute, one bucket and the lateness, with room
_STRIDE = 7919  # visits the modules of a large set in no order, each once


class Stream(NamedTuple):
    """Which events: how many, of which modules, and for how many requests each one stands.

    `events_per_s` is in the events' own time. `is_known` says whether the reader is told of the
    modules; of others nothing may come out.
    """

    events: int
    modules: tuple[str, ...] = MODULES
    requests_each: int = 1
    events_per_s: int = 2_000
    is_known: bool = True
    seed: int = 7


class Event(NamedTuple):
    """One event as it is produced; `is_repeated` says that an earlier one has the same id."""

    partition: int
    module: str
    region: str
    is_pinned: bool
    time_ms: int
    event_id: str
    body: bytes
    is_repeated: bool = False

    @property
    def key(self) -> bytes:
        """The record's key."""
        return f"{self.module}|{self.region}".encode()


class Truth:
    """What the events of a stream add up to.

    The last two events of each partition come long after the others and close their buckets and
    windows (one far ahead is not believed alone). What begins at `closed_before_s` or later stays
    open.
    """

    def __init__(self, stream: Stream) -> None:
        self.events = 0
        self.repeated = 0
        self.unknown = 0
        self._is_known = stream.is_known
        self.closed_before_s = _closing_ms(stream) // 60_000 * 60
        self._requests_each = stream.requests_each
        self._minutes: Counter[tuple[str, str, int]] = Counter()
        self._buckets: Counter[tuple[int, str, str, bool, int]] = Counter()

    def add(self, event: Event) -> None:
        """Take note of one event."""
        partition, module, region, is_pinned, time_ms, _, _, is_repeated = event
        self.events += 1
        self._minutes[module, region, time_ms // 60_000] += 1
        if not self._is_known:
            self.unknown += 1
        elif is_repeated:
            self.repeated += 1
        else:
            self._buckets[partition, module, region, is_pinned, time_ms // 1000 // BUCKET_S] += 1

    def minutes(self, *, closed: bool = False) -> dict[str, int]:
        """Events per `module|region|minute`, repeated ones included; all, or those closed."""
        return {
            f"{module}|{region}|{_second_text(minute * 60)[:16]}": count
            for (module, region, minute), count in self._minutes.items()
            if not closed or minute * 60 < self.closed_before_s
        }

    def buckets(self) -> Counter[tuple[str, str, bool, int]]:
        """Requests per (module, region, pinned, start) of the closed buckets, none twice."""
        totals: Counter[tuple[str, str, bool, int]] = Counter()
        for (_, module, region, is_pinned, bucket), count in self._closed():
            totals[module, region, is_pinned, bucket * BUCKET_S] += count * self._requests_each
        return totals

    def parts(self) -> int:
        """How many (partition, module, bucket) the closed buckets have: one demand part each."""
        return len({(partition, module, at) for (partition, module, _, _, at), _ in self._closed()})

    def _closed(self) -> list[tuple[tuple[int, str, str, bool, int], int]]:
        return [
            (cell, count)
            for cell, count in self._buckets.items()
            if cell[-1] * BUCKET_S < self.closed_before_s
        ]


def events(stream: Stream) -> Iterator[Event]:
    """The stream's events in the order in which they are produced."""
    drawn = random.Random(stream.seed)
    weights = _MODULE_WEIGHTS if stream.modules == MODULES else None
    recent: deque[Event] = deque(maxlen=_DUPLICATE_DISTANCE)
    for number in range(stream.events - 2 * PARTITIONS):
        if len(recent) == _DUPLICATE_DISTANCE and drawn.random() < _DUPLICATE_SHARE:
            event = recent[0]._replace(is_repeated=True)
        else:
            if weights:
                (module,) = drawn.choices(range(len(MODULES)), weights)
            else:
                module = number * _STRIDE % len(stream.modules)
            (region,) = drawn.choices(range(len(REGIONS)), _REGION_WEIGHTS)
            event = _event(stream, drawn, module, region, _time_ms(stream, drawn, number))
        recent.append(event)
        yield event
    for closing_ms in (_closing_ms(stream), _closing_ms(stream) + _BELIEVED_AFTER_MS):
        for partition in range(PARTITIONS):
            module, region = divmod(partition, len(REGIONS))
            yield _event(stream, drawn, module, region, closing_ms)


def request_body(fields: Event, status: int, duration_ms: float, requests: int = 1) -> bytes:
    """An event's JSON, padded to `EVENT_BYTES`; `fields.body` is not looked at."""
    second, milliseconds = divmod(fields.time_ms, 1000)
    routing = "pinned" if fields.is_pinned else "weighted"
    count = f'"count":{requests},' if requests > 1 else ""
    head = (
        f'{{"kind":"request","id":"{fields.event_id}",{count}'
        f'"time":"{_second_text(second)}.{milliseconds:03d}Z",'
        f'"module":"{fields.module}","region":"{fields.region}","routing":"{routing}",'
        f'"method":"POST","status":{status},"duration_ms":{duration_ms:.2f},'
        f'"pod":"{fields.module}-7d9f6b8c5d-{fields.event_id[:5]}","agent":"'
    )
    return (head + "a" * (EVENT_BYTES - 2 - len(head)) + '"}').encode()


def _event(stream: Stream, drawn: random.Random, module: int, region: int, time_ms: int) -> Event:
    bare = Event(
        (module * len(REGIONS) + region) % PARTITIONS,
        stream.modules[module],
        REGIONS[region],
        drawn.random() < 0.1,
        time_ms,
        drawn.randbytes(16).hex(),
        b"",
    )
    status, duration_ms = drawn.choice(_STATUS), 5 + 500 * drawn.random()
    return bare._replace(body=request_body(bare, status, duration_ms, stream.requests_each))


def _time_ms(stream: Stream, drawn: random.Random, number: int) -> int:
    early_s = min(drawn.expovariate(1 / _DISORDER_MEAN_S), _DISORDER_MAX_S)
    return _START_MS + int(1000 * (_DISORDER_MAX_S + number / stream.events_per_s - early_s))


def _closing_ms(stream: Stream) -> int:
    return _START_MS + int(1000 * (stream.events / stream.events_per_s + _CLOSING_AFTER_S))


@functools.lru_cache(maxsize=4096)
def _second_text(second: int) -> str:
    return dt.datetime.fromtimestamp(second, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
