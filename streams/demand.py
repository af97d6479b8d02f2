"""The demand records that ingest hands to the deciding workers, and their bytes.

`streams/windows.py` makes them, `streams/ingest.py` writes them to the demand topic,
`streams/faust_app.py` reads them and `predictor/core/history.py` adds them up. A `DemandPart` is
what *one input partition* held of a module's bucket, never the whole; `Progress` tells how far that
partition has come, what it lost and when it was silent. The two together decide whether a bucket is
complete. Any order and any repetition of records say the same (`supersedes`, `merged_progress`).
This module must never know a clock or a broker.
"""

from __future__ import annotations

import msgspec

from streams.gaps import Gaps, bounded, united, without

DEMAND_SCHEMA_VERSION = 1
"""A field with a default is no new version: older readers pass it over, older records lack it."""
PARTITIONS_PER_TOPIC_MAX = 10_000
"""An input's number is topic number * this + partition; Kafka advises far fewer in one topic."""
TOPICS_MAX = 100


class DemandCell(msgspec.Struct, frozen=True, array_like=True):
    """What one region asked of the module in the bucket, pinned and movable demand apart.

    `requests` is weighted (count / sample rate) and not a rate; `events` counts the records behind
    it, those that say zero included. `variance` is what sampling adds to the uncertainty of
    `requests`: the sum of w (w - 1) count over the events, w being 1 / sample rate, 0 where all was
    recorded (the Horvitz-Thompson estimator under Poisson sampling; Sarndal, Swensson, Wretman,
    "Model Assisted Survey Sampling", 1992, section 3.5).
    """

    region: str
    pinned: bool
    requests: float
    events: int
    variance: float = 0.0


class DemandPart(msgspec.Struct, frozen=True, tag="demand", tag_field="kind"):
    """One module's demand in one bucket, as far as one input partition knows it.

    `partition` is an input number (`input_number`). A part is always the whole of what its
    partition holds: one with a higher `revision` replaces one with the same (module,
    bucket_start_s, partition), whatever comes first. That is how an event that came after its
    bucket was out is still counted. Of equal revisions the one with more events counts
    (`supersedes`). `announced` are (region, workflows): how many workflows that started in this
    bucket will ask the module later, as often as each names it; no demand yet, so a part may hold
    nothing else.
    """

    module: str
    bucket_start_s: int
    bucket_s: int
    partition: int
    cells: tuple[DemandCell, ...]
    version: int = DEMAND_SCHEMA_VERSION
    revision: int = 0
    announced: tuple[tuple[str, float], ...] = ()


class Progress(msgspec.Struct, frozen=True, tag="progress", tag_field="kind"):
    """How far one input partition has come; goes to every partition of the demand topic.

    `partition` is an input number, `partitions` the number of partitions that the writer saw in
    that one topic. Every bucket that starts before `closed_through_s` is final in this partition,
    also where the partition held no event of a module, except those in its `gaps`: (from_s,
    until_s) says that buckets with from_s <= start < until_s were never fully counted, from_s 0
    that nobody knows since when.

    `idle` means that the partition is read to its end and has been silent for longer than the idle
    limit; a gap may then reach beyond `closed_through_s`. `quiet_through_s` is how far that
    statement holds: no event of a bucket that starts before it is to come (the reader's clock when
    it found the end, less the lateness, down to a bucket's start). It is what tells a silent
    partition from one that nobody reads any more; None says nothing, as older writers did.

    `silences` are stretches of at least the silence limit in which the partition had neither an
    event nor a heartbeat nor a record that says zero: from the end of the last one's bucket to the
    start of the next one's, from 0 before the partition's first. Silence is not zero; where a whole
    topic is silent is a gap.
    """

    partition: int
    closed_through_s: int
    idle: bool
    partitions: int
    version: int = DEMAND_SCHEMA_VERSION
    gaps: Gaps = ()
    quiet_through_s: int | None = None
    silences: Gaps = ()


DemandRecord = DemandPart | Progress

_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER: msgspec.json.Decoder[DemandRecord] = msgspec.json.Decoder(DemandPart | Progress)


