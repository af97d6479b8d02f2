"""Plays a load through lanes in event time and counts what came of each.

`predictor/simulation/simulate.py` and the control benchmark call `play`. It moves time by the HPA's
sync period, lane after lane at the same moment, so that lanes can share forecasts. It must never
judge: what is counted is what the clusters measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from models.series import ALL_REGIONS, SeriesKey
from predictor.core.cluster import TargetKey
from predictor.simulation.figures import ArmFigures
from predictor.simulation.lanes import Lane
from predictor.simulation.load import SYNC_S, Load
from predictor.simulation.tally import Tally, boundaries
from predictor.simulation.trails import TrailWriter

PROGRESS_CHUNKS = 240
"""An hour of event time between two words about progress."""


class _Place(NamedTuple):
    key: TargetKey
    own: list[float]
    unpinned: list[float] | None


async def play(
    load: Load,
    lanes: Sequence[Lane],
    *,
    trails: TrailWriter | None = None,
    on_progress: Callable[[int], None] = lambda now_s: None,
) -> tuple[ArmFigures, ...]:
    """Play all of the load; the figures of each lane, in their order."""
    places = _places(load)
    tallies = [Tally(load, lane.cluster.measures) for lane in lanes]
    reads = boundaries(load)
    read = 0
    now_s = load.play_from_s
    for chunk in range(load.served.shape[1]):
        now_s += SYNC_S
        demands = [_demand(places, chunk, lane) for lane in lanes]
        for lane, demand in zip(lanes, demands, strict=True):
            lane.cluster.advance(now_s, demand)
            await lane.act(now_s)
        if trails is not None:
            trails.take(chunk, now_s, lanes, demands)
        while read < len(reads) and reads[read].chunk == chunk + 1:
            for tally in tallies:
                tally.take(reads[read])
            read += 1
        if chunk % PROGRESS_CHUNKS == 0:
            on_progress(now_s)
    on_progress(now_s)
    return tuple(
        ArmFigures(*lane.name, days=tally.days())
        for lane, tally in zip(lanes, tallies, strict=True)
    )


def _places(load: Load) -> list[_Place]:
    rows = load.rows
    served = load.served
    found = []
    for key in load.targets:
        shared = rows.get(SeriesKey(key.module, ALL_REGIONS))
        unpinned = None if shared is None else served[shared].tolist()
        found.append(_Place(key, served[rows[SeriesKey(*key)]].tolist(), unpinned))
    return found


def _demand(places: list[_Place], chunk: int, lane: Lane) -> dict[TargetKey, float]:
    demand = {}
    for key, own, unpinned in places:
        rate = own[chunk]
        if unpinned is not None:
            rate += lane.cluster.weights(key.module)[key.region] / 100 * unpinned[chunk]
        demand[key] = rate
    return demand
