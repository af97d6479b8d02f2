"""The load of a simulation: a history as demand of targets, split into learning and judging.

`predictor/simulate_cli.py` and the control benchmark make one from a history; `play.py` and
`learnt_floor.py` read it. It must never show demand to anybody before its time: `known_steps` says
what is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.series import ALL_REGIONS, FloatArray, SeriesBatch, SeriesKey
from predictor.core.cluster import TargetKey
from predictor.history_sources.history import HistoryRefused, instant_text

SYNC_S = 15
"""The grid of a simulation: the HPA controller's sync period, its default."""

DAY_S = 86_400
SETTLE_S = 1_800
"""Played before the judged stretch and not counted: pods, metrics and floors find their place."""
GAP_BRIDGED_S = 3_600
"""A longer gap is not judged, nor is as much after it as everything needs to settle."""
LEARN_SHARE = 0.6
STEPS_MIN = 120
"""Fewer judged and learnt steps together say nothing about any way of scaling."""


class Stretch(NamedTuple):
    """What is judged, epoch seconds."""

    from_s: int
    until_s: int


@dataclass(frozen=True, slots=True)
class Load:
    """Demand of every series, and how it is spread over targets.

    `batch` holds what was measured (NaN where nothing was). `served`, shape (series, chunks), is
    what is played: mean rates over chunks of `SYNC_S` from `play_from_s` on, short gaps bridged.
    `counted`, the same shape, is False where nobody knows what was asked for. `shares` is each
    target's share of the unpinned series of its module, for modules that are routed.
    """

    batch: SeriesBatch
    stretch: Stretch
    play_from_s: int
    served: FloatArray
    counted: NDArray[np.bool_]
    targets: tuple[TargetKey, ...]
    shares: dict[str, dict[str, int]]
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> dict[SeriesKey, int]:
        """The place of each series."""
        return {key: row for row, key in enumerate(self.batch.keys)}

    def known_steps(self, now_s: float) -> int:
        """How many whole steps were over at `now_s`."""
        batch = self.batch
        over = int((now_s - batch.start_s) // batch.step_s)
        return min(max(over, 0), int(batch.values.shape[1]))

    def demand_of(self, key: TargetKey) -> FloatArray:
        """A target's own demand per step with its share of what is unpinned, shape (steps,)."""
        rows = self.rows
        own: FloatArray = self.batch.values[rows[SeriesKey(*key)]].astype(np.float64)
        shared = rows.get(SeriesKey(key.module, ALL_REGIONS))
        if shared is None:
            return own
        share = self.shares.get(key.module, {}).get(key.region, 0) / 100
        unpinned: FloatArray = self.batch.values[shared]
        return own + share * unpinned


def load_of(
    batch: SeriesBatch,
    *,
    region: str,
    routes: dict[str, dict[str, int]],
    learn_s: int | None = None,
    source: str = "history",
) -> Load:
    """Split a history into what is learnt from and what is judged.

    A series that names no region is spread over its module's route (`routes`: module to weights by
    region), or lies in `region` where the module has none. `learn_s` of the history are learnt
    from, 60 % of it unless that is set. Raises `HistoryRefused` for a history that is too short.
    """
    named = _with_targets(batch, region, routes)
    steps = named.values.shape[1]
    learnt = round(steps * LEARN_SHARE) if learn_s is None else learn_s // named.step_s
    if steps < STEPS_MIN or not STEPS_MIN // 4 <= learnt <= steps - STEPS_MIN // 4:
        raise HistoryRefused(
            f"{source}: {steps} steps of {named.step_s} s, of which {learnt} would be learnt from; "
            f"a simulation needs at least {STEPS_MIN}, a quarter of them to learn from and a "
            "quarter to judge"
        )
    from_s = -(-(named.start_s + learnt * named.step_s) // SYNC_S) * SYNC_S
    stretch = Stretch(from_s, named.end_s // SYNC_S * SYNC_S)
    play_from_s = from_s - min(SETTLE_S, learnt * named.step_s // SYNC_S * SYNC_S)
    served, counted = _played(named, play_from_s, stretch)
    keys = tuple(TargetKey(*key) for key in named.keys if key.region != ALL_REGIONS)
    routed = {module: routes[module] for module in {key.module for key in keys} if module in routes}
    return Load(
        named, stretch, play_from_s, served, counted, keys, routed, _gap_notes(counted, play_from_s)
    )


def _with_targets(
    batch: SeriesBatch, region: str, routes: dict[str, dict[str, int]]
) -> SeriesBatch:
    """Every series in a region, or unpinned beside a (perhaps silent) series of each region."""
    keys: list[SeriesKey] = []
    values: list[FloatArray] = []
    given = set(batch.keys)
    for key, row in zip(batch.keys, batch.values, strict=True):
        routed = key.region == ALL_REGIONS and key.module in routes
        is_plain = key.region == ALL_REGIONS and not routed
        keys.append(SeriesKey(key.module, region) if is_plain else key)
        values.append(row)
        for place in routes[key.module] if routed else ():
            if SeriesKey(key.module, place) not in given:
                keys.append(SeriesKey(key.module, place))
                values.append(np.where(np.isnan(row), np.nan, 0.0))
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise HistoryRefused(
            f"{twice.module} has demand in {region} and demand without a region, and no route that "
            "spreads it"
        )
    return SeriesBatch(tuple(keys), batch.start_s, batch.step_s, np.array(values))


def _played(
    batch: SeriesBatch, play_from_s: int, stretch: Stretch
) -> tuple[FloatArray, NDArray[np.bool_]]:
    edges_s = np.arange(play_from_s, stretch.until_s + 1, SYNC_S)
    grid_s = batch.start_s + batch.step_s * np.arange(batch.values.shape[1] + 1)
    served = np.empty((len(batch.keys), len(edges_s) - 1))
    counted = np.empty(served.shape, np.bool_)
    for row, values in enumerate(batch.values):
        bridged, known = _bridged(values, batch.step_s)
        work = np.concatenate([[0.0], np.cumsum(bridged) * batch.step_s])
        served[row] = np.maximum(np.diff(np.interp(edges_s, grid_s, work)) / SYNC_S, 0.0)
        step = np.minimum((edges_s[:-1] - batch.start_s) // batch.step_s, len(known) - 1)
        counted[row] = known[step]
    counted &= edges_s[:-1] >= stretch.from_s
    return served, counted


def _bridged(values: FloatArray, step_s: int) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Gaps filled with the value before them, and which steps may be judged."""
    measured = np.isfinite(values)
    steps = np.arange(len(values))
    newest = np.maximum.accumulate(np.where(measured, steps, -1))
    first = int(np.argmax(measured)) if measured.any() else 0
    filled = np.nan_to_num(values[np.maximum(newest, first)], nan=0.0)
    known = measured | ((newest >= 0) & ((steps - newest) * step_s <= GAP_BRIDGED_S))
    lost = np.flatnonzero(~known)
    settle = -(-SETTLE_S // step_s)
    for step in lost[np.flatnonzero(np.diff(lost, append=len(values) + settle) > 1)].tolist():
        known[step : step + settle + 1] = False
    # A gap that is too long to bridge is not judged from its first step on.
    begins = np.flatnonzero(np.diff(known.astype(np.int8), prepend=1) == -1)
    for step in begins.tolist():
        known[max(int(newest[step]) + 1, 0) : step] = False
    return filled, known


def _gap_notes(counted: NDArray[np.bool_], play_from_s: int) -> tuple[str, ...]:
    judged = counted.any(axis=0)
    if judged.any():
        first = int(np.argmax(judged))
        share = 1.0 - counted[:, first:].mean()
        if share > 0.001:
            since = instant_text(play_from_s + first * SYNC_S)
            return (
                f"{share:.1%} of the judged time since {since} was not measured and is not judged",
            )
    return ()
