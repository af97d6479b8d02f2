from __future__ import annotations

from typing import Any

import numpy as np

from models.series import ALL_REGIONS, SeriesKey
from predictor.core.cluster import TargetKey
from predictor.core.decide import decide
from predictor.core.lead_time import LeadTimeSource, horizon, lead_times
from predictor.core.policy import ModuleOverride, Policy
from predictor.core.policy_rows import policy_rows
from predictor.core.state import LEAD_SAMPLES_MAX, State, aligned, new_state
from tests.core.core_values import (
    CORE,
    EU,
    NOW_S,
    US,
    a_policy,
    an_hpa,
    some_inputs,
    three_regions,
    warm_state,
)


def a_raise(state: State, start_s: float, floor: int, ready_after_s: int) -> State:
    """A floor is raised from 3 and its pods are Ready so much later; then it is lowered by hand."""
    policy = a_policy()
    peak = 100.0 * floor
    decision, state = decide(some_inputs(peak=peak), policy, state, start_s)
    assert decision.floors[0].floor == floor
    for seconds in range(15, ready_after_s + 15, 15):
        ready = floor if seconds >= ready_after_s else 3
        hpa = an_hpa(min_replicas=floor, spec_replicas=floor, ready_replicas=ready)
        _, state = decide(some_inputs([hpa], peak=peak), policy, state, start_s + seconds)
    _, state = decide(some_inputs(), policy, state, start_s + ready_after_s + 15)
    return state


def test_three_raises_measure_the_lead_time() -> None:
    policy = a_policy()
    state = warm_state(some_inputs(), policy)
    seen = []
    for number, ready_after_s in enumerate((60, 90, 75)):
        state = a_raise(state, NOW_S + 1000 * number, 6, ready_after_s)
        leads = lead_times(state.targets, policy_rows(policy, [CORE]))
        seen.append((leads.lead_time_s[0], leads.source(0)))

    assert seen == [
        (120.0, LeadTimeSource.CONFIGURED),
        (120.0, LeadTimeSource.CONFIGURED),
        (90.0, LeadTimeSource.MEASURED),
    ]


def test_a_raise_that_never_gets_ready_teaches_nothing() -> None:
    policy = a_policy()
    state = warm_state(some_inputs(), policy)
    _, state = decide(some_inputs(peak=600.0), policy, state, NOW_S)
    for seconds in (15, 500, 1000):
        blocked = an_hpa(min_replicas=6, spec_replicas=6, ready_replicas=3)
        _, state = decide(some_inputs([blocked], peak=600.0), policy, state, NOW_S + seconds)
    ready = an_hpa(min_replicas=6, spec_replicas=6)
    _, state = decide(some_inputs([ready], peak=600.0), policy, state, NOW_S + 1100)

    assert np.isnan(state.targets.lead_samples_s).all()


def test_a_raise_above_what_is_already_ready_only_is_measured() -> None:
    policy = a_policy()
    state = warm_state(some_inputs(), policy)
    for seconds in (0, 15, 30):
        floor = 3 if seconds == 0 else 6
        hpa = an_hpa(min_replicas=floor, spec_replicas=9, ready_replicas=9)
        _, state = decide(some_inputs([hpa], peak=600.0), policy, state, NOW_S + seconds)

    assert np.isnan(state.targets.lead_samples_s).all()


def test_samples_are_bounded_and_the_newest_count() -> None:
    state = warm_state(some_inputs(), a_policy())
    for number in range(LEAD_SAMPLES_MAX + 4):
        state = a_raise(state, NOW_S + 1000 * number, 6, 30 if number < 4 else 60)

    assert state.targets.lead_samples_s.shape == (1, LEAD_SAMPLES_MAX)
    assert set(state.targets.lead_samples_s[0]) == {60.0}


def test_unpinned_demand_waits_for_the_slowest_region() -> None:
    policy = Policy(targets={"core/eu-west-1": ModuleOverride(lead_time_default_s=300.0)})
    keys = three_regions()

    window = horizon(keys, policy, new_state(), age_s=40.0)

    assert window.lead_s.tolist() == [160.0, 340.0, 160.0, 340.0]
    assert window.hold_s.tolist() == [120.0] * 4


def test_a_horizon_knows_only_what_its_own_target_measured() -> None:
    state = new_state()
    targets = aligned(state, [TargetKey("core", US), TargetKey("core", EU)])
    targets.lead_samples_s[0, :3] = (60, 70, 80)
    known = State(1, NOW_S, (TargetKey("core", US), TargetKey("core", EU)), targets)

    window = horizon((SeriesKey("core", EU), SeriesKey("core", US)), Policy(), known)

    assert window.lead_s.tolist() == [120.0, 80.0]


def test_a_service_that_has_decided_nothing_has_configured_lead_times() -> None:
    window = horizon((SeriesKey("core", ALL_REGIONS),), Policy(), new_state())

    assert window.lead_s.tolist() == [120.0]


