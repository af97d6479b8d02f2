"""Draws a synthetic MPLP load: request events of ten modules in several regions, in arrival order.

`predictor/events/generate.py` writes what comes out. Workflows arrive at Core with the season of
each region's own day and week and with bursts; the other modules are asked after it, as the
call graph says; outages and deploys take their share; the noise is overdispersed (a gamma mixture
of Poissons, so negative binomial). Events arrive late, out of order and sometimes twice. Pure, and
the same plan gives the same events. It is for tests, demos and trying things out: that a forecaster
does well on it says nothing about a real load.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictor.events.call_graph import Call, calls_of
from predictor.events.load_incidents import DAY_S, Incidents, draw_incidents
from predictor.events.load_plan import LoadPlan

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GRID_S = 10
"""Rates are computed on this grid and interpolated; the rate's own noise lasts as long."""
EVENTS_AT_ONCE = 100_000
HEARTBEAT = -1
"""The module of a row that is a heartbeat."""
REPEAT_MEAN_S, REPEAT_MAX_S = 2.0, 8.0
"""When the second copy of an event comes: a producer's retry, seconds later."""
WEEKDAYS = np.array([1.05, 1.1, 1.1, 1.05, 0.95, 0.6, 0.55])
"""Monday to Sunday; 1970-01-01 was a Thursday."""

NUMBER, TIME_MS, ARRIVAL_MS, MODULE, REGION, PINNED, COUNT, STATUS = range(8)
"""Rows of an event table: what each of its eight integers says."""
OK, TOO_MANY = 200, 429


@dataclass(frozen=True, slots=True)
class TruthCells:
    """What happened in whole buckets: one entry of each array for a bucket, module and region.

    `requests` happened, `reported` is what the events' counts add up to, repetitions left out.
    """

    bucket_start_s: Ints
    module: Ints
    region: Ints
    requests: Ints
    reported: Ints
    events: Ints


@dataclass(frozen=True, slots=True)
class Drawn:
    """The next stretch: event tables (8, n) in arrival order, and the truth of their event time."""

    events: Ints
    truth: TruthCells


