"""`--live`: what our worker costs at a steady rate, and how late a closed bucket's parts come.

The worker and the sender run in processes of their own; `demand_delays.py` says what a delay is.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from scripts.bench_streams import result
from scripts.bench_streams.check import Reported
from scripts.bench_streams.contenders import OURS, Command, our_command, versions
from scripts.bench_streams.demand_delays import DemandDelays
from scripts.bench_streams.events import MODULES, PARTITIONS
from scripts.bench_streams.job import Job
from scripts.bench_streams.peer_folder import REPOSITORY, peer_environment, peer_folder
from scripts.bench_streams.peers.our_ingest import READY
from scripts.bench_streams.race import our_job, say
from streams.topics import KafkaConnection, TopicPlan, ensure_topics

LATENESS_S = 2.0
"""The only setting that is not the default: the delay does not depend on it, and buckets close."""
_TOPIC = "bench-live"
_P99_MAX_S = 1.0
_PATIENCE_S = 60.0
_ARRIVAL_S = 1.0


async def measure_live(
    connection: KafkaConnection,
    duration_s: int,
    *,
    rate_per_s: int = 10_000,
    out: Path = result.OUT,
) -> list[dict[str, Any]]:
    """Send and count for so long, print and write; gives the row.

    Raises `RuntimeError` if the worker does not come up or if no two buckets close.
    """
    await ensure_topics(connection, [TopicPlan(_TOPIC, PARTITIONS)])
    settings = {"lateness_s": LATENESS_S}
    ours = await our_job(connection, _TOPIC, MODULES, from_first_event=True, settings=settings)
    delays = DemandDelays(connection, ours.topics.demand, LATENESS_S)
    more = msgspec.json.encode(ours).decode()
    servers, events = connection.bootstrap_servers, rate_per_s * duration_s
    with peer_folder() as folder:
        report = folder / "result.json"
        job = Job(servers, _TOPIC, events, str(report), more)
        command: Command = [*our_command(), *job.arguments()]
        async with delays, _process(command, peer_environment(folder)) as worker:
            await asyncio.wait_for(_until_ready(worker), _PATIENCE_S)
            say(f"sending {rate_per_s:,} events per second for {duration_s} s")
            sent_per_s = await _send(servers, rate_per_s, duration_s)
            await asyncio.wait_for(worker.communicate(), _PATIENCE_S)
            await asyncio.sleep(_ARRIVAL_S)
        reported = msgspec.json.decode(report.read_bytes(), type=Reported)
    row = _row(reported, delays, sent_per_s, events)
    _show(row)
    about = {"seconds": duration_s, "lateness_s": LATENESS_S, "versions": versions([OURS])}
    result.write("streams-live", {**about, "rows": [row]}, out)
    return [row]


async def _send(servers: str, rate_per_s: int, duration_s: int) -> float:
    """Run the sender to its end; gives the rate that it reached."""
    module = "scripts.bench_streams.live_sender"
    command: Command = [
        sys.executable,
        "-m",
        module,
        servers,
        _TOPIC,
        str(rate_per_s),
        str(duration_s),
    ]
    async with _process(command) as sender:
        said, _ = await asyncio.wait_for(sender.communicate(), duration_s + _PATIENCE_S)
    return float(said)


async def _until_ready(worker: Process) -> None:
    """Pass over the worker's log until it says that it has its partitions."""
    assert worker.stdout is not None, "started with a pipe"
    last = b""
    while line := await worker.stdout.readline():
        last = line
        if line.decode().strip() == READY:
            return
    raise RuntimeError(f"the worker did not come up; it said last: {last.decode()!r}")


@asynccontextmanager
async def _process(
    command: Command, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """A process that is over when the context is."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=REPOSITORY, env=environment, stdout=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _row(
    reported: Reported, delays: DemandDelays, sent_per_s: float, events: int
) -> dict[str, Any]:
    found = sorted(delays.delays_s.values())
    if len(found) < 2:
        raise RuntimeError("no two buckets have closed: send for longer")
    p99_s = statistics.quantiles(found, n=100, method="inclusive")[98]
    of_buckets = delays.of_buckets_s
    counted = (reported.totals or {}).get("counted", 0)
    return {
        "who": OURS.title,
        "events": reported.events,
        "sent_per_s": round(sent_per_s),
        "cpu_us_per_event": round(reported.cpu_s / reported.events * 1e6, 2),
        "peak_mib": round(reported.peak_kib / 1024),
        "parts": len(found),
        "buckets": len(of_buckets),
        "delay_p50_s": round(statistics.median(found), 3),
        "delay_p99_s": round(p99_s, 3),
        "delay_max_s": round(found[-1], 3),
        "is_p99_below_1_s": p99_s < _P99_MAX_S,
        "delays_of_buckets_s": [round(delay_s, 3) for delay_s in of_buckets],
        "verified": "yes" if counted == events else "no",
    }


def _show(row: Mapping[str, Any]) -> None:
    Console(width=100).print(
        f"our worker live: {row['events']:,} events at {row['sent_per_s']:,} per second, all"
        f" counted: {row['verified']}; {row['cpu_us_per_event']} us of CPU each,"
        f" {row['peak_mib']} MiB; the {row['parts']} parts of {row['buckets']} closed buckets came"
        f" {row['delay_p50_s']} s (p50), {row['delay_p99_s']} s (p99),"
        f" {row['delay_max_s']} s (at most) after they could",
        highlight=False,
    )
