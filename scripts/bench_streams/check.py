"""Holds what a contender reports against what was produced.

`race.py` calls it after every run: a rate with wrong totals is worth nothing. Our own worker is not
asked but looked up: its demand parts are read back from the topic, committed ones only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import msgspec

from scripts.bench_streams.contenders import Checked
from scripts.bench_streams.events import Truth
from streams.demand import DemandPart, decode_demand
from streams.topics import KafkaConnection
from streams.whole_topic import whole_topic

_Key = TypeVar("_Key", bound=Hashable)


class Reported(msgspec.Struct, frozen=True):
    """What a peer's process wrote, see `job.report`."""

    cpu_s: float
    wall_s: float
    peak_kib: int
    events: int
    totals: dict[str, int] | None = None


def peer_fault(reported: Reported, truth: Truth, checked: Checked) -> str:
    """What is wrong with a peer's result, empty if nothing is."""
    if reported.events != truth.events:
        return f"{reported.events} events of {truth.events}"
    if checked == "number":
        return ""
    wanted, found = truth.minutes(), reported.totals or {}
    if checked == "closed minutes":
        # What is still open need not be told, but what is told has to be right.
        closed = truth.minutes(closed=True)
        wanted = {key: wanted[key] for key in wanted if key in closed or key in found}
    return _difference(wanted, found)


def our_fault(reported: Reported, parts: Sequence[DemandPart], truth: Truth) -> str:
    """What is wrong with our worker's parts and verdicts, empty if nothing is."""
    if reported.events != truth.events:
        return f"{reported.events} events of {truth.events}"
    verdicts = reported.totals or {}
    for verdict, wanted in (("duplicate", truth.repeated), ("other", truth.unknown)):
        if verdicts.get(verdict, 0) != wanted:
            return f"{verdicts.get(verdict, 0)} of verdict {verdict} instead of {wanted}"
    totals: Counter[tuple[str, str, bool, int]] = Counter()
    identities: Counter[tuple[str, int, int]] = Counter()
    for part in parts:
        identities[part.module, part.bucket_start_s, part.partition] += 1
        for cell in part.cells:
            totals[part.module, cell.region, cell.pinned, part.bucket_start_s] += int(cell.requests)
    twice = [identity for identity, times in identities.items() if times > 1]
    if twice:
        return f"{len(twice)} parts came out twice, such as {twice[0]}"
    return _difference(truth.buckets(), totals)


async def demand_parts(connection: KafkaConnection, topic: str) -> list[DemandPart]:
    """Every committed part of a demand topic."""
    return [
        record
        async for values in whole_topic(connection, topic)
        for value in values
        if value is not None and isinstance(record := decode_demand(value), DemandPart)
    ]


def _difference(wanted: Mapping[_Key, int], found: Mapping[_Key, int]) -> str:
    wrong = [key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)]
    if not wrong:
        return ""
    key = wrong[0]
    shown = f"{key}: {found.get(key)} instead of {wanted.get(key)}"
    return f"{len(wrong)} of {len(wanted)} totals are wrong, such as {shown}"
