"""Which weights a route returns to, when they run out, and what a person's change means."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from models.series import ALL_REGIONS, SeriesKey
from predictor.core.cluster import RouteView, TargetKey
from predictor.core.decide import decide
from predictor.core.decision import WeightDecision
from predictor.core.inputs import Inputs
from predictor.core.opt_in import KeptWeights, Mode, OptIn
from predictor.core.policy import Policy, RoutePolicy
from predictor.core.reasons import Code
from predictor.core.state import State, new_state
from tests.core.core_values import (
    AP,
    EU,
    NOW_S,
    US,
    a_policy,
    a_route,
    an_hpa,
    codes,
    some_inputs,
    three_regions,
)

HOME, AWAY = {US: 50, EU: 30, AP: 20}, {US: 36, EU: 38, AP: 26}
BY_HAND = {US: 10, EU: 70, AP: 20}
CONFIGURED = a_policy(routes={"core": RoutePolicy(home_weights=HOME)})
SEEN_FIRST = a_policy(routes={"core": RoutePolicy()})
CALM = {SeriesKey("core", ALL_REGIONS): 1000.0}
CROWDED = {SeriesKey("core", ALL_REGIONS): 5000.0}
"""More than the first region carries at home: 2,500/s on 20 pods of 100/s each."""


def inputs_of(
    route: RouteView, demand: dict[SeriesKey, float] | None = None, **more: Any
) -> Inputs:
    """Regions with 20 Ready pods of 100/s each, and a crowd that keeps weights away."""
    lets = {"opt_in": OptIn(Mode.ACTIVE, 3, 20), "ready_replicas": 20, "max_replicas": 20}
    hpas = [an_hpa(TargetKey("core", one), **lets) for one in HOME]
    load = CROWDED if demand is None else demand
    return some_inputs(hpas, keys=three_regions(), routes=[route], peak=load, demand=load, **more)


def after(
    *routes: RouteView,
    policy: Policy = CONFIGURED,
    demand: dict[SeriesKey, float] | None = None,
    **more: Any,
) -> WeightDecision:
    """The last of the decisions on these, a minute apart, of a service that is warm."""
    state: State = new_state()
    for place, route in enumerate((routes[0], *routes)):
        now_s = NOW_S + 60.0 * (place - len(routes))
        decision, state = decide(inputs_of(route, demand, **more), policy, state, now_s)
    return decision.weights[0]


def kept(route: RouteView, **changes: Any) -> RouteView:
    return msgspec.structs.replace(route, kept=msgspec.structs.replace(route.kept, **changes))


def test_a_configured_home_wins_over_the_annotation_and_it_is_said() -> None:
    made = after(a_route(AWAY, home=BY_HAND))

    assert made.weights_home == (50, 30, 20)
    assert Code.HOME_WEIGHTS in codes(made.reasons)


def test_after_a_restart_in_mid_move_the_annotation_says_where_home_is() -> None:
    made = after(a_route(AWAY, home=HOME), policy=SEEN_FIRST, demand=CALM)

    assert made.weights_home == made.weights_wanted == (50, 30, 20)
    assert Code.HOME_WEIGHTS in codes(made.reasons)


def test_where_we_never_moved_anything_home_is_what_is_seen() -> None:
    made = after(a_route(HOME), a_route(BY_HAND), policy=SEEN_FIRST, demand=CALM)

    assert made.weights_home == (10, 70, 20)
    assert made.intent is None


@pytest.mark.parametrize("policy", [CONFIGURED, SEEN_FIRST], ids=["configured", "seen first"])
def test_weights_that_a_person_set_after_us_are_home_from_then_on(policy: Policy) -> None:
    ours = a_route(AWAY, home=HOME)
    theirs = msgspec.structs.replace(a_route(BY_HAND), kept=ours.kept)

    made = after(ours, theirs, theirs, policy=policy, demand=CALM)

    assert made.weights_home == made.weights == (10, 70, 20)
    assert "somebody set us-east-1 10, eu-west-1 70" in made.reasons[1].sentence


def test_weights_that_a_person_set_before_our_eyes_stay_theirs_until_home_is_set_again() -> None:
    theirs = after(a_route(HOME), a_route(BY_HAND), a_route(BY_HAND), demand=CALM)
    again = after(a_route(HOME), a_route(BY_HAND), a_route(HOME), a_route(HOME), demand=CALM)

    assert theirs.weights_home == theirs.weights == (10, 70, 20)
    assert again.weights_home == again.weights == (50, 30, 20)


def test_away_from_home_weights_carry_until_when_why_and_home() -> None:
    made = after(a_route(HOME))

    assert made.intent is not None
    assert made.intent.weights != made.intent.home == (50, 30, 20)
    assert made.intent.until_s == NOW_S + 900.0
    assert "carries" in made.intent.reason


@pytest.mark.parametrize(("left_s", "is_written"), [(500.0, False), (400.0, True), (2e4, True)])
def test_weights_are_renewed_in_the_second_half_of_their_time(
    left_s: float, is_written: bool
) -> None:
    first = after(a_route(HOME))
    stand = dict(zip(HOME, first.weights_wanted, strict=True))

    made = after(a_route(stand, home=HOME, until_s=NOW_S + left_s))

    assert made.weights == made.weights_now
    assert (made.intent is not None) is is_written
    assert (Code.RENEWED in codes(made.reasons)) is is_written


def test_weights_of_which_nothing_is_known_are_not_renewed_and_so_run_out() -> None:
    made = after(a_route(AWAY, home=HOME, until_s=NOW_S + 1), age_s=200.0)

    assert made.intent is None
    assert codes(made.reasons)[0] == Code.STALE_TELEMETRY


def test_the_last_step_home_drops_the_expiry() -> None:
    made = after(a_route({US: 46, EU: 33, AP: 21}, home=HOME), demand=CALM)

    assert made.intent is not None
    assert (made.intent.weights, made.intent.until_s) == ((50, 30, 20), None)


def test_a_home_that_does_not_stand_on_the_route_is_written_there_before_it_is_dropped() -> None:
    moved = a_route({US: 46, EU: 33, AP: 21})
    first = after(moved, demand=CALM)
    stands = a_route(HOME, home=HOME)
    second = after(stands, demand=CALM)

    assert first.intent is not None
    assert (first.intent.weights, first.intent.until_s) == ((50, 30, 20), NOW_S + 900.0)
    assert second.intent is not None
    assert (second.intent.weights, second.intent.until_s) == ((50, 30, 20), None)
    assert Code.HANDED_BACK in codes(second.reasons)


@pytest.mark.parametrize(
    "changes",
    [{"faults": ("home is 'x'",)}, {"home": {"other.host": 100}, "written": {"other.host": 100}}],
    ids=["unreadable", "of other hosts"],
)
def test_what_cannot_be_read_keeps_us_from_the_route_with_the_command_that_ends_it(
    changes: dict[str, Any],
) -> None:
    made = after(kept(a_route(AWAY, home=HOME), **changes))

    assert made.intent is None
    assert made.weights == made.weights_now == (36, 38, 26)
    assert codes(made.reasons) == [Code.ANNOTATION_UNREADABLE]
    assert "kubectl annotate virtualservice mplp-global-traffic" in made.reasons[0].sentence


def test_without_the_owners_word_a_move_is_only_recorded_with_the_command_that_allows_it() -> None:
    made = after(a_route(HOME, is_shift_enabled=False, kept=KeptWeights()))

    assert made.intent is not None
    assert made.intent.only_recorded is not None
    assert codes(made.reasons)[-1] == Code.NOT_OPTED_IN
    assert "predictor.mplp.io/shift=enabled" in made.reasons[-1].sentence
