from __future__ import annotations

from typing import Any

import pytest

from predictor.core.hpa_twin.controller import Limit, new_hpa_state, sync
from predictor.core.hpa_twin.observation import Observation, PodGroup
from predictor.core.hpa_twin.spec import DEFAULT_FLAGS
from tests.core.hpa_worlds import CPU_METRIC, QUEUE_METRIC, an_hpa, pods, queued, seen, synced

STARTING = PodGroup(2, -10.0, False, -10.0, False, {"cpu": 900, "rps": 0})


@pytest.mark.parametrize(
    ("observation", "recommended"),
    [
        pytest.param(seen(pods(4, rps=150_000)), 6, id="half more load, half more pods"),
        pytest.param(seen(pods(4, rps=109_000)), 4, id="within the tolerance nothing changes"),
        pytest.param(
            seen(pods(4, rps=50_000), pods(2)), 4, id="no sample, on target on the way down"
        ),
        pytest.param(seen(pods(4, rps=150_000), pods(2)), 6, id="no sample, idle on the way up"),
        pytest.param(
            seen(pods(4, rps=150_000), pods(2)._replace(deleting=True)),
            6,
            id="pods on their way out are not counted",
        ),
        pytest.param(
            seen(pods(4, rps=150_000), pods(1, rps=0)._replace(pending=True)),
            6,
            id="pods without a node count as idle on the way up",
        ),
    ],
)
def test_the_metric_asks_for_as_many_pods_as_the_controller_would(
    observation: Observation, recommended: int
) -> None:
    done = sync(an_hpa(), observation, new_hpa_state(), 0.0)

    assert done.recommended == recommended


def test_the_burst_of_cpu_at_start_up_asks_for_nothing() -> None:
    observation = seen(pods(4, cpu=500), STARTING)

    assert sync(an_hpa(CPU_METRIC), observation, new_hpa_state(), 0.0).recommended == 6
    ripe = STARTING._replace(ready=True)
    later_s = DEFAULT_FLAGS.cpu_initialization_s
    late = sync(an_hpa(CPU_METRIC), seen(pods(4, cpu=500), ripe), new_hpa_state(), later_s)
    assert late.recommended == 8


def test_nothing_is_scaled_down_while_a_metric_fails() -> None:
    hpa = an_hpa(CPU_METRIC, QUEUE_METRIC)
    failing: dict[str, Any] = {"objects": {"queue": 9000}, "failed": frozenset({"queue"})}

    down = sync(hpa, seen(pods(8, cpu=100), **failing), new_hpa_state(), 0.0)
    up = sync(hpa, seen(pods(8, cpu=900), **failing), new_hpa_state(), 0.0)

    assert (down.replicas, down.limited_by) == (8, Limit.METRICS_FAILED)
    assert up.replicas == 15
    assert up.error is not None
    assert "queue: the call failed" in up.error


def test_bounds_are_enforced_without_a_look_at_the_metrics() -> None:
    hpa, nothing = an_hpa(), frozenset({"rps"})

    raised = sync(hpa, seen(pods(2), replicas_min=7, failed=nothing), new_hpa_state(), 0.0)
    lowered = sync(hpa, seen(pods(9), replicas_max=5, failed=nothing), new_hpa_state(), 0.0)

    assert (raised.replicas, raised.limited_by, raised.error) == (7, Limit.BELOW_MIN, None)
    assert (lowered.replicas, lowered.limited_by) == (5, Limit.ABOVE_MAX)


def test_a_lowered_floor_is_not_stabilised() -> None:
    hpa = an_hpa(QUEUE_METRIC, behavior={})
    raised = [queued(2, 2, replicas_min=8)] + [queued(2, 8, replicas_min=8)] * 30

    assert synced(hpa, [*raised, queued(2, 8)])[-1].replicas == 2


def test_without_behavior_the_last_five_minutes_hold_replicas_up() -> None:
    quiet = [queued(6, 6)] + [queued(2, 6)] * 21
    done = synced(an_hpa(QUEUE_METRIC), quiet)

    assert {one.replicas for one in done[:21]} == {6}
    assert done[20].limited_by is Limit.SCALE_DOWN_STABILISED
    assert done[21].replicas == 2


def test_zero_replicas_that_a_person_set_stay_zero() -> None:
    hpa = an_hpa(QUEUE_METRIC)
    by_itself = synced(hpa, [queued(0, 1, replicas_min=0)] * 22 + [queued(5, 0, replicas_min=0)])

    assert sync(hpa, queued(5, 0, replicas_min=0), new_hpa_state(), 0.0).replicas == 0
    assert by_itself[-2].replicas == 0
    assert by_itself[-1].replicas == 4


def test_what_is_remembered_is_bounded() -> None:
    behavior = {"scaleUp": {"stabilizationWindowSeconds": 60}}
    seesaw = [queued(5 + place % 3, 5 + (place + 1) % 3) for place in range(2000)]

    state = synced(an_hpa(QUEUE_METRIC, behavior=behavior), seesaw)[-1].state

    assert max(len(state.highest), len(state.lowest), len(state.raises), len(state.falls)) < 25
