"""What the owner of a partition does with samples: counts what it can, and keeps what it needs."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pytest

from streams.event_columns import Cells
from streams.handover import Package
from streams.ingest import IngestSettings
from streams.input_topics import InputTopic
from streams.owned_partition import OwnedPartition
from streams.takeover import new_counters
from streams.windows import PartitionWindows
from tests.streams.format_bodies import NOON_S, Record, a_catalog
from tests.streams.metric_bodies import a_scrape, from_adapter

CATALOG = a_catalog()
CELLS = Cells(CATALOG)
TOPIC = InputTopic("mplp.metrics", CELLS, 60, 120)
SETTINGS = IngestSettings(amend_s=0)


class Stored(NamedTuple):
    """A record as the broker keeps it."""

    offset: int
    value: bytes
    key: bytes | None
    timestamp: int = int(NOON_S * 1000) + 3_600_000
    timestamp_type: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


class Kept:
    """A handover that keeps the packages instead of sending them."""

    source = ("mplp.metrics", 0)

    def __init__(self) -> None:
        self.packages: list[Package] = []

    async def commit(self, package: Package) -> None:
        self.packages.append(package)


def a_partition(handover: Kept, partitions: int) -> OwnedPartition:
    windows = PartitionWindows(0, CELLS, lateness_s=TOPIC.lateness_s, amend_s=SETTINGS.amend_s)
    counters = new_counters(TOPIC, SETTINGS)
    return OwnedPartition(
        windows, counters, handover, SETTINGS, 0.0, partitions=partitions  # type: ignore[arg-type]
    )  # fmt: skip


def a_sample(minute: float, value: int, pod: str) -> Record:
    second = int(60 * minute)
    labels = {**from_adapter()["labels"], "pod": pod}
    time = f"2026-01-01T12:{second // 60:02}:{second % 60:02}Z"
    return a_scrape(str(value), timestamp=time, labels=labels)


def stored(samples: list[Record], key: bytes | None = b"pod") -> list[Stored]:
    return [Stored(offset, sample.body, key) for offset, sample in enumerate(samples)]


@pytest.mark.parametrize(
    ("silent_minutes", "offset"), [(3, 1), (20, 18)], ids=["of late", "for long"]
)
async def test_commit_waits_for_the_next_sample_of_a_series_unless_it_is_long_silent(
    silent_minutes: int, offset: int
) -> None:
    """Without its last sample the next one would be a first one, and count nothing.

    The sample at 18 is the last before the lateness, which the open buckets need themselves.
    """
    handover = Kept()
    owned = a_partition(handover, partitions=2)
    busy = [a_sample(0.5 + turn * silent_minutes / 20, 10 * turn, "core-0") for turn in range(20)]

    owned.take(stored([busy[0], a_sample(0.5, 7, "core-1"), *busy[1:]]), CELLS, Counter())
    await owned.hand_over(2, 5.0, idle=False)

    assert handover.packages[-1].checkpoint.offset == offset


@pytest.mark.parametrize(
    ("partitions", "key", "verdicts"),
    [
        pytest.param(1, None, {"metric_first": 1, "metric_counted": 2}, id="one partition"),
        pytest.param(2, b"pod", {"metric_first": 1, "metric_counted": 2}, id="keyed"),
        pytest.param(2, None, {"metric_unkeyed": 3}, id="scattered"),
    ],
)
def test_samples_are_counted_from_the_first_block_on_where_their_series_is_whole(
    partitions: int, key: bytes | None, verdicts: dict[str, int]
) -> None:
    """Before the first commit too, since a restart reads again what was counted before."""
    counts: Counter[str] = Counter()
    samples = [a_sample(0.5 * turn, 10 * turn, "core-0") for turn in range(3)]

    a_partition(Kept(), partitions).take(stored(samples, key), CELLS, counts)

    assert {name: number for name, number in counts.items() if name.startswith("metric")} == (
        verdicts
    )
