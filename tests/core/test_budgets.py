"""What all floors together take stays within the budgets, and everybody gets a turn."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from predictor.core.budget_policy import BudgetPolicy, SharedResource
from predictor.core.budgets import Budgeted, Fleet, limit_changes, shared_out, within_budgets
from predictor.core.cluster import MetricTarget, TargetKey
from predictor.core.decide import decide
from predictor.core.opt_in import FIELD_MANAGER, KeptState, Mode, OptIn
from predictor.core.reasons import Code
from tests.core.core_values import (
    CORE,
    EU,
    NOW_S,
    ROLE,
    US,
    a_policy,
    an_hpa,
    codes,
    decided,
    some_inputs,
    warm_state,
)

NONE = BudgetPolicy(changes_per_tick_max=None)


def a_fleet(floors: list[int], baseline: int = 2, **changes: Any) -> Fleet:
    """So many targets of core and role in turn, nothing moved yet."""
    rows = len(floors)
    values: dict[str, Any] = {
        "keys": [TargetKey(("core", "role")[row % 2], US) for row in range(rows)],
        "floor_now": np.array(floors),
        "replicas": np.array(floors),
        "baseline": np.full(rows, baseline),
        "counts": np.full(rows, True),
        "raised_at_s": np.full(rows, np.nan),
        "released_at_s": np.full(rows, np.nan),
        "kept_until_s": np.full(rows, np.nan),
    }
    return Fleet(**(values | changes))


def test_extra_pods_are_shared_out_evenly() -> None:
    fleet = a_fleet([2, 2, 2])

    made = within_budgets(np.array([10, 3, 10]), fleet, BudgetPolicy(extra_replicas_max=6), {})

    assert made.allowed.tolist() == [5, 3, 4]
    assert [reason.code for reason in made.reasons[0]] == [Code.FLEET_BUDGET]
    assert 1 not in made.reasons


def test_connections_of_all_pods_stay_within_what_the_database_takes() -> None:
    # 4 + 4 pods hold 4 x 10 + 4 x 5 = 60 of 100 connections.
    shared = {"postgres": SharedResource(100.0, {"core": 10.0, "role": 5.0})}

    made = within_budgets(np.array([9, 9]), a_fleet([4, 4]), NONE, shared)

    assert made.allowed.tolist() == [7, 6]
    assert made.reasons[0][0].sentence == (
        "postgres: the pods there are take 60 of 100; wanted 9, allowed 7"
    )


def test_pods_that_the_hpa_added_by_itself_count_and_are_left_alone() -> None:
    shared = {"postgres": SharedResource(50.0, {"core": 10.0})}
    fleet = a_fleet([2], replicas=np.array([6]))

    assert within_budgets(np.array([8]), fleet, NONE, shared).allowed.tolist() == [6]


def test_raises_go_before_renewals_and_releases() -> None:
    fleet = a_fleet([4, 4, 4, 4])
    wished = Budgeted(np.array([3, 4, 6, 5]), {})

    made, waits = limit_changes(wished, fleet, np.array([False, True, False, False]), 3)

    assert made.allowed.tolist() == [4, 4, 6, 5]
    assert waits.tolist() == [True, False, False, False]
    assert made.reasons[0][-1].code is Code.CHANGES_LIMITED


def test_a_floor_that_soon_runs_out_is_renewed_before_others_are_raised() -> None:
    fleet = a_fleet([4, 4, 4], kept_until_s=np.array([np.nan, NOW_S + 100.0, NOW_S + 400.0]))
    wished = Budgeted(np.array([6, 4, 4]), {})
    renews = np.array([False, True, True])

    made, waits = limit_changes(wished, fleet, renews, 1, urgent_until_s=NOW_S + 225.0)

    assert made.allowed.tolist() == [4, 4, 4]
    assert waits.tolist() == [True, False, True]


def test_who_waited_longest_changes_first_so_that_everybody_gets_a_turn() -> None:
    policy = a_policy(budget=BudgetPolicy(changes_per_tick_max=1))
    keys = [TargetKey("core", US), TargetKey("core", EU), TargetKey("role", US)]
    floors = dict.fromkeys(keys, 3)
    state, raised = None, []
    for tick in range(6):
        hpas = [an_hpa(key, min_replicas=floor) for key, floor in floors.items()]
        inputs = some_inputs(hpas, peak=1900.0, demand=1900.0)
        state = warm_state(inputs, policy) if state is None else state
        decision, state = decide(inputs, policy, state, NOW_S + 40 * tick)
        (intent,) = decision.floor_intents
        floors[intent.key] = intent.floor
        raised.append(intent.key)

    assert raised == keys * 2


def test_a_target_in_shadow_takes_nothing_from_those_that_act() -> None:
    active = an_hpa(CORE, opt_in=OptIn(Mode.ACTIVE, 3, 15))
    policy = a_policy(budget=BudgetPolicy(extra_replicas_max=4))

    core, role = decided(some_inputs([active, an_hpa(ROLE)], peak=700.0), policy).floors

    assert core.floor == 7
    assert Code.FLEET_BUDGET not in codes([*core.reasons, *role.reasons])


def test_a_renewal_that_must_wait_is_not_written() -> None:
    held = an_hpa(
        min_replicas=8,
        floor_manager=FIELD_MANAGER,
        opt_in=OptIn(Mode.ACTIVE, 3, 15),
        kept=KeptState(NOW_S + 10, 1),
    )
    policy = a_policy(budget=BudgetPolicy(changes_per_tick_max=0))

    row = decided(some_inputs([held], peak=800.0, demand=800.0), policy).floors[0]

    assert row.intent is None
    assert Code.CHANGES_LIMITED in codes(row.reasons)


def test_what_a_budget_leaves_of_a_raise_takes_no_sync_from_the_metrics() -> None:
    requests = MetricTarget("Pods", "mplp_requests_per_second", "AverageValue", 100.0, 200.0)
    policy = a_policy(budget=BudgetPolicy(extra_replicas_max=2))

    row = decided(some_inputs([an_hpa(metrics=(requests,))], peak=600.0), policy).floors[0]

    assert row.floor == 3
    assert codes(row.reasons)[-2:] == [Code.FLEET_BUDGET, Code.METRICS_ASK_MORE]
    assert "ask for 6 replicas of 3; the floor of 5 that a budget left" in row.reasons[-1].sentence


counts = st.lists(st.integers(0, 50), min_size=1, max_size=8)


@given(counts, st.floats(0, 500), st.data())
def test_what_is_shared_out_fits_and_is_fair(wanted: list[int], there: float, data: Any) -> None:
    costs = st.lists(st.sampled_from([1.0, 2.5, 7.0]), min_size=len(wanted), max_size=len(wanted))
    each = np.array(data.draw(costs))
    given_out = shared_out(np.array(wanted), each, there, np.arange(len(wanted)))

    assert (given_out <= wanted).all()
    assert (given_out >= 0).all()
    assert float((given_out * each).sum()) <= there + 1e-9
    short = given_out < np.array(wanted)
    if short.any():
        assert given_out.max() - given_out[short].min() <= 1


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=8),
    st.integers(0, 40),
    st.floats(0, 200),
    st.integers(0, 8),
)
def test_budgets_only_ever_take_from_raises(
    moves: list[tuple[int, int]], extra_max: int, limit: float, changes_max: int
) -> None:
    floor, wish = (np.array(column) for column in zip(*moves, strict=True))
    fleet, budget = a_fleet(floor.tolist()), BudgetPolicy(extra_replicas_max=extra_max)
    shared = {"postgres": SharedResource(limit, {"core": 3.0, "role": 1.0})}

    made = within_budgets(wish, fleet, budget, shared)
    limited, _ = limit_changes(made, fleet, np.full(len(floor), False), changes_max)

    assert (made.allowed >= np.minimum(wish, floor)).all()
    assert (made.allowed <= wish).all()
    before, after = (
        np.maximum(some - 2, 0).sum() for some in (floor, np.maximum(made.allowed, floor))
    )
    assert after <= max(extra_max, before)
    assert int((limited.allowed != floor).sum()) <= changes_max
