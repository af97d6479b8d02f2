"""Demand from a file of events as it would have come to be known, step by step of event time.

`predictor/demo.py` and `predictor/training.py` use it. The file is read as one input partition
through the same decoding and windows as live. It must never hold the file in memory, reorder it, or
give a bucket away early.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from streams.demand import DemandPart, Progress
from streams.event_columns import Cells, EventColumns
from streams.event_types import Headers
from streams.events import Catalog, Heartbeat
from streams.record_block import decode_block
from streams.source_file import read_values
from streams.windows import PartitionWindows

LINES_MAX = 2048
"""So many are decoded together; few enough that a demo shows its first bucket at once."""


class Line(NamedTuple):
    """A line of the file as a record: it has no headers and no timestamp of its own."""

    offset: int
    value: bytes
    timestamp: int = -1
    headers: Headers = ()


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
    cells = Cells(catalog)
    windows = PartitionWindows(0, cells, bucket_s=bucket_s, lateness_s=lateness_s)
    seen: Counter[str] = Counter() if counts is None else counts
    due_s, offset = 0.0, -1
    for lines in _blocks(path):
        block = decode_block(lines, cells)
        for _, rejected in block.rejected:
            seen[rejected.reason.value] += 1
        for columns in _stretches(block.columns, every_s):
            for verdict, events in windows.add_columns(columns).items():
                seen[verdict.value] += events
            newest_s = windows.newest_s
            if newest_s is not None and newest_s >= due_s:
                due_s = newest_s + every_s
                yield FileDemand(newest_s, windows.close(), windows.progress(1, idle=False))
        offset = lines[-1].offset
    newest_s = windows.newest_s
    if newest_s is not None:
        # Nothing comes after the file's end, so what is open is whole. Two, because one that lies
        # far ahead of everything is not believed alone.
        for ahead_s in (bucket_s + lateness_s, 2 * (bucket_s + lateness_s)):
            windows.add(Heartbeat("end of file", newest_s + ahead_s), offset + 1)
        yield FileDemand(newest_s, windows.close(), windows.progress(1, idle=False))


def _blocks(path: Path) -> Iterator[list[Line]]:
    lines = (Line(number, body) for number, body in read_values(path))
    while block := list(islice(lines, LINES_MAX)):
        yield block


def _stretches(columns: EventColumns, every_s: float) -> Iterator[EventColumns]:
    """Cut a block where event time moves on, so that nothing becomes known early."""
    if not len(columns.time_s):
        return
    reached = np.maximum.accumulate(columns.time_s) // every_s
    cuts = np.flatnonzero(np.diff(reached)) + 1
    edges = [0, *cuts.tolist(), len(columns.time_s)]
    for begin, end in pairwise(edges):
        yield columns.rows(slice(begin, end))
