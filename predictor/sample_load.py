"""The embedded sample of a real load, and the request events that tell of it.

`predictor/demo.py`, `predictor/live_demo.py` and tests use it. The recorded counts are multiplied,
spread evenly inside their minute and split over the regions; no noise is invented. It must never be
used by a live service.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources

import msgspec

SAMPLE = "nasa_jul95_14_days.csv.gz"
SAMPLE_NAME = "HTTP requests to the NASA Kennedy web server, 1 to 14 July 1995"
REQUESTS_PER_RECORDED = 600
"""One recorded request stands for so many: the server of 1995 answered one or two a second, a
module of today answers hundreds; 600 makes the busiest minute need most of the guide's 20 pods."""
PINNED_SHARE = 0.2
"""The part of each region's clients that choose their region by header."""
MODULE = "core"
"""The module that the load is asked of."""
BOUNDS = {"us-east-1": (3, 20), "eu-west-1": (2, 15), "ap-southeast-1": (2, 10)}
"""minReplicas and maxReplicas of Core in each region, as the scaling guide gives them."""
TARGET_PER_POD_PER_S = 100.0
"""The guide's target for Core, requests per second and pod."""
MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class SampleLoad:
    """Requests per minute; `counts[i]` belongs to the minute that starts at `start_s + 60 i`.

    None marks a minute that was not measured.
    """

    start_s: int
    counts: tuple[int | None, ...]

    @property
    def end_s(self) -> int:
        """The first second after the last minute."""
        return self.start_s + MINUTE_S * len(self.counts)

    def rate_per_s(self, at_s: float) -> float:
        """The multiplied load at a moment; an unmeasured minute has none."""
        minute = int(at_s - self.start_s) // MINUTE_S
        count = self.counts[minute] if 0 <= minute < len(self.counts) else None
        return (count or 0) * REQUESTS_PER_RECORDED / MINUTE_S


def load_sample() -> SampleLoad:
    """The fourteen days that ship with the package."""
    packed = (resources.files("predictor") / "samples" / SAMPLE).read_bytes()
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(packed).decode())))
    stamps = [int(datetime.fromisoformat(row["timestamp"]).timestamp()) for row in rows]
    start_s = stamps[0]
    counts: list[int | None] = [None] * ((stamps[-1] - start_s) // MINUTE_S + 1)
    for stamp, row in zip(stamps, rows, strict=True):
        counts[(stamp - start_s) // MINUTE_S] = int(row["value"])
    return SampleLoad(start_s=start_s, counts=tuple(counts))


def sample_events(
    load: SampleLoad,
    shares: Mapping[str, float],
    *,
    module: str = "core",
    every_s: int = 10,
    from_s: int | None = None,
    until_s: int | None = None,
) -> Iterator[bytes]:
    """Request events as JSON lines in the order of time, pre-aggregated to one per `every_s`.

    `shares` maps each region to its part of the load; each event's `count` is rounded so that a
    region's running total is exact.
    """
    owed = {(region, pinned): 0.0 for region in shares for pinned in (False, True)}
    for at_s in range(from_s or load.start_s, until_s or load.end_s, every_s):
        minute = (at_s - load.start_s) // MINUTE_S
        if load.counts[minute] is None:
            continue
        total = load.rate_per_s(at_s) * every_s
        for (region, pinned), rest in owed.items():
            part = shares[region] * (PINNED_SHARE if pinned else 1 - PINNED_SHARE)
            due = rest + total * part
            count = int(due)
            owed[region, pinned] = due - count
            if count:
                yield _event(module, region, pinned=pinned, at_s=at_s, count=count)


def heartbeat(at_s: int) -> bytes:
    """An event that counts nothing and proves that the feed has come to `at_s`."""
    return msgspec.json.encode(
        {"kind": "heartbeat", "version": 1, "id": f"heartbeat-{at_s}", "time": _written(at_s)}
    )


def _event(module: str, region: str, *, pinned: bool, at_s: int, count: int) -> bytes:
    routing = "pinned" if pinned else "weighted"
    return msgspec.json.encode(
        {
            "kind": "request",
            "version": 1,
            "id": f"{module}-{region}-{routing}-{at_s}",
            "time": _written(at_s),
            "module": module,
            "region": region,
            "routing": routing,
            "count": count,
        }
    )


def _written(at_s: int) -> str:
    """As most senders write a time; a number is read too, but singly."""
    return datetime.fromtimestamp(at_s, UTC).isoformat()
