"""The comparison: our worker and its peers on the same topics.

`__main__.py` calls it, and so does the test that holds all totals right. The slow ones get a topic
of their own with fewer events, since the same rate shows there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.bench_streams import result
from scripts.bench_streams.contenders import BASE, CONTENDERS, Contender, versions
from scripts.bench_streams.events import Stream
from scripts.bench_streams.produce import codec_feed, produce
from scripts.bench_streams.race import Entry, race, say
from streams.topics import KafkaConnection

_SLOW_EVENTS = 200_000


async def compare(
    connection: KafkaConnection,
    events: int,
    repeats: int,
    codecs: Sequence[str],
    names: Sequence[str],
    *,
    out: Path = result.OUT,
) -> list[dict[str, Any]]:
    """Produce, race, print and write; gives the rows. Raises `ValueError` for an unknown name."""
    taking_part = choose(names)
    say(f"producing {events:,} events for {', '.join(codecs)}")
    feeds = [codec_feed(f"bench-{codec}", codec) for codec in codecs]
    truth = await produce(connection, feeds, Stream(events))
    entries = [
        Entry(contender, feed.topic, codec, truth, contender.title)
        for codec, feed in zip(codecs, feeds, strict=True)
        for contender in taking_part
        if not contender.is_slow
    ]
    slow = [contender for contender in taking_part if contender.is_slow]
    if slow:
        feed = codec_feed("bench-few", codecs[0])
        few = await produce(connection, [feed], Stream(min(events, _SLOW_EVENTS)))
        entries += [Entry(one, feed.topic, codecs[0], few, one.title) for one in slow]
    runs = await race(connection, entries, repeats)
    found = result.rows(entries, runs, lambda entry: entry.contender is BASE)
    result.show(f"{events:,} events of 307 bytes, {repeats} runs", found)
    about = {"events": events, "repeats": repeats, "versions": versions(taking_part)}
    result.write("streams", {**about, "rows": found}, out)
    return found


def choose(names: Sequence[str]) -> list[Contender]:
    """The contenders of these names, in the order of the table; raises `ValueError`."""
    known = [contender.name for contender in CONTENDERS]
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: none of {', '.join(known)}")
    return [contender for contender in CONTENDERS if contender.name in names]
