"""`--formats`: what our worker takes for the ways in which events come, each next to bare JSON.

The same events every time, so the ratio is what a sender gains by another format. A new format is
one more line in `_FORMS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from scripts.bench_streams import result
from scripts.bench_streams.contenders import OURS, versions
from scripts.bench_streams.events import Event, Stream
from scripts.bench_streams.produce import BARE_JSON, Form, codec_feed, produce
from scripts.bench_streams.race import Entry, race, say
from streams.event_batches import JSON_LINES_TYPES, MSGPACK_TYPE
from streams.topics import KafkaConnection

_EVENTS_PER_BATCH = 100
_REQUESTS_PER_SUMMARY = 66
_pack = msgspec.msgpack.Encoder().encode


def _json_lines(group: Sequence[Event]) -> bytes:
    return b"\n".join(event.body for event in group)


def _msgpack_arrays(group: Sequence[Event]) -> bytes:
    return _pack([_array(event) for event in group])


def _array(event: Event) -> tuple[int, str, str, bytes, int, bool]:
    """The fields of `streams.event_batches.PackedRequest`."""
    event_id = bytes.fromhex(event.event_id)
    return event.time_ms, event.module, event.region, event_id, 1, event.is_pinned


def _batch(name: str, media_type: str, encode: Any) -> Form:
    return Form(name, _EVENTS_PER_BATCH, encode, (("content-type", media_type.encode()),))


_FORMS = (
    BARE_JSON,
    _batch(f"JSON lines, {_EVENTS_PER_BATCH} a record", JSON_LINES_TYPES[0], _json_lines),
    _batch(f"MessagePack, {_EVENTS_PER_BATCH} a record", MSGPACK_TYPE, _msgpack_arrays),
)


async def compare_formats(
    connection: KafkaConnection,
    events: int,
    repeats: int,
    codecs: Sequence[str],
    *,
    out: Path = result.OUT,
) -> list[dict[str, Any]]:
    """Produce, race, print and write; gives the rows. A rate counts requests."""
    entries: list[Entry] = []
    for codec in codecs:
        say(f"producing {events:,} events in each format for {codec}")
        entries += await _entries(connection, events, codec)
    runs = await race(connection, entries, repeats)
    found = result.rows(entries, runs, lambda entry: entry.title == BARE_JSON.name)
    result.show(f"our worker: {events:,} events in each format, {repeats} runs", found)
    about = {"events": events, "repeats": repeats, "versions": versions([OURS])}
    result.write("streams-formats", {**about, "rows": found}, out)
    return found


async def _entries(connection: KafkaConnection, events: int, codec: str) -> list[Entry]:
    feeds = [
        codec_feed(f"bench-format-{number}-{codec}", codec)._replace(form=form)
        for number, form in enumerate(_FORMS)
    ]
    truth = await produce(connection, feeds, Stream(events))
    entries = [Entry(OURS, feed.topic, codec, truth, feed.form.name) for feed in feeds]
    summaries = codec_feed(f"bench-format-summaries-{codec}", codec)
    stream = Stream(events, requests_each=_REQUESTS_PER_SUMMARY)
    truth = await produce(connection, [summaries], stream)
    title = f"JSON summaries of {_REQUESTS_PER_SUMMARY} requests"
    weight = _REQUESTS_PER_SUMMARY
    return [*entries, Entry(OURS, summaries.topic, codec, truth, title, weight=weight)]