class SyntheticLoad:
    """A plan with its incidents drawn and its rates computed; `draw` gives the events."""

    def __init__(self, plan: LoadPlan, incidents: Incidents | None = None) -> None:
        self.plan = plan
        self.incidents = draw_incidents(plan) if incidents is None else incidents
        self.calls = calls_of(plan.modules, plan.stage_s)
        lag_s = max((call.lag_s for call in self.calls), default=0.0)
        before_s = math.ceil(lag_s / GRID_S) * GRID_S
        self._grid_s = np.arange(plan.start_s - before_s, plan.end_s + GRID_S, GRID_S).astype(
            np.float64
        )
        self._workflows = self._workflow_rates()

    def rates(self, times_s: Floats) -> Floats:
        """Expected requests per second, shape (modules, regions, times)."""
        plan = self.plan
        rates = np.zeros((len(plan.modules), len(plan.regions), len(times_s)))
        number = {module: row for row, module in enumerate(plan.modules)}
        for call in self.calls:
            for region in range(len(plan.regions)):
                rates[number[call.module], region] += self._asked(call, region, times_s)
        for module in range(len(plan.modules)):
            for region in range(len(plan.regions)):
                rates[module, region] *= self.incidents.fault_factor(module, region, times_s)
        return rates

    def draw(self) -> Iterator[Drawn]:
        """Stretch after stretch; nothing but the events that are still on their way is kept."""
        plan = self.plan
        stretch_s = self._stretch_s()
        on_their_way = np.empty((8, 0), np.int64)
        number = 0
        for index, from_s in enumerate(range(plan.start_s, plan.end_s, stretch_s)):
            until_s = min(from_s + stretch_s, plan.end_s)
            drawn = np.random.default_rng([plan.seed, 2, index])
            happened, fresh = self._happened(drawn, from_s, until_s)
            fresh[NUMBER] = np.arange(number, number + fresh.shape[1])
            number += fresh.shape[1]
            truth = self._truth(happened, fresh)
            repeated = self._repeated(drawn, fresh)
            beats, number = self._heartbeats(from_s, until_s, number)
            table = np.concatenate([on_their_way, fresh, repeated, beats], axis=1)
            table = table[:, np.argsort(table[ARRIVAL_MS], kind="stable")]
            arrived = np.searchsorted(table[ARRIVAL_MS], until_s * 1000)
            if until_s == plan.end_s:
                arrived = table.shape[1]
            on_their_way = table[:, arrived:]
            yield Drawn(table[:, :arrived], truth)

    def _workflow_rates(self) -> Floats:
        """Workflows per second on the grid, shape (regions, times), scaled to the plan's mean."""
        plan = self.plan
        shapes = np.stack(
            [
                region.weight
                * (season(self._grid_s, region.utc_offset_h) if plan.season else 1.0)
                * self.incidents.burst_factor(number, self._grid_s)
                for number, region in enumerate(plan.regions)
            ]
        )
        inside = self._grid_s >= plan.start_s
        calls = sum(call.per_workflow for call in self.calls)
        return np.asarray(shapes * (plan.rate_per_s / calls / shapes[:, inside].sum(0).mean()))

    def _asked(self, call: Call, region: int, times_s: Floats) -> Floats:
        workflows = np.interp(times_s - call.lag_s, self._grid_s, self._workflows[region])
        return np.asarray(workflows * call.per_workflow)

    def _stretch_s(self) -> int:
        """Whole steps, buckets and grid cells, with not too many events and not too few."""
        plan = self.plan
        unit_s = math.lcm(plan.step_s, plan.bucket_s, GRID_S)
        cells = len(plan.modules) * len(plan.regions) * 2
        per_s = cells / plan.step_s if plan.aggregate_s else plan.rate_per_s + cells
        return unit_s * max(1, int(EVENTS_AT_ONCE / per_s) // unit_s)

    def _happened(self, drawn: np.random.Generator, from_s: int, until_s: int) -> tuple[Ints, Ints]:
        """Requests that happened as (bucket start, module, region, requests), and their events."""
        plan = self.plan
        starts_s = np.arange(from_s, until_s, plan.step_s)
        counts = self._counts(drawn, starts_s)
        at = np.nonzero(counts)
        requests = counts[at]
        module, region, pinned, step = at
        cells = np.stack(
            [starts_s[step] // plan.bucket_s * plan.bucket_s, module, region, requests]
        )
        reported = requests if plan.sample_rate == 1 else drawn.binomial(requests, plan.sample_rate)
        rows = np.empty((8, len(requests)), np.int64)
        rows[TIME_MS] = starts_s[step] * 1000
        rows[MODULE], rows[REGION], rows[PINNED] = module, region, pinned
        rows[COUNT], rows[STATUS] = reported, OK
        if not plan.aggregate_s:
            rows = np.repeat(rows, reported, axis=1)
            rows[TIME_MS] += drawn.integers(0, 1000 * plan.step_s, rows.shape[1])
            rows[COUNT] = 1
            rows[STATUS][drawn.random(rows.shape[1]) < plan.rejected_share] = TOO_MANY
        rows = rows[:, rows[COUNT] > 0]
        rows = rows[:, np.argsort(rows[TIME_MS], kind="stable")]
        rows[ARRIVAL_MS] = rows[TIME_MS] + plan.aggregate_s * 1000
        rows[ARRIVAL_MS] += _delays_ms(drawn, plan.disorder_s, plan.disorder_max_s, rows.shape[1])
        return cells, rows

    def _counts(self, drawn: np.random.Generator, starts_s: Ints) -> Ints:
        """Requests of each module, region, pinned or not, and step."""
        plan = self.plan
        means = self.rates(starts_s.astype(np.float64) + plan.step_s / 2) * plan.step_s
        if plan.dispersion:
            noisy = starts_s // max(GRID_S, plan.step_s)
            noisy -= noisy[0]
            size = (*means.shape[:2], int(noisy[-1]) + 1)
            noise = drawn.gamma(1 / plan.dispersion, plan.dispersion, size)
            means *= noise[:, :, noisy]
        shares = np.array([1 - plan.pinned_share, plan.pinned_share])
        return np.asarray(drawn.poisson(means[:, :, None, :] * shares[None, None, :, None]))

    def _truth(self, happened: Ints, events: Ints) -> TruthCells:
        plan = self.plan
        regions, modules = len(plan.regions), len(plan.modules)

        def keys(bucket_start_s: Ints, module: Ints, region: Ints) -> Ints:
            return np.asarray((bucket_start_s * modules + module) * regions + region)

        found, where = np.unique(keys(*happened[:3]), return_inverse=True)
        bucket_start_s = events[TIME_MS] // (1000 * plan.bucket_s) * plan.bucket_s
        there = np.searchsorted(found, keys(bucket_start_s, events[MODULE], events[REGION]))
        return TruthCells(
            found // regions // modules,
            found // regions % modules,
            found % regions,
            _sums(where, happened[3], len(found)),
            _sums(there, events[COUNT], len(found)),
            _sums(there, np.ones_like(there), len(found)),
        )

    def _repeated(self, drawn: np.random.Generator, events: Ints) -> Ints:
        """Second copies, each a moment after the first."""
        copies = events[:, drawn.random(events.shape[1]) < self.plan.duplicate_share].copy()
        copies[ARRIVAL_MS] += _delays_ms(drawn, REPEAT_MEAN_S, REPEAT_MAX_S, copies.shape[1])
        return copies

    def _heartbeats(self, from_s: int, until_s: int, number: int) -> tuple[Ints, int]:
        """Rows of heartbeats; each speaks for what was complete when it was sent."""
        every_s = self.plan.heartbeat_s
        first_s = -(-from_s // every_s) * every_s if every_s else until_s
        at_s = np.arange(first_s, until_s, every_s or 1)
        rows = np.zeros((8, len(at_s)), np.int64)
        rows[NUMBER] = np.arange(number, number + len(at_s))
        rows[ARRIVAL_MS] = at_s * 1000
        rows[TIME_MS] = rows[ARRIVAL_MS] - self.plan.aggregate_s * 1000
        rows[MODULE] = HEARTBEAT
        return rows, number + len(at_s)


def season(times_s: Floats, utc_offset_h: float) -> Floats:
    """How a region's day and week change its demand; 1 is about the mean.

    A working day with its top in the early afternoon, a shoulder in the morning, quiet nights and
    weekends.
    """
    local_s = times_s + utc_offset_h * 3600
    turn = 2 * np.pi * local_s / DAY_S
    day = np.exp(
        np.cos(turn - 2 * np.pi * 14.5 / 24) + 0.3 * np.cos(2 * turn - 2 * np.pi * 20 / 24)
    )
    weekday = (local_s // DAY_S + 3).astype(int) % 7
    return np.asarray(day * WEEKDAYS[weekday] / 1.3)


def _delays_ms(drawn: np.random.Generator, mean_s: float, longest_s: float, count: int) -> Ints:
    delays_s = np.minimum(
        drawn.exponential(mean_s, count) if mean_s else np.zeros(count), longest_s
    )
    return np.asarray((delays_s * 1000).astype(np.int64))


def _sums(where: Ints, values: Ints, length: int) -> Ints:
    """Exact up to 2**53."""
    return np.bincount(where, weights=values, minlength=length).astype(np.int64)
