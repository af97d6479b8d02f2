"""The demand records that ingest hands to the deciding workers, and their bytes.

`streams/windows.py` makes them, `streams/ingest.py` writes them to the demand topic,
`streams/faust_app.py` reads them and `predictor/core/history.py` adds them up. A `DemandPart` is
what *one input partition* held of a module's bucket, never the whole; `Progress` tells how far that
partition has come. The two together decide whether a bucket is complete. This module must never
know a clock or a broker.
"""

from __future__ import annotations

import msgspec

DEMAND_SCHEMA_VERSION = 1


class DemandCell(msgspec.Struct, frozen=True, array_like=True):
    """What one region asked of the module in the bucket, pinned and movable demand apart.

    `requests` is weighted (count / sample rate) and not a rate; `events` counts the records behind
    it.
    """

    region: str
    pinned: bool
    requests: float
    events: int


class DemandPart(msgspec.Struct, frozen=True, tag="demand", tag_field="kind"):
    """One module's demand in one bucket, as far as one input partition knows it.

    A second part with the same (module, bucket_start_s, partition) replaces the first.
    """

    module: str
    bucket_start_s: int
    bucket_s: int
    partition: int
    cells: tuple[DemandCell, ...]
    version: int = DEMAND_SCHEMA_VERSION


class Progress(msgspec.Struct, frozen=True, tag="progress", tag_field="kind"):
    """How far one input partition has come; goes to every partition of the demand topic.

    Every bucket that starts before `closed_through_s` is final in this partition, also where the
    partition held no event of a module. `idle` means that the partition is read to its end and has
    been silent for longer than the idle limit, so nobody needs to wait for it. `partitions` is the
    number of input partitions that the writer saw.
    """

    partition: int
    closed_through_s: int
    idle: bool
    partitions: int
    version: int = DEMAND_SCHEMA_VERSION


DemandRecord = DemandPart | Progress

_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER: msgspec.json.Decoder[DemandRecord] = msgspec.json.Decoder(DemandPart | Progress)


def encode_demand(record: DemandRecord) -> bytes:
    """The record's JSON; the same record gives the same bytes."""
    return _ENCODER.encode(record)


def decode_demand(body: bytes) -> DemandRecord:
    """Read a record back; raises `msgspec.MsgspecError` on anything else."""
    return _DECODER.decode(body)
