"""`mplp-predictor demo`: a real load through the whole path, in event time, without any server.

The sample becomes request events in a file; the events go through the same decoding, windows,
history, forecast and decision as live; the decisions act on a simulated cluster with a reactive
HPA, next to one that is left alone. It must never judge by anything but what the simulated cluster
measured, and the forecaster must never see an event before its time.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from models.series import ALL_REGIONS, SeriesKey
from predictor.actuators.simulated import SimulatedCluster, SimulatedRoute
from predictor.cluster_model.delays import FixedDelay
from predictor.cluster_model.metric_pipeline import PipelineSpec
from predictor.cluster_model.workload_spec import WorkloadSpec, requests_hpa
from predictor.core.cluster import TargetKey
from predictor.core.history import History
from predictor.core.policy import ModulePolicy, Policy, RoutePolicy
from predictor.current_model import CurrentModel
from predictor.demo_report import ALONE, HELPED, ArmsRun, TargetTrack, print_table, write_page
from predictor.file_demand import file_demand
from predictor.gather import Gatherer
from predictor.sample_load import (
    BOUNDS,
    MODULE,
    PINNED_SHARE,
    REQUESTS_PER_RECORDED,
    SAMPLE_NAME,
    TARGET_PER_POD_PER_S,
    SampleLoad,
    load_sample,
    sample_events,
)
from predictor.service import Service, Tick
from predictor.settings import GUIDE_REGIONS
from predictor.web.report import ArmRow
from streams.events import Catalog

SHARES = {name: region.weight / 100 for name, region in GUIDE_REGIONS.items()}
POD_LIMIT_PER_S = TARGET_PER_POD_PER_S / 0.7
"""A pod at the guide's 70 % CPU target carries 100/s, so it can carry this much at most."""
START_UP_S = 90.0
"""From creation to Ready; MPLP's guides promise less than two minutes."""
LEARN_DAYS = 7
TICK_S = 60
DAY_S = 86_400


def run_demo(out: Path) -> None:
    """Run it, print the table, and write `report.html` into the folder `out`."""
    console = Console(stderr=False)
    out.mkdir(parents=True, exist_ok=True)
    load = load_sample()
    events = out / "events.jsonl.gz"
    bar = Progress(
        TextColumn("{task.description:<34}"), BarColumn(bar_width=40), MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"), TimeElapsedColumn(), console=Console(stderr=True),
    )  # fmt: skip
    with bar:
        days = (load.end_s - load.start_s) // DAY_S + 1
        writing = bar.add_task("writing request events", total=days, unit="days")
        for day in write_events(load, events):
            bar.update(writing, completed=day)
        playing = bar.add_task("events → forecast → floor", total=days, unit="days")
        run = asyncio.run(play(load, events, lambda day: bar.update(playing, completed=day)))
        bar.update(playing, completed=days)
    print_table(console, run)
    page = write_page(run, out / "report.html", datetime.now(UTC))
    console.print(f"\nThe week drawn and decisions in words: [bold]{page}[/bold]")


def write_events(load: SampleLoad, path: Path) -> Iterator[int]:
    """Write the sample's request events, one JSON a line; yields each finished day."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        for day, start_s in enumerate(range(load.start_s, load.end_s, DAY_S)):
            until_s = min(start_s + DAY_S, load.end_s)
            day_events = sample_events(load, SHARES, module=MODULE, from_s=start_s, until_s=until_s)
            file.write(b"".join(event + b"\n" for event in day_events))
            yield day + 1


def demo_policy(defaults: ModulePolicy | None = None) -> Policy:
    """What an operator gets who sets nothing but the route's home weights."""
    weights = {name: region.weight for name, region in GUIDE_REGIONS.items()}
    return Policy(
        defaults=defaults or ModulePolicy(),
        routes={MODULE: RoutePolicy(home_weights=weights)},
        tick_s=TICK_S,
        telemetry_stale_after_s=180,
    )


def new_cluster(start_s: float) -> SimulatedCluster:
    """Core in three regions with the guide's HPAs and default route."""
    workloads = [
        WorkloadSpec(
            key=TargetKey(MODULE, region),
            hpa=requests_hpa(low, high, TARGET_PER_POD_PER_S),
            pod_limit_per_s=POD_LIMIT_PER_S,
            start_up=FixedDelay(START_UP_S),
            pipeline=PipelineSpec(counts_arrivals=True),
        )
        for region, (low, high) in BOUNDS.items()
    ]
    weights = {name: region.weight for name, region in GUIDE_REGIONS.items()}
    return SimulatedCluster(workloads, start_s, [SimulatedRoute(MODULE, weights)])


