"""What a record can turn out to be: an event, or a rejection with its reason.

Every format builds these, `streams/windows.py` and `streams/ingest.py` read them. A value that
exists is valid: it was checked once, when it was built, and nobody checks it again. Nothing here
may know a broker or a clock.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from streams.catalog import Catalog

Headers = Sequence[tuple[str, bytes | None]]
"""A Kafka record's headers in their order; where a name repeats, the last one counts."""

DETAIL_CHARACTERS_MAX = 200

OTHER = "other"
"""Module and region of an event that names one we were not told of: counted, never kept by name."""


class RequestEvent(msgspec.Struct, frozen=True, gc=False, tag="request", tag_field="kind"):
    """Requests that arrived at a module in a region.

    `requests` is the event's count divided by its sample rate. `pinned` requests carry the region
    header and cannot be moved. An empty `event_id` says that the sender gave none: such an event is
    never taken for a duplicate. `variance` is what sampling adds to the uncertainty of `requests`:
    of n reported out of every 1/p requests each, the total n/p has the variance n (1-p)/p^2
    (Horvitz and Thompson 1952, Bernoulli sampling).
    """

    event_id: str
    time_s: float
    module: str
    region: str
    requests: float
    pinned: bool
    caller: str | None = None
    variance: float = 0.0


class MetricSample(msgspec.Struct, frozen=True, tag="metric", tag_field="kind"):
    """One sample of a metric; it is demand of no kind until somebody maps its name."""

    event_id: str
    time_s: float
    name: str
    value: float
    module: str
    region: str
    labels: tuple[tuple[str, str], ...] = ()


class Heartbeat(msgspec.Struct, frozen=True, gc=False, tag="heartbeat", tag_field="kind"):
    """Proof that the feed of this partition is alive; moves the watermark and counts nothing."""

    event_id: str
    time_s: float


Event = RequestEvent | MetricSample | Heartbeat


class RejectReason(enum.StrEnum):
    """Why a record was set aside."""

    TOMBSTONE = "tombstone"
    """The record has no value."""
    OVERSIZE = "oversize"
    """The value is longer than `Catalog.body_bytes_max`; it was not parsed."""
    UNSUPPORTED_FORMAT = "unsupported_format"
    """A content type or a mode that no decoder knows, such as a CloudEvents batch."""
    MALFORMED = "malformed"
    """Not JSON: broken text, NaN, nested too deep."""
    INVALID_FIELD = "invalid_field"
    """JSON, but a field is missing, has another type or lies outside its bounds."""
    UNKNOWN_KIND = "unknown_kind"
    """Neither a request, a metric nor a heartbeat."""
    UNKNOWN_VERSION = "unknown_version"
    """A version of the contract that this release cannot read."""
    MISSING_REGION = "missing_region"
    """There is no region, and no default for those that have none."""
    INVALID_TIME = "invalid_time"
    """No time at all, a time without zone, or one before the year 1990."""
    FUTURE_TIME = "future_time"
    """Later than the record's own timestamp by more than the allowed skew."""


class Rejected(msgspec.Struct, frozen=True, tag="rejected", tag_field="kind"):
    """A record set aside: the reason to count it by, and a sentence for a person."""

    reason: RejectReason
    detail: str


class RefusalError(Exception):
    """How a format says no from any depth; `streams.events.decode` turns it into a value."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.rejected = Rejected(reason, detail[:DETAIL_CHARACTERS_MAX])


Outcomes = Sequence[Event | Rejected]
"""What one record holds: one event, or as many as a batch has, each accepted or set aside."""


class Format(Protocol):
    """One way to write events down. A new one is a file of its own and a line in the registry."""

    @property
    def name(self) -> str:
        """The name in the documentation."""
        ...

    def recognises(self, headers: Headers, body: bytes) -> bool:
        """Whether the record claims to be in this format; must be cheap and must not raise."""
        ...

    def decode(
        self, headers: Headers, body: bytes, catalog: Catalog, record_time_s: float | None
    ) -> Outcomes:
        """Raise `RefusalError`, `msgspec.MsgspecError` or `UnicodeDecodeError` on a bad record."""
        ...
