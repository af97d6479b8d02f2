"""What a peer is told, and what it reports: CPU, wall time, peak memory and its totals.

Every peer's process uses it, in whichever environment it runs, so it imports nothing but the
standard library. The JVM peer does the same in Java. Must never count the time before the `Meter`
is built: imports are not part of a rate.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Job(NamedTuple):
    """The five arguments of every peer; `more` is JSON that only some understand."""

    bootstrap_servers: str
    topic: str
    events: int
    result_path: str
    more: str = "{}"

    @classmethod
    def from_arguments(cls) -> Job:
        """The job on this process's command line, which is then emptied: Faust reads it too."""
        bootstrap_servers, topic, events, *rest = sys.argv[1:]
        del sys.argv[1:]
        return cls(bootstrap_servers, topic, int(events), *rest)

    def arguments(self) -> list[str]:
        """The job as a command line."""
        return [str(field) for field in self]


class Spent(NamedTuple):
    """User and system CPU of the process and its children, and wall time, in seconds."""

    cpu_s: float
    wall_s: float


class Meter:
    """What this process has spent since the meter was built: build it just before the consumer."""

    def __init__(self) -> None:
        self._cpu_s = _cpu_s()
        self._began_s = time.monotonic()

    def read(self) -> Spent:
        """What was spent so far."""
        return Spent(_cpu_s() - self._cpu_s, time.monotonic() - self._began_s)


def report(job: Job, spent: Spent, events: int, totals: Mapping[str, int] | None = None) -> None:
    """Write the result; `totals` are events per `module|region|YYYY-MM-DDTHH:MM`."""
    result = {
        **spent._asdict(),
        "peak_kib": peak_kib(),
        "events": events,
        "totals": None if totals is None else dict(totals),
    }
    Path(job.result_path).write_text(json.dumps(result))


def peak_kib() -> int:
    """The most memory this process has had resident so far."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def _cpu_s() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