@dataclass(slots=True)
class _World:
    """Two clusters under the same load: one left alone, one that the service acts on."""

    load: SampleLoad
    alone: SimulatedCluster
    helped: SimulatedCluster
    tracks: dict[str, TargetTrack] = field(default_factory=dict)

    def advance(self, now_s: int) -> None:
        """Serve the load up to now, minute by minute as it was recorded."""
        at_s = int(self.helped.now_s)
        while at_s < now_s:
            step_end_s = min(at_s + 60 - (at_s - self.load.start_s) % 60, now_s)
            rate = self.load.rate_per_s(at_s)
            for cluster in (self.alone, self.helped):
                cluster.advance(step_end_s, demand_by_target(rate, cluster.weights(MODULE)))
            at_s = step_end_s

    def take(self, tick: Tick, now_s: int) -> None:
        """Keep what the page draws: the state under which this tick was decided, and its raises."""
        inputs = tick.inputs
        rows = {key: index for index, key in enumerate(inputs.keys)}
        high = inputs.levels.index(ModulePolicy().quantile)
        weights = self.helped.weights(MODULE)
        for row in tick.decision.floors:
            track = self.tracks.setdefault(row.key.region, TargetTrack(" in ".join(row.key)))
            alone, helped = self.alone.workload(row.key), self.helped.workload(row.key)
            demand = demand_by_target(self.load.rate_per_s(now_s - 1), weights)[row.key]
            own, spread = rows[SeriesKey(*row.key)], rows[SeriesKey(MODULE, ALL_REGIONS)]
            peak = inputs.peak[own] + inputs.peak[spread] * weights[row.key.region] / 100
            track.times_s.append(now_s)
            track.demand.append(demand)
            track.capacity_alone.append(alone.ready * POD_LIMIT_PER_S)
            track.capacity_helped.append(helped.ready * POD_LIMIT_PER_S)
            track.floor_carries.append(helped.floor * TARGET_PER_POD_PER_S)
            track.forecast_median.append(_number(peak[0]))
            track.forecast_high.append(_number(peak[high]))
            track.violated_alone.append(alone.in_violation)
            track.violated_helped.append(helped.in_violation)
            if row.intent is not None and row.intent.floor > row.intent.floor_now:
                track.raises.append((now_s, row))


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def demand_by_target(rate_per_s: float, weights: dict[str, int]) -> dict[TargetKey, float]:
    """Pinned clients stay with their region, the others follow the route's weights."""
    return {
        TargetKey(MODULE, region): rate_per_s
        * (PINNED_SHARE * SHARES[region] + (1 - PINNED_SHARE) * weight / 100)
        for region, weight in weights.items()
    }


async def play(
    load: SampleLoad,
    events: Path,
    on_day: Callable[[int], None] = lambda day: None,
    policy: Policy | None = None,
    learn_days: int = LEARN_DAYS,
) -> ArmsRun:
    """Feed all events in order; learn for some days, then tick every minute of event time."""
    judge_from_s = load.start_s + learn_days * DAY_S
    world = _World(load, new_cluster(judge_from_s), new_cluster(judge_from_s))
    policy = policy or demo_policy()
    history = History([MODULE], list(SHARES), [MODULE])
    # Trees once: growing them daily, as a worker does, takes longer than all else here.
    model = CurrentModel(refit_s=24 * 3600, trees_age_s=learn_days * DAY_S, wait=True)
    gatherer = Gatherer(cluster=world.helped, history=history, policy=policy, model=model)
    service = Service(
        cluster=world.helped,
        gatherer=gatherer,
        policy=policy,
        mode="active",
        record=lambda record: None,
    )
    catalog = Catalog([MODULE], list(SHARES))
    tick_s = judge_from_s
    for newest_s, parts, progress in file_demand(events, catalog, every_s=TICK_S):
        for part in parts:
            history.add(part)
        history.advance(progress)
        on_day((int(newest_s) - load.start_s) // DAY_S)
        while tick_s <= min(newest_s, load.end_s):
            world.advance(tick_s)
            world.take(await service.tick(tick_s), tick_s)
            tick_s += TICK_S
    return _arms_run(world)


def _arms_run(world: _World) -> ArmsRun:
    return ArmsRun(
        title="Seven days of a real load: the owner's HPA alone, and with our floor",
        subtitle=f"{SAMPLE_NAME}; days 8 to 14 are judged, the seven before are learned from",
        arms=[_arm(ALONE, world.alone), _arm(HELPED, world.helped)],
        tracks=list(world.tracks.values()),
        lead_s=round(ModulePolicy().lead_time_default_s),
        quantile=ModulePolicy().quantile,
        notes=[
            f"The load: {SAMPLE_NAME}, each recorded request standing for {REQUESTS_PER_RECORDED}, "
            "spread evenly inside its minute and over the regions 50/30/20; one client in five is "
            "pinned to its region. Free to redistribute (Internet Traffic Archive).",
            "The cluster: simulated, with a twin of the Kubernetes HPA controller (15 s sync, "
            "metric 30 s late, over 60 s and counting arrivals, default behavior), pods Ready "
            f"after {START_UP_S:.0f} s, target {TARGET_PER_POD_PER_S:.0f}/s per pod of at most "
            f"{POD_LIMIT_PER_S:.0f}/s, bounds as in the MPLP scaling guide.",
            "A violation minute is a minute of one target in which Ready pods could not carry the "
            "demand or work was queued; pod-hours count starting pods too.",
        ],
    )


def _arm(name: str, cluster: SimulatedCluster) -> ArmRow:
    measures = [cluster.measures(TargetKey(MODULE, region)) for region in SHARES]
    return ArmRow(
        name=name,
        violation_minutes=sum(one.violation_minutes for one in measures),
        pod_hours=sum(one.pod_hours for one in measures),
        unserved_requests=sum(one.unserved for one in measures),
        scale_actions=sum(one.scale_actions for one in measures),
    )
