"""Demand from a file of events as it would have come to be known, step by step of event time.

`predictor/demo.py` and `predictor/training.py` use it. The file is read as one input partition
through the same decoding and windows as live. It must never hold the file in memory, reorder it, or
give a bucket away early.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from streams.demand import DemandPart, Progress
from streams.events import Catalog, Heartbeat, Rejected, RequestEvent, decode
from streams.source_file import read_values
from streams.windows import PartitionWindows


class FileDemand(NamedTuple):
    """What became known by the time the newest event had come to `newest_s`."""

    newest_s: float
    parts: list[DemandPart]
    progress: Progress


def file_demand(
    path: Path,
    catalog: Catalog,
    *,
    bucket_s: int = 10,
    lateness_s: float = 30.0,
    every_s: float = 60.0,
    counts: Counter[str] | None = None,
) -> Iterator[FileDemand]:
    """Closed buckets each time event time has moved on by `every_s`, and the rest at the end.

    `counts` takes what became of the lines, by verdict or reject reason. Raises `OSError`.
    """
    windows = PartitionWindows(0, bucket_s=bucket_s, lateness_s=lateness_s)
    seen: Counter[str] = Counter() if counts is None else counts
    due_s, number = 0.0, -1
    for number, body in read_values(path):
        for event in decode(body, (), catalog, record_time_s=None):
            if isinstance(event, Rejected):
                seen[event.reason.value] += 1
            elif isinstance(event, RequestEvent | Heartbeat):
                seen[windows.add(event, number).value] += 1
        newest_s = windows.newest_s
        if newest_s is not None and newest_s >= due_s:
            due_s = newest_s + every_s
            yield FileDemand(newest_s, windows.close(), windows.progress(1, idle=False))
    newest_s = windows.newest_s
    if newest_s is not None:
        # Nothing comes after the file's end, so what is open is whole.
        windows.add(Heartbeat("end of file", newest_s + bucket_s + lateness_s), number + 1)
        yield FileDemand(newest_s, windows.close(), windows.progress(1, idle=False))
