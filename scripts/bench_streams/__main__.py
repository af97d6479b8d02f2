"""`make bench-streams`: events per CPU second of our ingest next to others, on the same broker.

Every contender reads the same topic and counts it in a process of its own; its CPU time, peak
memory and totals are taken, see `race.py`. `--live`, `--memory` and `--formats` measure our worker
alone. Results are printed and written to `build/bench/streams*.json`; the exit code is 1 where a
total was wrong, whatever the speed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from rigs.kafka import KafkaBroker
from scripts.bench_streams.comparison import compare
from scripts.bench_streams.contenders import CONTENDERS
from streams.topics import KafkaConnection


def main(arguments: Sequence[str] | None = None) -> int:
    """Start a broker, measure what was asked for, and stop it."""
    options = _parser().parse_args(arguments)
    with KafkaBroker() as broker:
        connection = KafkaConnection(bootstrap_servers=broker.bootstrap_servers)
        return asyncio.run(_measure(connection, options))


async def _measure(connection: KafkaConnection, options: argparse.Namespace) -> int:
    codecs, names = options.codecs.split(","), options.only.split(",")
    found = await compare(connection, options.events, options.repeats, codecs, names)
    return 0 if all(row["verified"] == "yes" for row in found) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench_streams", description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000, help="events in each topic")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each row")
    parser.add_argument(
        "--codecs", default="none,zstd", help="of none, gzip, lz4, zstd, each also with -16k"
    )
    everybody = ",".join(contender.name for contender in CONTENDERS)
    parser.add_argument("--only", default=everybody, help=f"of {everybody}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
