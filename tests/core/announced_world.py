"""A core whose workflows ask plan five minutes later, as events, parts and a history."""

from __future__ import annotations

import json
from functools import cache
from typing import NamedTuple

import numpy as np

from models.series import SeriesKey
from predictor.core.history import History
from predictor.core.history_layers import HistoryLayers
from streams.catalog import Catalog
from streams.demand import DemandPart
from streams.demand_blocks import block_key, read_block, with_part
from streams.event_columns import Cells
from streams.event_types import Headers
from streams.record_block import decode_block
from streams.windows import PartitionWindows
from tests.core.core_values import US, a_progress
from tests.core.history_feeding import T0

MODULES = ("core", "plan")
CELLS = Cells(Catalog(MODULES, [US]))
PLAN = SeriesKey("plan", US)
MINUTES = 840
LATER = 5
"""Minutes from a workflow's start to its two requests at plan."""
BURST = 4000
"""Workflows that start in the last minute but one, some forty times the usual."""
END_S = T0 + MINUTES * 60


class Stored(NamedTuple):
    """A record as a broker keeps it."""

    offset: int
    value: bytes
    timestamp: int
    headers: Headers = ()


@cache
def started(seed: int = 3, burst: int = BURST) -> tuple[int, ...]:
    """Workflows by minute: a level that wanders, a burst now and then, and one at the end."""
    rng = np.random.default_rng(seed)
    level = np.exp(0.1 * np.cumsum(rng.normal(size=MINUTES)) / np.sqrt(10))
    bursts = np.where(rng.random(MINUTES) < 0.03, 10.0, 1.0)
    counts = rng.poisson(60 * level * bursts)
    counts[-10:-2] = 60
    counts[-2] = burst
    return tuple(counts.tolist())


def records() -> list[Stored]:
    """Three events a minute: workflows that ask plan, some that do not, and what plan is asked.

    The others have bursts of their own, so that what core is asked does not tell plan's.
    """
    found: list[Stored] = []
    for minute, count in enumerate(started()):
        others = started(seed=4, burst=60)[minute]
        asked = 2 * started()[minute - LATER] if minute >= LATER else 0
        of_minute: tuple[tuple[str, int, dict[str, object]], ...] = (
            ("core", count, {"stages": ["plan"]}), ("core", others, {}), ("plan", asked, {}),
        )  # fmt: skip
        for module, number, more in of_minute:
            at_s = T0 + 60 * minute + 5
            event = {"kind": "request", "id": f"{len(found)}", "time": at_s, "module": module,
                     "region": US, "count": number, **more}  # fmt: skip
            found.append(Stored(len(found), json.dumps(event).encode(), at_s * 1000))
    beat = {"kind": "heartbeat", "time": END_S + 60}
    return [*found, Stored(len(found), json.dumps(beat).encode(), (END_S + 60) * 1000)]


@cache
def parts() -> tuple[DemandPart, ...]:
    """What ingest makes of them."""
    windows = PartitionWindows(0, CELLS, lateness_s=0.0)
    windows.add_columns(decode_block(records(), CELLS).columns)
    return tuple(windows.close())


def a_history() -> History:
    """Nothing yet."""
    return History(MODULES, [US], layers=HistoryLayers(length_s=MINUTES * 60))


def live(times: int = 1) -> History:
    """A history that was told every part, so many times."""
    history = a_history()
    for part in parts():
        for _ in range(times):
            history.add(part)
    history.advance(a_progress(END_S, partitions=1))
    return history


def begun_again() -> History:
    """A history that a restart gets from the demand table."""
    blocks: dict[object, bytes] = {}
    keys = {}
    for part in parts():
        key = block_key(part, 600)
        keys[key] = key
        blocks[key] = with_part(key, blocks.get(key), part)
    history = a_history()
    history.advance(a_progress(END_S, partitions=1))
    for key in keys:
        block = read_block(key, blocks[key])
        assert block is not None
        history.add_block(block)
    return history
