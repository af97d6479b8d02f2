"""Quix Streams with a tumbling window of one minute.

Run by `race.py` in an environment of its own. Its windows take the record's timestamp, which in
this topic is the event's own. What has closed is reported, all else stays in the open windows.
"""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from typing import Any

import msgspec
from quixstreams import Application  # type: ignore[import-not-found]
from quixstreams.models import Deserializer  # type: ignore[import-not-found]

from scripts.bench_streams.job import Job, Meter, report
from scripts.bench_streams.peers.wire import WireEvent

_decode = msgspec.json.Decoder(WireEvent).decode


class _EventDeserializer(Deserializer):  # type: ignore[misc]
    def __call__(self, value: bytes, ctx: object) -> WireEvent:
        return _decode(value)


def count(job: Job) -> None:
    """Read the topic from its beginning and report."""
    totals: dict[str, int] = {}
    seen = 0
    meter = Meter()
    with tempfile.TemporaryDirectory(prefix="bench-quix-") as state_folder:
        app = Application(
            broker_address=job.bootstrap_servers,
            consumer_group=f"bench-quix-{os.getpid()}",
            auto_offset_reset="earliest",
            state_dir=state_folder,
            loglevel="ERROR",
            commit_interval=5.0,
        )
        topic = app.topic(
            job.topic, value_deserializer=_EventDeserializer(), key_deserializer="str"
        )

        def note(event: WireEvent) -> None:
            nonlocal seen
            seen += 1
            if seen == job.events:
                app.stop()

        def keep(window: Any, key: str, timestamp: int, headers: object) -> None:
            start = dt.datetime.fromtimestamp(window["start"] / 1000, dt.UTC)
            totals[f"{key}|{start:%Y-%m-%dT%H:%M}"] = window["value"]

        windows = app.dataframe(topic).update(note).tumbling_window(60_000, grace_ms=10_000)
        windows.count().final(closing_strategy="partition").update(keep, metadata=True)
        app.run()
        spent = meter.read()
    report(job, spent, seen, totals)


if __name__ == "__main__":
    count(Job.from_arguments())