def lead_time(state: State) -> tuple[float, LeadTimeSource]:
    leads = lead_times(state.targets, policy_rows(a_policy(), [CORE]))
    return float(leads.lead_time_s[0]), leads.source(0)


def scaled_up(state: State, start_s: float, ready_after_s: int, **changes: Any) -> State:
    """The HPA asks for 6 pods by itself, which are Ready so much later, and goes back to 3."""
    for seconds in range(0, ready_after_s + 10, 10):
        ready = 6 if seconds >= ready_after_s else 3
        hpa = an_hpa(spec_replicas=6, ready_replicas=ready, **changes)
        _, state = decide(some_inputs([hpa]), a_policy(), state, start_s + seconds)
    _, state = decide(
        some_inputs([an_hpa(**changes)]), a_policy(), state, start_s + ready_after_s + 10
    )
    return state


def a_watched_fleet(template: str = "") -> State:
    inputs = some_inputs([an_hpa(template=template)])
    return warm_state(inputs, a_policy(), NOW_S - 10.0)


def test_a_raise_that_is_ready_by_the_next_look_took_no_longer_than_that() -> None:
    state = warm_state(some_inputs(), a_policy())
    for number in range(3):
        state = a_raise(state, NOW_S + 1000 * number, 6, 15)

    assert lead_time(state) == (15.0, LeadTimeSource.MEASURED)


def test_a_fleet_in_shadow_learns_from_the_scale_ups_of_its_hpa() -> None:
    state, now_s = a_watched_fleet(), NOW_S
    for _ in range(3):
        state = scaled_up(state, now_s, 50)
        now_s += 70.0

    # The first look that shows a scale-up comes up to ten seconds after it.
    assert lead_time(state) == (60.0, LeadTimeSource.SCALE_UPS)


def test_our_own_raises_count_before_the_scale_ups_of_the_hpa() -> None:
    state = a_watched_fleet()
    for number in range(3):
        state = scaled_up(state, NOW_S + 70.0 * number, 50)
    for number in range(3):
        state = a_raise(state, NOW_S + 1000.0 * (number + 1), 6, 90)

    assert lead_time(state) == (90.0, LeadTimeSource.MEASURED)


def test_pods_that_something_blocks_teach_nothing() -> None:
    state = a_watched_fleet()
    for number in range(3):
        state = scaled_up(state, NOW_S + 70.0 * number, 50, blocked="quota exceeded")

    assert lead_time(state) == (120.0, LeadTimeSource.CONFIGURED)


def test_looks_too_far_apart_date_no_scale_up() -> None:
    state = warm_state(some_inputs(), a_policy(), NOW_S - 600.0)
    for number in range(3):
        state = scaled_up(state, NOW_S + 1000.0 * number, 50)

    assert lead_time(state) == (120.0, LeadTimeSource.CONFIGURED)


def test_after_a_deploy_the_former_lead_time_is_likely_until_there_are_new_ones() -> None:
    state = a_watched_fleet("1")
    told = []
    for number in range(6):
        template, ready_after_s = ("1", 50) if number < 3 else ("2", 150)
        state = scaled_up(state, NOW_S + 170.0 * number, ready_after_s, template=template)
        _, state = decide(
            some_inputs([an_hpa(template=template)]),
            a_policy(),
            state,
            NOW_S + 170.0 * (number + 1) - 10.0,
        )
        told.append(lead_time(state))

    assert told[2:] == [
        (60.0, LeadTimeSource.SCALE_UPS),
        (60.0, LeadTimeSource.FORMER),
        (60.0, LeadTimeSource.FORMER),
        (160.0, LeadTimeSource.SCALE_UPS),
    ]


def test_a_raise_to_pods_that_were_on_their_way_measures_nothing() -> None:
    policy = a_policy()
    scaled = an_hpa(spec_replicas=10, ready_replicas=4)  # the HPA asked for these before
    state = warm_state(some_inputs([scaled]), policy)
    _, state = decide(some_inputs([scaled], peak=600.0), policy, state, NOW_S)
    for seconds, ready in ((10.0, 4), (20.0, 10)):
        hpa = an_hpa(min_replicas=6, spec_replicas=10, ready_replicas=ready)
        _, state = decide(some_inputs([hpa], peak=600.0), policy, state, NOW_S + seconds)

    assert not np.isfinite(state.targets.lead_samples_s).any()


def test_pods_that_got_ready_while_nobody_looked_for_an_hour_teach_nothing() -> None:
    policy = a_policy()
    state = warm_state(some_inputs(), policy)
    _, state = decide(some_inputs(peak=600.0), policy, state, NOW_S)
    for seconds, ready in ((10.0, 3), (3600.0, 6)):
        hpa = an_hpa(min_replicas=6, spec_replicas=6, ready_replicas=ready)
        _, state = decide(some_inputs([hpa], peak=600.0), policy, state, NOW_S + seconds)

    assert not np.isfinite(state.targets.lead_samples_s).any()
