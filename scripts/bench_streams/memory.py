"""`--memory`: the most memory our worker takes at full rate, with few names, many, and a flood.

Many: 10,000 pairs of module and region that are configured and all in use. The flood: a million
names that nobody configured, which must be counted and must not be kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.bench_streams import result
from scripts.bench_streams.contenders import OURS, versions
from scripts.bench_streams.events import MODULES, REGIONS, Stream
from scripts.bench_streams.produce import Feed, produce
from scripts.bench_streams.race import Entry, race, say
from streams.topics import KafkaConnection

_PAIRS = 10_000
_UNKNOWN_NAMES = 1_000_000
_EVENTS_PER_S = 100_000
"""Ten requests per second for each of the pairs, and a catch-up of minutes, not of hours."""


async def measure_memory(
    connection: KafkaConnection, events: int, repeats: int, *, out: Path = result.OUT
) -> list[dict[str, Any]]:
    """Produce, race, print and write; gives the rows. Fewer events bring fewer unknown names."""
    many = tuple(f"module{number:05d}" for number in range(-(-_PAIRS // len(REGIONS))))
    unknown = tuple(f"stranger{number:06d}" for number in range(min(events, _UNKNOWN_NAMES)))
    cases = [
        (f"{len(MODULES) * len(REGIONS)} names", MODULES, MODULES),
        (f"{len(many) * len(REGIONS):,} names", many, many),
        (f"30 names and {len(unknown):,} unknown", unknown, MODULES),
    ]
    entries = []
    for number, (title, sent, configured) in enumerate(cases):
        say(f"producing {events:,} events: {title}")
        is_known = sent is configured
        stream = Stream(events, sent, events_per_s=_EVENTS_PER_S, is_known=is_known)
        feed = Feed(f"bench-memory-{number}")
        truth = await produce(connection, [feed], stream)
        entries.append(Entry(OURS, feed.topic, feed.codec, truth, title, configured))
    runs = await race(connection, entries, repeats)
    found = result.rows(entries, runs, lambda entry: entry is entries[0])
    result.show(f"our worker's memory: {events:,} events, {repeats} runs", found)
    about = {"events": events, "repeats": repeats, "versions": versions([OURS])}
    result.write("streams-memory", {**about, "rows": found}, out)
    return found