def encode_demand(record: DemandRecord) -> bytes:
    """The record's JSON; the same record gives the same bytes."""
    return _ENCODER.encode(record)


def decode_demand(body: bytes) -> DemandRecord:
    """Read a record back; raises `msgspec.MsgspecError` on anything else."""
    return _DECODER.decode(body)


def input_number(topic_number: int, partition: int) -> int:
    """The number of a partition among all input topics; raises `ValueError` beyond the bounds.

    Topics are numbered by configuration, over all clusters whose demand records meet.
    """
    if not 0 <= partition < PARTITIONS_PER_TOPIC_MAX or not 0 <= topic_number < TOPICS_MAX:
        raise ValueError(
            f"topic number {topic_number}, partition {partition}: a topic number is below "
            f"{TOPICS_MAX}, a partition below {PARTITIONS_PER_TOPIC_MAX}"
        )
    return topic_number * PARTITIONS_PER_TOPIC_MAX + partition


def topic_and_partition(number: int) -> tuple[int, int]:
    """The topic's number and the partition in it: the inverse of `input_number`."""
    return divmod(number, PARTITIONS_PER_TOPIC_MAX)


def supersedes(new: DemandPart, known: DemandPart) -> bool:
    """Whether `new` takes the place of `known`, a part of the same bucket and partition.

    The higher revision; of equal ones the one with more events, because both are the whole of what
    their writer had read. The rest only makes the order total, so that any order of arrival ends
    the same.
    """
    if new.revision != known.revision:
        return new.revision > known.revision
    return _rank(new) > _rank(known)


def _rank(part: DemandPart) -> tuple[int, float, float, bytes]:
    events = sum(cell.events for cell in part.cells)
    requests = sum(cell.requests for cell in part.cells)
    announced = sum(workflows for _, workflows in part.announced)
    rest = msgspec.msgpack.encode((part.cells, part.announced))
    return events, requests, announced, rest


def merged_progress(known: Progress | None, new: Progress) -> Progress:
    """What two reports of one partition say together.

    A report says that everything before its `closed_through_s` was counted, its gaps excepted. Once
    counted is counted, whoever did it: a gap is what some report calls lost and none calls counted.
    So a gap from 0 begins where an earlier report had come to, a repetition of it changes nothing,
    and a stretch that is read once more after all is a gap no longer. The further
    `closed_through_s` wins; of two equal ones idle wins, since a partition that wakes up moves on.

    Any order and any repetition give the same, with one exception: where there are more gaps than
    `GAPS_MAX`, which of them were joined may depend on the order.
    """
    gaps = bounded(new.gaps, new.closed_through_s) if new.gaps else ()
    if known is None:
        return msgspec.structs.replace(new, gaps=gaps)
    assert known.partition == new.partition, "progress of different partitions"
    newest = new if new.closed_through_s >= known.closed_through_s else known
    is_level = new.closed_through_s == known.closed_through_s
    return Progress(
        partition=new.partition,
        closed_through_s=newest.closed_through_s,
        idle=known.idle or new.idle if is_level else newest.idle,
        partitions=max(known.partitions, new.partitions),
        version=max(known.version, new.version),
        gaps=_gaps_of_both(known, msgspec.structs.replace(new, gaps=gaps)),
        quiet_through_s=_later(known.quiet_through_s, new.quiet_through_s),
        silences=_silences_of_both(known, new),
    )


def _later(one_s: int | None, other_s: int | None) -> int | None:
    return one_s if other_s is None else other_s if one_s is None else max(one_s, other_s)


def _silences_of_both(known: Progress, new: Progress) -> Gaps:
    if known.silences == new.silences:
        return new.silences
    newest_s = max(known.closed_through_s, new.closed_through_s)
    return bounded(united(known.silences, new.silences), newest_s)


def _gaps_of_both(known: Progress, new: Progress) -> Gaps:
    if known.gaps == new.gaps:
        return new.gaps
    counted = (without([(0, report.closed_through_s)], report.gaps) for report in (known, new))
    lost = without(united(known.gaps, new.gaps), united(*counted))
    return bounded(lost, max(known.closed_through_s, new.closed_through_s))
