"""A clock that ran ahead for a while and was set back: nothing waits for the time to come again."""

from __future__ import annotations

import numpy as np

from predictor.core.cluster import HpaView
from predictor.core.decide import decide
from predictor.core.opt_in import FIELD_MANAGER, KeptState, Mode, OptIn
from predictor.core.state import State
from tests.core.core_values import NOW_S, a_policy, an_hpa, codes, some_inputs, warm_state

AHEAD_S = 86_400.0


def raised_ahead() -> State:
    """A service whose clock was a day ahead when it raised the floor from 3 to 6."""
    policy = a_policy()
    state = warm_state(some_inputs(), policy, NOW_S + AHEAD_S - 3600.0)
    _, state = decide(some_inputs(peak=600.0), policy, state, NOW_S + AHEAD_S)
    _, state = decide(some_inputs([raised()], peak=600.0), policy, state, NOW_S + AHEAD_S + 10.0)
    return state


def raised(ready: int = 3) -> HpaView:
    return an_hpa(min_replicas=6, spec_replicas=6, ready_replicas=ready)


def test_a_raise_waits_no_longer_than_raises_are_apart() -> None:
    policy, state = a_policy(), raised_ahead()
    for tick in range(5):
        now_s = NOW_S + 10.0 * tick
        decision, state = decide(some_inputs([raised()], peak=900.0), policy, state, now_s)

    assert decision.floors[0].floor == 9


def test_a_release_waits_no_longer_than_a_raise_is_held() -> None:
    policy, state = a_policy(), raised_ahead()
    for tick in range(33):
        now_s = NOW_S + 10.0 * tick
        decision, state = decide(some_inputs([raised(6)], peak=300.0), policy, state, now_s)

    assert decision.floors[0].floor == 4


def test_pods_of_before_teach_no_lead_time() -> None:
    policy, state = a_policy(), raised_ahead()
    assert np.isfinite(state.targets.pending_floor).any()
    _, state = decide(some_inputs([raised(6)], peak=600.0), policy, state, NOW_S)

    assert not np.isfinite(state.targets.lead_samples_s).any()


def test_the_warm_up_ends() -> None:
    policy = a_policy(warm_up_s=300.0)
    _, state = decide(some_inputs(), policy, raised_ahead(), NOW_S)
    decision, _ = decide(some_inputs([raised(6)]), policy, state, NOW_S + 400.0)

    assert "WarmingUp" not in codes(decision.floors[0].reasons)


def test_an_expiry_a_day_ahead_is_written_anew() -> None:
    policy = a_policy()
    held = an_hpa(
        min_replicas=6,
        opt_in=OptIn(mode=Mode.ACTIVE, floor=3, ceiling=20),
        floor_manager=FIELD_MANAGER,
        kept=KeptState(until_s=NOW_S + AHEAD_S),
    )
    inputs = some_inputs([held], peak=600.0, demand=600.0)
    decision, _ = decide(inputs, policy, warm_state(inputs, policy), NOW_S)
    intent = decision.floors[0].intent

    assert intent is not None
    assert intent.until_s == NOW_S + policy.expiry_s
