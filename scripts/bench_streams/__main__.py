"""`make bench-streams`: events per CPU second of our ingest next to others, on the same broker.

Every contender reads the same topic and counts it in a process of its own; its CPU time, peak
memory and totals are taken, see `race.py`. `--live`, `--memory` and `--formats` measure our worker
alone. Results are printed and written to `build/bench/streams*.json`; the exit code is 1 where a
total was wrong, whatever the speed.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence

from rigs.kafka import KafkaBroker
from scripts.bench_streams.comparison import choose, compare
from scripts.bench_streams.contenders import CONTENDERS
from scripts.bench_streams.formats import compare_formats
from scripts.bench_streams.live import measure_live
from scripts.bench_streams.memory import measure_memory
from scripts.bench_streams.produce import codec_feed
from streams.topics import KafkaConnection


def main(arguments: Sequence[str] | None = None) -> int:
    """Start a broker, measure what was asked for, and stop it."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        _check(options)
    except ValueError as error:
        parser.error(str(error))
    # A topic that was just made is led by nobody for a moment; its clients try again and tell.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with KafkaBroker() as broker:
        connection = KafkaConnection(bootstrap_servers=broker.bootstrap_servers)
        return asyncio.run(_measure(connection, options))


def _check(options: argparse.Namespace) -> None:
    """Refuse what is misspelt before anything is started."""
    choose(options.only.split(","))
    for codec in options.codecs.split(","):
        codec_feed("", codec)


async def _measure(connection: KafkaConnection, options: argparse.Namespace) -> int:
    codecs, names = options.codecs.split(","), options.only.split(",")
    events, repeats = options.events, options.repeats
    found = []
    if options.live:
        found += await measure_live(connection, options.live_seconds)
    if options.memory:
        found += await measure_memory(connection, events, repeats)
    if options.formats:
        found += await compare_formats(connection, events, repeats, codecs)
    if not (options.live or options.memory or options.formats):
        found += await compare(connection, events, repeats, codecs, names)
    return 0 if all(row["verified"] == "yes" for row in found) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench_streams", description=__doc__)
    everybody = ",".join(contender.name for contender in CONTENDERS)
    parser.add_argument("--events", type=int, default=2_000_000, help="in each topic")
    parser.add_argument("--repeats", type=int, default=5, help="of each row")
    parser.add_argument("--codecs", default="none,zstd", help="none, gzip, lz4, zstd; zstd-16k")
    parser.add_argument("--only", default=everybody, help=f"of {everybody}")
    parser.add_argument("--formats", action="store_true", help="our worker: JSON, batches, ...")
    parser.add_argument("--memory", action="store_true", help="our worker: many names, a flood")
    parser.add_argument("--live", action="store_true", help="our worker: 10,000 events a second")
    parser.add_argument("--live-seconds", type=int, default=60, help="how long --live sends")
    return parser


if __name__ == "__main__":
    sys.exit(main())
