"""Runs the entries one after the other, each in a process of its own, and checks every run.

`__main__.py`, `memory.py` and `formats.py` call it. Repeats are the outer loop, so that a slow
spell of the machine falls on all alike; and never are two runs at the same time.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from rigs.artifacts import BuildError
from rigs.toolchain import ToolMissingError
from scripts.bench_streams.check import Reported, demand_parts, our_fault, peer_fault
from scripts.bench_streams.contenders import Command, Contender, MissingError
from scripts.bench_streams.events import MODULES, PARTITIONS, REGIONS, Truth
from scripts.bench_streams.job import Job
from scripts.bench_streams.peer_folder import REPOSITORY, peer_environment, peer_folder
from scripts.bench_streams.peers.our_ingest import OurJob
from streams.topics import KafkaConnection, TopicPlan, Topics, ensure_topics

_RUN_TIMEOUT_S = 600.0
_job_numbers = itertools.count()


class Entry(NamedTuple):
    """A contender on a topic that holds these events.

    `weight` is how many requests an event stands for, `title` what its row is called.
    """

    contender: Contender
    topic: str
    codec: str
    truth: Truth
    title: str
    modules: tuple[str, ...] = MODULES
    weight: int = 1


class Run(NamedTuple):
    """One run: `fault` is empty if the totals are right; no `reported` if it came to nothing."""

    reported: Reported | None
    fault: str = ""


async def race(
    connection: KafkaConnection, entries: Sequence[Entry], repeats: int
) -> list[list[Run]]:
    """The runs of each entry, in the order of the entries."""
    runs: list[list[Run]] = [[] for _ in entries]
    for repeat in range(repeats):
        for entry, done in zip(entries, runs, strict=True):
            run = await _run(connection, entry)
            done.append(run)
            found = f"{rate(entry, run):,.0f} per CPU-s " if run.reported else ""
            say(f"{repeat + 1} of {repeats}: {entry.title}, {entry.codec}: {found}{run.fault}")
    return runs


def say(line: str) -> None:
    """One line of progress, for the person who waits."""
    print(f"bench: {line}", file=sys.stderr, flush=True)


def rate(entry: Entry, run: Run) -> float:
    """Requests per CPU second of a run that came to something."""
    assert run.reported is not None, "a run without a report has no rate"
    return run.reported.events * entry.weight / run.reported.cpu_s


async def our_job(
    connection: KafkaConnection, topic: str, modules: tuple[str, ...], **more: Any
) -> OurJob:
    """A job for our worker, with a group and topics that nobody has used before."""
    name = f"ours-{os.getpid()}-{next(_job_numbers)}"
    topics = Topics(requests=topic, demand=f"{name}.demand.v1", dead_letter=f"{name}.dlq")
    plans = [TopicPlan(topics.demand, PARTITIONS), TopicPlan(topics.dead_letter, 1)]
    await ensure_topics(connection, plans)
    return OurJob(topics=topics, group=name, modules=modules, regions=REGIONS, **more)


async def _run(connection: KafkaConnection, entry: Entry) -> Run:
    contender, truth = entry.contender, entry.truth
    try:
        command = contender.command()
    except (MissingError, ToolMissingError, BuildError) as error:
        return Run(None, str(error))
    if contender.checked != "buckets":
        run = _outcome(command, connection, entry, contender.more)
        if run.reported is None:
            return run
        return Run(run.reported, peer_fault(run.reported, truth, contender.checked))
    ours = await our_job(connection, entry.topic, entry.modules, parts=truth.parts())
    run = _outcome(command, connection, entry, msgspec.json.encode(ours).decode())
    if run.reported is None:
        return run
    parts = await demand_parts(connection, ours.topics.demand)
    return Run(run.reported, our_fault(run.reported, parts, truth))


def _outcome(command: Command, connection: KafkaConnection, entry: Entry, more: str) -> Run:
    """Run the process to its end and read what it wrote."""
    with peer_folder() as folder:
        result = folder / "result.json"
        job = Job(connection.bootstrap_servers, entry.topic, entry.truth.events, str(result), more)
        try:
            done = subprocess.run(
                [*command, *job.arguments()],
                cwd=REPOSITORY,
                env=peer_environment(folder),
                capture_output=True,
                text=True,
                check=False,
                timeout=_RUN_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            return Run(None, f"not done after {_RUN_TIMEOUT_S:.0f} s")
        if not result.exists():
            lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
            return Run(None, f"ended with exit code {done.returncode}: {lines[-1]}")
        return Run(msgspec.json.decode(result.read_bytes(), type=Reported))
