"""What `events inspect` found: the shape of its JSON, and of everything that is printed.

`predictor/events/topic_survey.py` builds it, `predictor/events/findings.py` judges it,
`predictor/events/topic_tables.py` draws it. Fields are only ever added. Times are RFC 3339 in UTC,
durations seconds, rates per second of event time, shares 0 to 1.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["error", "warning", "note", "good"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence about the topic, and the configuration that answers it, as YAML.

    `error`: the service cannot work with this topic as it is.
    """

    level: Level
    code: str
    sentence: str
    configuration: str = ""


class FormatCount(msgspec.Struct, frozen=True):
    """Records that a decoder took, and how many of them gave no event at all."""

    name: str
    records: int
    rejected_records: int


class RejectedCount(msgspec.Struct, frozen=True):
    """What was set aside for one reason, with the first one's place and sentence."""

    reason: str
    count: int
    example: str
    partition: int
    offset: int


class PlaceRate(msgspec.Struct, frozen=True):
    """One module in one region; `partitions` of the topic hold its events."""

    module: str
    region: str
    events: int
    requests: float
    events_per_s: float
    requests_per_s: float
    partitions: int


class MetricRow(msgspec.Struct, frozen=True):
    """Samples of one metric, and the requests that the service would make of them.

    Those of metrics that count no requests are not told apart by module and region.
    """

    name: str
    means: Literal["requests", "requests_per_s", "not_demand", "unknown"]
    module: str
    region: str
    series: int
    samples: int
    requests: float
    requests_per_s: float


class NameCount(msgspec.Struct, frozen=True):
    """A name that is not configured."""

    what: Literal["module", "region"]
    name: str
    events: int


class Quantiles(msgspec.Struct, frozen=True):
    """Of a duration in seconds, to 2.5 %; the largest is exact."""

    p50_s: float
    p90_s: float
    p99_s: float
    max_s: float


class PartitionRow(msgspec.Struct, frozen=True):
    """One partition: `behind_s` is what its last event is older than the topic's last one."""

    partition: int
    records: int
    events: int
    heartbeats: int
    events_per_s: float
    first_offset: int | None
    last_offset: int | None
    last_event: str | None
    behind_s: float | None


class TopicReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was seen between two offsets of each partition.

    `events` and what is said of times and partitions include repetitions; `requests`, `summaries`,
    `sampled`, `pinned` and `places` leave them out, as the service does. What samples of counters
    tell is apart from that: `sample_requests` are the requests between them, `sample_interval` how
    far two of a series are apart, `sample_verdicts` what became of them.
    """

    source: str
    is_complete: bool
    records: int
    bytes: int
    events: int
    requests: float
    covered_s: float
    first_event: str | None
    last_event: str | None
    summaries: int
    sampled: int
    pinned: int
    heartbeats: int
    samples: int
    ignored: int
    rejected_events: int
    other_events: int
    without_region: int
    without_time: int
    duplicates: int
    late: int
    lateness_s: float
    lateness: Quantiles
    lateness_s_for_9999: float
    delay: Quantiles
    ahead_of_record: int
    ahead_of_record_max_s: float
    ahead_of_others: int
    stamped_by_broker: int
    formats: tuple[FormatCount, ...]
    rejected: tuple[RejectedCount, ...]
    unknown_names: tuple[NameCount, ...]
    places: tuple[PlaceRate, ...]
    partitions: tuple[PartitionRow, ...]
    findings: tuple[Finding, ...] = ()
    metrics: tuple[MetricRow, ...] = ()
    sample_requests: float = 0.0
    sample_interval: Quantiles = Quantiles(0.0, 0.0, 0.0, 0.0)
    sample_verdicts: dict[str, int] = {}
