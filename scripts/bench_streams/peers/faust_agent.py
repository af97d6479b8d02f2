"""A Faust agent that counts event by event.

Run by `race.py` in a process of its own, in our environment: Faust is one of our dependencies.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from typing import Any

import faust
import msgspec

from scripts.bench_streams.job import Job, Meter, report
from scripts.bench_streams.peers.wire import WireEvent


def main(job: Job) -> None:
    """Read the topic from its beginning and report; ends the process."""
    decode = msgspec.json.Decoder(WireEvent).decode
    totals: Counter[tuple[str, str, str]] = Counter()
    meter = Meter()
    app = faust.App(
        f"bench-faust-{os.getpid()}",
        broker=f"kafka://{job.bootstrap_servers}",
        store="memory://",
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        broker_commit_every=100_000,
        stream_wait_empty=False,
        stream_buffer_maxsize=16_384,
        datadir=tempfile.gettempdir(),
    )
    topic = app.topic(job.topic, value_type=bytes, value_serializer="raw", key_serializer="raw")

    @app.agent(topic)  # type: ignore[untyped-decorator,unused-ignore]
    async def count(stream: Any) -> None:
        seen = 0
        async for value in stream:
            event = decode(value)
            totals[event.module, event.region, event.time[:16]] += 1
            seen += 1
            if seen == job.events:
                spent = meter.read()
                report(job, spent, seen, {"|".join(key): n for key, n in totals.items()})
                os._exit(0)  # Faust's own way out waits for its services

    sys.argv += ["worker", "-l", "error", "--without-web"]
    app.main()


if __name__ == "__main__":
    os.environ["NO_COLOR"] = "1"
    main(Job.from_arguments())
