"""One simulation from a setup to its result: HPA alone, our floor, and as many peers as are asked.

`predictor/simulate_cli.py` and the control benchmark call it. Peers are played in processes of
their own where there is more than one job. It must never let a lane see what another one knows.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from models.one_thread import one_thread
from predictor.arms.families import FAMILIES
from predictor.core.policy import Policy
from predictor.current_model import CurrentModel
from predictor.simulation.figures import VERSION, ArmFigures, SimulationResult, Trail
from predictor.simulation.lanes import (
    OURS,
    AloneLane,
    Lane,
    LaneName,
    OurLane,
    PeerLane,
    Record,
    StepForecasts,
    setting_of,
)
from predictor.simulation.load import DAY_S
from predictor.simulation.play import play
from predictor.simulation.response_bounds import RESPONSE_BOUNDS_S
from predictor.simulation.settings_of_ours import OurSetting
from predictor.simulation.setup import Setup
from predictor.simulation.trails import TrailWriter

REFIT_S = DAY_S
"""A day between two fits: what a worker does more often takes longer than all else here."""


class PeerPoint(NamedTuple):
    """One peer at one of its points."""

    family: str
    point: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is played: our settings (the first is the usual one) and the peers."""

    ours: tuple[OurSetting, ...]
    peers: tuple[PeerPoint, ...] = ()
    jobs: int = 1
    with_trails: bool = True


def usual_peers(names: Iterable[str], points_max: int = 1) -> tuple[PeerPoint, ...]:
    """Each named peer as it usually is, or at more of its points."""
    return tuple(
        PeerPoint(name, point) for name in names for point in FAMILIES[name].points[:points_max]
    )


def simulate(
    setup: Setup,
    wanted: Wanted,
    *,
    source: str,
    record: Record = lambda record: None,
    on_progress: Callable[[str, int], None] = lambda what, now_s: None,
) -> SimulationResult:
    """Play everything; the arms in the order HPA alone, ours, peers as they were asked for."""
    groups = _by_hold(wanted.ours)
    workers = max(wanted.jobs - 1, 1)
    parts = [part for job in range(workers) if (part := wanted.peers[job::workers])]
    if wanted.jobs == 1:
        first, trails = _play_usual(setup, groups[0], wanted, record, on_progress)
        others = [_play_ours(setup, group) for group in groups[1:]]
        peers = [_play_peers(setup, part, on_progress) for part in parts]
    else:
        # Started anew rather than forked: threads of numeric libraries do not survive a fork.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            ours_later = [pool.submit(_play_ours, setup, group) for group in groups[1:]]
            peers_later = [pool.submit(_play_peers, setup, part) for part in parts]
            first, trails = _play_usual(setup, groups[0], wanted, record, on_progress)
            others = [one.result() for one in ours_later]
            peers = [one.result() for one in peers_later]
    ours = {one.setting: one for part in (first[1:], *others) for one in part}
    compared = {(one.arm, one.setting): one for part in peers for one in part}
    arms = (
        first[0],
        *(ours[one.setting] for one in wanted.ours),
        *(compared[name, setting_of(FAMILIES[name], point)] for name, point in wanted.peers),
    )
    return _result(setup, source, arms, trails.worst_day() if trails is not None else ())


def _result(
    setup: Setup, source: str, arms: tuple[ArmFigures, ...], trails: tuple[Trail, ...]
) -> SimulationResult:
    load = setup.load
    names = tuple(f"{key.module}/{key.region}" for key in load.targets)
    pods = list(zip(names, setup.workloads, strict=True))
    return SimulationResult(
        version=VERSION,
        source=source,
        from_s=load.stretch.from_s,
        until_s=load.stretch.until_s,
        step_s=load.batch.step_s,
        targets=names,
        assumptions=setup.assumptions,
        notes=setup.notes,
        warnings=setup.warnings,
        rates_per_pod_per_s={name: one.pod_rate_at_target_per_s for name, one in pods},
        pod_limits_per_s={name: one.pod_limit_per_s for name, one in pods},
        response_bounds_s=RESPONSE_BOUNDS_S,
        arms=arms,
        trails=trails,
    )


def _play_usual(
    setup: Setup,
    group: Sequence[OurSetting],
    wanted: Wanted,
    record: Record,
    on_progress: Callable[[str, int], None],
) -> tuple[tuple[ArmFigures, ...], TrailWriter | None]:
    """HPA alone beside the settings that share the first one's forecasts."""
    lanes: list[Lane] = [AloneLane(setup.new_cluster()), *_our_lanes(setup, group, record)]
    trails = TrailWriter(setup.load) if wanted.with_trails else None
    with one_thread():
        figures = asyncio.run(
            play(
                setup.load, lanes, trails=trails, on_progress=lambda now_s: on_progress(OURS, now_s)
            )
        )
    return figures, trails


def _play_ours(setup: Setup, group: Sequence[OurSetting]) -> tuple[ArmFigures, ...]:
    with one_thread():
        return asyncio.run(play(setup.load, _our_lanes(setup, group, _forget)))


def _our_lanes(setup: Setup, group: Sequence[OurSetting], record: Record) -> list[Lane]:
    """A lane for each setting, all on the forecasts of one model; the first one is recorded."""
    model = CurrentModel(refit_s=REFIT_S, trees_age_s=REFIT_S, wait=True)
    forecasts = StepForecasts(model)
    return [
        OurLane(
            LaneName(OURS, one.setting, one.is_usual),
            setup.load,
            setup.new_cluster(),
            forecasts=forecasts,
            policy=one.policy,
            record=_forget if place else record,
        )
        for place, one in enumerate(group)
    ]


def _by_hold(settings: Sequence[OurSetting]) -> list[list[OurSetting]]:
    """Settings that are forecast for the same windows together, the first one's first."""
    groups: dict[bytes, list[OurSetting]] = {}
    for one in settings:
        groups.setdefault(msgspec.json.encode(_holds(one.policy)), []).append(one)
    return list(groups.values())


def _holds(policy: Policy) -> Sequence[object]:
    """What of a policy says which window is forecast."""
    names = ("hold_s", "lead_time_default_s", "lead_time_max_s")
    places = {"": policy.defaults, **policy.modules, **policy.targets}
    return [[place, *(getattr(one, name) for name in names)] for place, one in places.items()]


def _play_peers(
    setup: Setup,
    points: Sequence[PeerPoint],
    on_progress: Callable[[str, int], None] = lambda what, now_s: None,
) -> tuple[ArmFigures, ...]:
    lanes = [
        PeerLane(FAMILIES[name], point, setup.load, setup.new_cluster(), setup.sizings)
        for name, point in points
    ]
    with one_thread():
        return asyncio.run(
            play(setup.load, lanes, on_progress=lambda now_s: on_progress("peers", now_s))
        )


def _forget(record: bytes) -> None:
    """Records of further settings are not kept."""
