"""What every peer keeps: it sees no future, survives any history, and its points have an order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.arms.arm import ArmFamily
from predictor.arms.families import FAMILIES
from tests.arms.arm_scenes import SIZING, a_daily_load, a_learnt, a_scene, family_floors

PEERS = [family for family in FAMILIES.values() if family.name != "foresight"]
HOURS_12 = 72


def by_name(family: ArmFamily) -> str:
    return family.name


@pytest.mark.parametrize("family", PEERS, ids=by_name)
def test_demand_after_now_changes_no_floor(family: ArmFamily) -> None:
    past, coming = a_daily_load(15, noise=4.0), a_daily_load(1)
    surprise = np.where(np.arange(len(coming)) < HOURS_12, coming, 900.0)

    calm = family_floors(family, family.points[0], a_learnt(past, future=coming), coming)
    told = family_floors(family, family.points[0], a_learnt(past, future=surprise), surprise)

    until = HOURS_12 * 10 + 1  # floors are asked each minute, steps last ten
    assert told[:until] == calm[:until]
    assert any(calm)


@pytest.mark.parametrize("family", PEERS, ids=by_name)
def test_it_does_not_matter_which_stretch_holds_the_past(family: ArmFamily) -> None:
    learnt = a_learnt(a_daily_load(15, noise=4.0))
    whole, behind = (family.make(family.points[0], SIZING, learnt) for _ in range(2))
    for minute in range(0, 1440, 30):
        scene = a_scene(learnt, a_daily_load(1), learnt.end_s + minute * 60, replicas=9)
        newer = scene._replace(demand=scene.demand[len(learnt.demand) :])
        assert behind.floor(newer) == whole.floor(scene)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=by_name)
@settings(max_examples=15, deadline=None)
@given(
    learnt=st.lists(st.sampled_from([0.0, 3.0, 70.0, np.nan, np.inf, -1.0]), max_size=40),
    repeats=st.integers(0, 60),
    judged=st.lists(st.sampled_from([0.0, 5.0, 80.0, np.nan, np.inf, -2.0]), max_size=12),
)
def test_gaps_zeros_and_short_histories_give_a_floor_or_none(
    family: ArmFamily, learnt: list[float], repeats: int, judged: list[float]
) -> None:
    known = a_learnt(np.tile(np.asarray(learnt, float), repeats), future=np.asarray(judged, float))
    floors = family_floors(family, family.points[-1], known, np.asarray(judged, float), 300)
    assert all(type(floor) is int and floor >= 0 for floor in floors)


@pytest.mark.parametrize("name", ["keda-cron", "last-week", "crane-dsp", "kapacity", "ahpa"])
def test_without_history_there_is_no_floor(name: str) -> None:
    family = FAMILIES[name]
    assert not any(family_floors(family, family.points[0], a_learnt(np.empty(0)), np.ones(6)))


@pytest.mark.parametrize("family", PEERS, ids=by_name)
def test_a_higher_point_costs_more(family: ArmFamily) -> None:
    learnt, judged = a_learnt(a_daily_load(15, noise=4.0)), a_daily_load(1)
    costs = [sum(family_floors(family, p, learnt, judged, 300)) for p in sorted(family.points)]
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]


def test_every_peer_is_named_with_version_and_what_was_left_out() -> None:
    for name, family in FAMILIES.items():
        assert family.name == name
        assert family.version
        assert family.described
        assert family.left_out
