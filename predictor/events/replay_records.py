"""What a line of a file becomes on a topic: value, key, headers, and when it is due.

`predictor/events/replay.py` sends what comes out. A line is decoded as the service would, to know
its time, module and region; the value stays as it was written unless its time is to be moved. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from streams.events import (
    Catalog,
    Event,
    Heartbeat,
    Ignored,
    MetricSample,
    Rejected,
    RequestEvent,
    decode,
)

CLOUDEVENTS_HEADER = ("content-type", b"application/cloudevents+json; charset=UTF-8")

_Fields = dict[str, msgspec.Raw]
_FIELDS = msgspec.json.Decoder(_Fields)


@dataclass(frozen=True, slots=True)
class ReplayRecord:
    """One record to be sent.

    `time_s` is the event time after moving, None where there is none. A record without a key goes
    to any partition, one for every partition (a heartbeat) to all. `rejected` says why the service
    will set it aside.
    """

    value: bytes
    key: str | None
    time_s: float | None
    headers: tuple[tuple[str, bytes], ...] = ()
    for_every_partition: bool = False
    rejected: str | None = None


class NotMovable(ValueError):  # noqa: N818 - it says what the line is
    """The line's time cannot be moved: it is not in our contract."""


def replay_record(body: bytes, catalog: Catalog, shift_s: float = 0.0) -> ReplayRecord:
    """The record of a line, its event times moved by `shift_s`; raises `NotMovable`."""
    outcomes = decode(body, (), catalog, record_time_s=None)
    headers = (CLOUDEVENTS_HEADER,) if b'"specversion"' in body else ()
    first = outcomes[0] if outcomes else None
    if isinstance(first, Rejected) or first is None:
        reason = first.reason.value if isinstance(first, Rejected) else "empty"
        return ReplayRecord(body, None, None, headers, rejected=reason)
    time_s = max(one.time_s for one in outcomes if not isinstance(one, Rejected))
    value = _moved(body, outcomes[0], shift_s) if shift_s else body
    is_heartbeat = isinstance(first, Heartbeat) and not isinstance(first, Ignored)
    return ReplayRecord(value, _key(first), time_s + shift_s, headers, is_heartbeat)


def span_s(bodies: Iterable[bytes], catalog: Catalog) -> tuple[float, float] | None:
    """Oldest and newest event time, None where no line has one."""
    oldest_s, newest_s = float("inf"), float("-inf")
    for time_s in _times_s(bodies, catalog):
        oldest_s, newest_s = min(oldest_s, time_s), max(newest_s, time_s)
    return None if newest_s < oldest_s else (oldest_s, newest_s)


def _times_s(bodies: Iterable[bytes], catalog: Catalog) -> Iterator[float]:
    for body in bodies:
        for one in decode(body, (), catalog, record_time_s=None):
            if not isinstance(one, Rejected):
                yield one.time_s


def _key(event: Event | Rejected) -> str | None:
    if isinstance(event, RequestEvent | MetricSample):
        return f"{event.module}|{event.region}"
    return None


def _moved(body: bytes, event: Event | Rejected, shift_s: float) -> bytes:
    """The same object with its top-level `time` moved; the order of its fields stays."""
    assert not isinstance(event, Rejected), "only what has a time is moved"
    try:
        fields = _FIELDS.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotMovable("a batch of several events") from error
    if "time" not in fields or not ("kind" in fields or "specversion" in fields):
        raise NotMovable("no `time` of our contract")
    moved = datetime.fromtimestamp(event.time_s + shift_s, UTC)
    shown = moved.isoformat(timespec="microseconds").replace("+00:00", "Z")
    fields["time"] = msgspec.Raw(msgspec.json.encode(shown))
    return msgspec.json.encode(fields)
