"""An ingest worker in a process of its own, for tests that kill it.

Arguments: bootstrap servers, topic prefix, settings as JSON. Ends well on SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import msgspec

from streams.ingest import Ingest, IngestSettings
from streams.topics import KafkaConnection
from tests.streams.kafka_world import CATALOG, topics_of


async def main(bootstrap_servers: str, prefix: str, settings: str) -> None:
    ingest = Ingest(
        KafkaConnection(bootstrap_servers=bootstrap_servers),
        topics_of(prefix),
        f"{prefix}.ingest",
        CATALOG,
        msgspec.convert(json.loads(settings), IngestSettings),
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ingest.stop)
    await ingest.run()
    print(json.dumps(ingest.counts), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
