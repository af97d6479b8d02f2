"""When an input partition hands over: at its interval, and parts never wait for mere progress."""

from __future__ import annotations

from streams.catalog import Catalog
from streams.counters import CounterDemand
from streams.event_columns import Cells
from streams.event_types import Heartbeat, RequestEvent
from streams.handover import Package
from streams.ingest import IngestSettings
from streams.owned_partition import OwnedPartition
from streams.windows import PartitionWindows

CATALOG = Catalog(["core"], ["us-east-1"])
CELLS = Cells(CATALOG)
T0 = 1_764_000_000.0


class Kept:
    """A handover that keeps the packages instead of sending them."""

    def __init__(self) -> None:
        self.packages: list[Package] = []
        self.source = ("mplp.requests", 0)

    async def commit(self, package: Package) -> None:
        self.packages.append(package)


def a_partition(handover: Kept) -> OwnedPartition:
    settings = IngestSettings(commit_interval_s=1.0, progress_every_s=5.0, lateness_s=2.0)
    windows = PartitionWindows(0, CELLS, lateness_s=settings.lateness_s)
    counters = CounterDemand(CATALOG.metric_names)
    return OwnedPartition(windows, counters, handover, settings, 0.0)  # type: ignore[arg-type]


async def test_parts_do_not_wait_for_a_commit_that_only_told_progress() -> None:
    handover = Kept()
    owned = a_partition(handover)
    owned.windows.add(RequestEvent("", T0 + 5, "core", "us-east-1", 1.0, False), 0)
    await owned.hand_over(1, 5.0, idle=False)
    owned.windows.add(Heartbeat("", T0 + 12), 1)

    assert owned.is_due(5.1, idle=False)


async def test_between_two_commits_with_parts_lies_the_interval() -> None:
    handover = Kept()
    owned = a_partition(handover)
    owned.windows.add(RequestEvent("", T0 + 5, "core", "us-east-1", 1.0, False), 0)
    owned.windows.add(Heartbeat("", T0 + 12), 1)
    await owned.hand_over(1, 5.0, idle=False)
    owned.windows.add(Heartbeat("", T0 + 22), 2)

    assert len(handover.packages[0].parts) == 1
    assert not owned.is_due(5.1, idle=False)
    assert owned.is_due(6.1, idle=False)
