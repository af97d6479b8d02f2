"""What an owner writes on the HPA steers that target and no other, also the forecast's window."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from models.series import ALL_REGIONS, SeriesKey
from predictor.core.audit import encode_record, replay
from predictor.core.cluster import HpaView, TargetKey
from predictor.core.decide import decide
from predictor.core.decision import FloorDecision
from predictor.core.lead_time import horizon
from predictor.core.opt_in import FIELD_MANAGER, KeptState, Mode, OptIn
from predictor.core.policy import Policy, RoutePolicy
from predictor.core.reasons import Code, Reason
from predictor.core.state import new_state
from tests.core.core_values import (
    EU,
    NOW_S,
    ROLE,
    US,
    a_policy,
    a_route,
    an_hpa,
    codes,
    decided,
    some_inputs,
    warm_state,
)

BAND = OptIn(mode=Mode.ACTIVE, floor=3, ceiling=15)


def one(hpa: HpaView, policy: Policy | None = None, **values: Any) -> FloorDecision:
    return decided(some_inputs([hpa], **values), policy).floors[0]


def ours(floor: int = 8, opt_in: OptIn = BAND, until_s: float | None = NOW_S + 800) -> HpaView:
    """An HPA whose field holds a floor that we wrote."""
    return an_hpa(
        min_replicas=floor,
        floor_manager=FIELD_MANAGER,
        opt_in=opt_in,
        kept=KeptState(until_s, 1),
    )


def test_the_owners_ceiling_is_the_most() -> None:
    row = one(ours(14), peak=1900.0)

    assert row.floor == 15
    assert Code.ABOVE_CEILING in codes(row.reasons)


def test_the_owners_floor_is_the_baseline_of_a_floor_of_ours() -> None:
    row = one(ours(8), peak=1.0, demand=1.0)

    assert (row.baseline_replicas, row.floor) == (3, 6)


@pytest.mark.parametrize("peak", [1.0, 1200.0])
def test_a_floor_that_somebody_else_set_above_the_owners_stays_theirs(peak: float) -> None:
    hpa = an_hpa(min_replicas=8, baseline_replicas=8, opt_in=BAND, floor_manager="kubectl-edit")

    row = one(hpa, peak=peak, demand=1.0)

    assert (row.floor, row.intent) == (8, None)
    assert row.reasons[0].code is Code.CONFLICT
    assert "kubectl-edit set minReplicas to 8" in row.reasons[0].sentence


def test_the_owners_step_is_the_most_that_one_raise_adds() -> None:
    opt_in = msgspec.structs.replace(BAND, step_up_replicas_max=2)

    assert one(ours(8, opt_in), peak=1500.0).floor == 10


def test_an_annotation_of_one_target_changes_no_other() -> None:
    opt_in = msgspec.structs.replace(BAND, quantile=0.5, hold_s=600.0)
    plain, said = an_hpa(ROLE), an_hpa(opt_in=opt_in)

    alone = decided(some_inputs([plain])).floors[0]
    core, role = decided(some_inputs([said, plain])).floors

    assert (core.quantile, core.hold_s) == (0.5, 600.0)
    assert role == alone


def test_the_forecasts_window_is_as_long_as_the_owner_says() -> None:
    keys = [SeriesKey("core", region) for region in (US, EU, ALL_REGIONS)]
    hpa = an_hpa(TargetKey("core", EU), opt_in=OptIn(hold_s=900.0))

    window = horizon(keys, Policy(), new_state(), hpas=[hpa])

    assert window.hold_s.tolist() == [120.0, 900.0, 900.0]


@pytest.mark.parametrize(
    ("annotated", "configured", "mode"),
    [
        pytest.param(None, {}, Mode.SHADOW, id="nobody says anything"),
        pytest.param(None, {"core": Mode.ACTIVE}, Mode.ACTIVE, id="the module is configured"),
        pytest.param(
            None,
            {"core": Mode.ACTIVE, f"core/{US}": Mode.SHADOW},
            Mode.SHADOW,
            id="the region is narrower",
        ),
        pytest.param(Mode.SHADOW, {"core": Mode.ACTIVE}, Mode.SHADOW, id="the owner wins"),
    ],
)
def test_the_narrowest_word_on_the_mode_wins(
    annotated: Mode | None, configured: dict[str, Mode], mode: Mode
) -> None:
    hpa = an_hpa(opt_in=OptIn(mode=annotated, floor=3, ceiling=15))

    row = one(hpa, a_policy(modes=configured), peak=700.0)

    assert row.mode is mode
    assert row.intent is not None
    assert (row.intent.only_recorded is None) == (mode is Mode.ACTIVE)


def test_active_without_a_band_is_only_recorded_and_says_what_is_missing() -> None:
    hpa = an_hpa(opt_in=OptIn(mode=Mode.ACTIVE, floor=3))

    row = one(hpa, peak=700.0)
    allowed = one(hpa, a_policy(band_required=False), peak=700.0)

    assert row.intent is not None
    assert row.intent.only_recorded is not None
    assert row.intent.only_recorded.code is Code.NOT_OPTED_IN
    assert "predictor.mplp.io/ceiling" in row.reasons[-1].sentence
    assert allowed.intent is not None
    assert allowed.intent.only_recorded is None


def test_a_paused_floor_of_ours_goes_home_in_steps_although_demand_is_high() -> None:
    paused = msgspec.structs.replace(BAND, mode=Mode.PAUSED)

    row = one(ours(opt_in=paused), peak=1500.0, demand=1500.0)

    assert row.floor == 6
    assert row.intent is not None
    assert row.intent.only_recorded is None
    assert {Code.PAUSED, Code.RELEASE_IN_STEPS} <= set(codes(row.reasons))


@pytest.mark.parametrize(
    ("hpa", "code"),
    [
        pytest.param(
            an_hpa(opt_in=OptIn(mode=Mode.PAUSED)), Code.PAUSED, id="paused, nothing of ours"
        ),
        pytest.param(
            an_hpa(opt_in=OptIn(mode=Mode.ACTIVE, faults=("floor is 'x'",))),
            Code.ANNOTATION_UNREADABLE,
            id="an annotation with a slip",
        ),
        pytest.param(
            an_hpa(held_back=Reason(Code.SCALED_OBJECT, "made by a ScaledObject")),
            Code.SCALED_OBJECT,
            id="somebody else's",
        ),
    ],
)
def test_what_its_owner_or_another_keeps_is_left_alone_with_its_reason(
    hpa: HpaView, code: Code
) -> None:
    row = one(hpa, peak=900.0)

    assert row.intent is None
    assert row.reasons[0].code is code
    assert row.floor == 3


def test_a_note_of_the_view_is_told_and_stops_nothing() -> None:
    note = Reason(Code.GIT_OPS_REVERTS, "applied from a repository")

    row = one(an_hpa(notes=(note,)), peak=700.0)

    assert row.reasons[-1] == note
    assert row.floor == 7


def test_weights_are_only_recorded_while_one_region_is_in_shadow() -> None:
    keys = tuple(SeriesKey("core", region) for region in (US, EU, ALL_REGIONS))
    hpas = [an_hpa(TargetKey("core", region), ready_replicas=20) for region in (US, EU)]
    active = [msgspec.structs.replace(hpa, opt_in=BAND) for hpa in hpas]
    policy = a_policy(routes={"core": RoutePolicy(home_weights={US: 50, EU: 50})})

    def intent(views: list[HpaView]) -> Any:
        routes = [a_route({US: 90, EU: 10})]
        inputs = some_inputs(views, keys=keys, routes=routes, peak=100.0)
        return decided(inputs, policy).weights[0].intent

    assert intent(active).only_recorded is None
    assert intent([active[0], hpas[1]]).only_recorded.code is Code.SHADOW


def test_no_weight_goes_to_pods_that_do_not_become_ready() -> None:
    keys = tuple(SeriesKey("core", region) for region in (US, EU, ALL_REGIONS))
    peak = {SeriesKey("core", ALL_REGIONS): 3000.0}
    policy = a_policy(routes={"core": RoutePolicy(home_weights={US: 80, EU: 20})})

    def wanted(blocked: str) -> tuple[int, ...]:
        hpas = [
            an_hpa(TargetKey("core", US), ready_replicas=20),
            an_hpa(TargetKey("core", EU), ready_replicas=3, blocked=blocked),
        ]
        routes = [a_route({US: 80, EU: 20})]
        inputs = some_inputs(hpas, keys=keys, routes=routes, peak=peak, demand=peak)
        return decided(inputs, policy).weights[0].weights_wanted

    assert wanted("")[1] > 20
    assert wanted("a quota lets no more pods in")[1] <= 20


def test_a_decision_under_annotations_replays_to_the_byte() -> None:
    opt_in = msgspec.structs.replace(BAND, quantile=0.75, step_up_replicas_max=1)
    inputs, policy = some_inputs([ours(opt_in=opt_in), an_hpa(ROLE)], peak=900.0), a_policy()
    before = warm_state(inputs, policy)

    decision, _ = decide(inputs, policy, before, NOW_S)
    body = encode_record(inputs, policy, before, decision)

    assert decision.floors[0].floor == 9
    assert replay(body) == body
