"""`mplp-predictor events convert`: history as people have it into events of our contract.

`predictor/events_cli.py` calls it. The kind of a file is told by its first lines. A bad line is
counted under its reason and never ends the work. It must never hold a file in memory.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal
from zoneinfo import ZoneInfo

from predictor.events.access_log import AccessLog, Direction, is_access_log
from predictor.events.arrivals import Arrivals, History, SetAside
from predictor.events.count_table import CountTable, is_table
from predictor.events.event_history import EventHistory, is_event
from predictor.events.event_writer import EventWriter
from predictor.events.progress_line import ProgressLine
from streams.events import Catalog
from streams.source_file import read_values

Kind = Literal["auto", "access-log", "csv", "events"]

FIRST_LINES = 20
"""So many may be torn or foreign before a file is called unknown."""


class UnknownKindError(ValueError):
    """The first lines are of no kind that is read here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """How the files are written, and what they do not say themselves."""

    kind: Kind = "auto"
    module: str | None = None
    region: str | None = None
    zone: ZoneInfo | None = None
    direction: Direction = "any"


@dataclass(slots=True)
class Converted:
    """What came of it; `set_aside` counts by reason, `examples` holds each reason's first one."""

    lines: int = 0
    events: int = 0
    requests: float = 0.0
    out_of_order: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    directions: Counter[str] = field(default_factory=Counter)

    def note(self, where: str, aside: SetAside) -> None:
        """Count a line, or a part of one, that gave nothing."""
        self.set_aside[aside.reason] += 1
        self.examples.setdefault(aside.reason, f"{where}: {aside}")


def convert(
    paths: Sequence[Path],
    out: BinaryIO,
    catalog: Catalog,
    source: Source,
    *,
    aggregate_s: int = 10,
    spread_s: int = 0,
    progress: ProgressLine | None = None,
) -> Converted:
    """Write the events of the files, read one after the other.

    Raises `OSError`, `EOFError`, `UnknownKindError`, `ValueError` for a spread that does not fit.
    """
    done = Converted()
    for path in paths:
        lines = read_values(path)
        first = list(itertools.islice(lines, FIRST_LINES))
        writer = EventWriter(_identity(first), aggregate_s=aggregate_s, spread_s=spread_s)
        history, skipped = _history(path, first, catalog, source)
        rest = itertools.chain(first[skipped:], lines)
        for arrivals in _arrivals(path, rest, history, done, progress):
            out.writelines(writer.add(arrivals))
        out.writelines(writer.finish())
        done.events += writer.events
        done.requests += writer.requests
        done.out_of_order += writer.out_of_order
        if isinstance(history, AccessLog):
            done.directions += history.directions
    return done


def converted_lines(done: Converted) -> Iterator[str]:
    """For a person: what was set aside with its first example, warnings, the sum."""
    for reason, count in done.set_aside.most_common():
        yield f"{count:>12,} {reason}: {done.examples[reason]}"
    if done.directions["inbound"] and done.directions["outbound"]:
        yield (
            "inbound and outbound lines are both there and tell of the same requests: choose one "
            "with --direction"
        )
    if done.out_of_order:
        yield f"{done.out_of_order:,} lines are over 120 s out of order: sort them first"
    yield f"{done.lines:,} lines became {done.events:,} events of {done.requests:,.0f} requests"


def _arrivals(
    path: Path,
    lines: Iterator[tuple[int, bytes]],
    history: History,
    done: Converted,
    progress: ProgressLine | None,
) -> Iterator[Arrivals]:
    for number, line in lines:
        done.lines += 1
        where = f"{path.name}:{number + 1}"
        try:
            found = history.read(line)
        except SetAside as aside:
            done.note(where, aside)
            continue
        for one in found:
            if isinstance(one, SetAside):
                done.note(where, one)
            else:
                yield one
        if progress is not None and done.lines % 1000 == 0:
            progress.say(f"{done.lines:,} lines, {done.set_aside.total():,} set aside")


def _history(
    path: Path, first: list[tuple[int, bytes]], catalog: Catalog, source: Source
) -> tuple[History, int]:
    """The reader of a file, and how many of its first lines are no data."""
    kind = _kind(first, catalog) if source.kind == "auto" else source.kind
    fixed = {"module": source.module, "region": source.region}
    if kind == "csv":
        heading = first[0][1] if first else b""
        return CountTable(heading, catalog, zone=source.zone, **fixed), 1
    if kind == "access-log":
        return AccessLog(catalog, zone=source.zone, direction=source.direction, **fixed), 0
    if kind == "events" or not first:
        return EventHistory(catalog, **fixed), 0
    raise UnknownKindError(
        f"{path}: no access log, table of counts or events in its first lines; "
        "say what it is with --from"
    )


def _kind(first: list[tuple[int, bytes]], catalog: Catalog) -> Kind | None:
    if first and is_table(first[0][1]):
        return "csv"
    for _, line in first:
        if is_access_log(line):
            return "access-log"
        if is_event(line, catalog):
            return "events"
    return None


def _identity(first: list[tuple[int, bytes]]) -> str:
    """The same for the same file, another for another: two pods' logs may share a name."""
    digest = hashlib.blake2s(b"\n".join(line for _, line in first), digest_size=6)
    return digest.hexdigest()
