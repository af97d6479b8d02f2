"""What a record can turn out to be: an event, or a rejection with its reason.

Every format builds these, `streams/windows.py` and `streams/ingest.py` read them. A value that
exists is valid: it was checked once, when it was built, and nobody checks it again. Nothing here
may know a broker or a clock.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

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
    never taken for a duplicate. Binary formats may give bytes, such as the 16 of a UUID.
    `variance` is what sampling adds to the uncertainty of `requests`: of n reported out of every
    1/p requests each, the total n/p has the variance n (1-p)/p^2 (Horvitz and Thompson 1952,
    Bernoulli sampling).
    """

    event_id: str | bytes
    time_s: float
    module: str
    region: str
    requests: float
    pinned: bool
    caller: str | None = None
    variance: float = 0.0


class WorkflowRequest(RequestEvent, frozen=True, gc=False, tag="workflow", tag_field="kind"):
    """Requests each of which starts a workflow that will ask the modules in `stages`.

    As often as they are named, in their order; `OTHER` stands for a name that is none of ours.
    """

    stages: tuple[str, ...] = ()


class SampleType(enum.StrEnum):
    """What kind of value a sample says it has, in OpenTelemetry's words (metrics data model)."""

    UNKNOWN = "unknown"
    """The sender does not say; the metric's name has to."""
    GAUGE = "gauge"
    """A value of this instant, or a sum that may also fall."""
    CUMULATIVE = "cumulative"
    """A count since `start_s`, or since somebody knows when."""
    DELTA = "delta"
    """A count since the sample before, or since `start_s`."""


class MetricSample(
    msgspec.Struct, frozen=True, repr_omit_defaults=True, tag="metric", tag_field="kind"
):
    """One sample of a metric; `streams/counters.py` makes demand of those whose name means it.

    `labels` are the sample's own, in the order of their names. `source` tells apart what the
    labels do not: a digest of the OpenTelemetry resource and scope, empty elsewhere. `replica` is
    which of several identical Prometheus servers took the sample. `start_s` is where a count began,
    epoch seconds.
    """

    event_id: str
    time_s: float
    name: str
    value: float
    module: str
    region: str
    labels: tuple[tuple[str, str], ...] = ()
    type: SampleType = SampleType.UNKNOWN
    start_s: float | None = None
    source: str = ""
    replica: str = ""


class Heartbeat(msgspec.Struct, frozen=True, gc=False, tag="heartbeat", tag_field="kind"):
    """Proof that the feed of this partition is alive; moves the watermark and counts nothing."""

    event_id: str
    time_s: float


class Ignored(Heartbeat, frozen=True, gc=False, tag="ignored", tag_field="kind"):
    """Events that were read and are no arrivals: the end of a request, a span inside a service.

    They count for nothing but prove that the feed is alive, so they are a heartbeat too. `what`
    says it for a person, in the sender's words; `events` is how many of them the record held.
    """

    what: str = ""
    events: int = 1


Event = RequestEvent | MetricSample | Heartbeat


class RejectReason(enum.StrEnum):
    """Why a record was set aside."""

    TOMBSTONE = "tombstone"
    """The record has no value."""
    OVERSIZE = "oversize"
    """The value is longer than `Catalog.body_bytes_max`, or holds more events than a record may."""
    UNSUPPORTED_FORMAT = "unsupported_format"
    """A content type or a mode that no decoder knows, such as a CloudEvents batch."""
    MALFORMED = "malformed"
    """Not what its format is: broken text, NaN, nested too deep, bytes missing."""
    INVALID_FIELD = "invalid_field"
    """A field is missing, has another type or lies outside its bounds."""
    UNKNOWN_KIND = "unknown_kind"
    """Neither a request, a metric nor a heartbeat, in none of the shapes that are known."""
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


def rejection(error: Exception) -> Rejected:
    """What to say of one of `DECODE_ERRORS`.

    msgspec raises `RecursionError` on deep nesting and `UnicodeDecodeError` on broken text.
    """
    if isinstance(error, RefusalError):
        return error.rejected
    invalid = isinstance(error, msgspec.ValidationError)
    reason = RejectReason.INVALID_FIELD if invalid else RejectReason.MALFORMED
    return RefusalError(reason, str(error)).rejected


DECODE_ERRORS = (RefusalError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What a format may raise for what a sender wrote; a batch catches it for each of its events."""

EVENTS_PER_RECORD_MAX = 100_000
"""More are refused; the shortest event of ours has twelve bytes, so one megabyte holds no more."""


class Around(NamedTuple):
    """What surrounds an event and stands in for what it does not say itself.

    A message that wraps it or the record's headers; `module` is a hint, given by whoever sent it.
    """

    event_id: str = ""
    time: str | int | float | None = None
    region: str | None = None
    module: str | None = None


class Record(Protocol):
    """A record as the broker keeps it; `timestamp` in milliseconds, below 0 where there is none."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


Outcomes = Sequence[Event | Rejected]
"""What one record holds: one event, or as many as a batch has, each accepted or set aside."""


class Format(Protocol):
    """One way to write events down. A new one is a file of its own and a line in the registry."""

    @property
    def name(self) -> str:
        """The name in the documentation and in `FormatOptions.format`."""
        ...

    def claims(self, media_type: str, headers: Headers) -> bool:
        """Whether the headers say that the record is in this format.

        `media_type` is the content type in lower case, without parameters. Must not raise.
        """
        ...

    def recognises(self, body: bytes) -> bool:
        """Whether a record whose headers name no format is in this one, by its bytes or keys.

        Asked for every such record: must be cheap, must not raise, and must not claim what could be
        valid in another format.
        """
        ...

    def decode(
        self, headers: Headers, body: bytes, catalog: Catalog, record_time_s: float | None
    ) -> Outcomes:
        """Raise one of `DECODE_ERRORS` on a bad record."""
        ...
