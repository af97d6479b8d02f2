"""The demand records that ingest hands to the deciding workers, and their bytes.

`streams/windows.py` makes them, `streams/ingest.py` writes them to the demand topic,
`streams/faust_app.py` reads them and `predictor/core/history.py` adds them up. A `DemandPart` is
what *one input partition* held of a module's bucket, never the whole; `Progress` tells how far that
partition has come and what it lost. The two together decide whether a bucket is complete. This
module must never know a clock or a broker.
"""

from __future__ import annotations

import msgspec

from streams.gaps import Gaps, bounded, united, without

DEMAND_SCHEMA_VERSION = 1


class DemandCell(msgspec.Struct, frozen=True, array_like=True):
    """What one region asked of the module in the bucket, pinned and movable demand apart.

    `requests` is weighted (count / sample rate) and not a rate; `events` counts the records behind
    it. `variance` is what sampling adds to the uncertainty of `requests`: see `RequestEvent`.
    """

    region: str
    pinned: bool
    requests: float
    events: int
    variance: float = 0.0


class DemandPart(msgspec.Struct, frozen=True, tag="demand", tag_field="kind"):
    """One module's demand in one bucket, as far as one input partition knows it.

    A second part with the same (module, bucket_start_s, partition) replaces the first. One that was
    amended by an event that came late has a higher `revision`, and comes later.
    """

    module: str
    bucket_start_s: int
    bucket_s: int
    partition: int
    cells: tuple[DemandCell, ...]
    version: int = DEMAND_SCHEMA_VERSION
    revision: int = 0


class Progress(msgspec.Struct, frozen=True, tag="progress", tag_field="kind"):
    """How far one input partition has come; goes to every partition of the demand topic.

    Every bucket that starts before `closed_through_s` is final in this partition, also where the
    partition held no event of a module, except those in its `gaps`: (from_s, until_s) says that
    buckets with from_s <= start < until_s were never fully counted, from_s 0 that nobody knows
    since when. `idle` means that the partition is read to its end and has been silent for longer
    than the idle limit, so nobody needs to wait for it; a gap may then reach beyond
    `closed_through_s`. `partitions` is the number of input partitions that the writer saw.
    """

    partition: int
    closed_through_s: int
    idle: bool
    partitions: int
    version: int = DEMAND_SCHEMA_VERSION
    gaps: Gaps = ()


DemandRecord = DemandPart | Progress

_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER: msgspec.json.Decoder[DemandRecord] = msgspec.json.Decoder(DemandPart | Progress)


def encode_demand(record: DemandRecord) -> bytes:
    """The record's JSON; the same record gives the same bytes."""
    return _ENCODER.encode(record)


def decode_demand(body: bytes) -> DemandRecord:
    """Read a record back; raises `msgspec.MsgspecError` on anything else."""
    return _DECODER.decode(body)


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
    )


def _gaps_of_both(known: Progress, new: Progress) -> Gaps:
    if known.gaps == new.gaps:
        return new.gaps
    counted = (without([(0, report.closed_through_s)], report.gaps) for report in (known, new))
    lost = without(united(known.gaps, new.gaps), united(*counted))
    return bounded(lost, max(known.closed_through_s, new.closed_through_s))
