"""What a floor brings and what it can cost, with the twin of the HPA as the model.

Never fewer replicas than the HPA alone, where all of this holds:

- a raise above the replicas covers what the metrics ask for (`GuardedFloor`);
- it is held for the HPA's downscale window and one sync more;
- the longest policy periods of both directions are the same, so that no scale event is forgotten;
- the metrics can be read, and maxReplicas is not lowered meanwhile;
- with load that the pods share: they are ready at once. Pods that start hold an HPA up.

Within its tolerance the HPA may rest anywhere, so with a tolerance the promise is as wide. The
tests after the properties show each condition being missed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.core.hpa_twin.observation import Observation, PodGroup
from predictor.core.hpa_twin.spec import HpaSpec
from tests.core.floor_walk import SYNC_S, GuardedFloor, asked_lately, walked
from tests.core.hpa_worlds import (
    PODS_METRIC,
    QUEUE_METRIC,
    an_hpa,
    followed,
    queued,
    seen,
)

SYNCS = 48
BASELINE, MOST = 2, 24
TOLERANCE = 0.1


@st.composite
def behaviors(draw: st.DrawFn) -> dict[str, Any] | None:
    """Any, but for the longest period, which both directions share."""
    longest_s = draw(st.sampled_from([15, 60, 120, 600]))
    periods = st.sampled_from([period for period in (15, 30, 60, 120, 600) if period <= longest_s])

    def rules() -> dict[str, Any]:
        policies = [
            {
                "type": draw(st.sampled_from(["Pods", "Percent"])),
                "value": draw(st.sampled_from([1, 2, 4, 10, 50, 100])),
                "periodSeconds": longest_s if place == 0 else draw(periods),
            }
            for place in range(draw(st.integers(1, 3)))
        ]
        return {
            "stabilizationWindowSeconds": draw(st.sampled_from([0, 15, 60, 300])),
            "selectPolicy": draw(st.sampled_from(["Max", "Min", "Disabled"])),
            "policies": policies,
        }

    return draw(st.none() | st.builds(lambda: {"scaleUp": rules(), "scaleDown": rules()}))


def _load_and_wishes(load_most: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    """A load and a wished floor for each sync.

    Both stay for a while and change together, because what a raise can cost it costs at the sync
    that it falls on.
    """
    runs = st.lists(
        st.tuples(st.integers(0, load_most), st.integers(1, MOST), st.integers(1, 24)),
        min_size=3,
        max_size=16,
    )
    return runs.map(
        lambda drawn: (
            [(load, wish) for load, wish, length in drawn for _ in range(length)] * SYNCS
        )[:SYNCS]
    )


def _held_s(hpa: HpaSpec) -> float:
    window_s = 300 if hpa.scale_down is None else hpa.scale_down.stabilisation_s
    return (300 if window_s is None else window_s) + SYNC_S


@settings(max_examples=60)
@given(behaviors(), _load_and_wishes(30_000), st.integers(BASELINE, MOST))
def test_a_floor_that_covers_and_is_held_never_leaves_fewer_replicas(
    behavior: dict[str, Any] | None, drawn: list[tuple[int, int]], replicas: int
) -> None:
    queue, wishes = zip(*drawn, strict=True)
    hpa = an_hpa(QUEUE_METRIC, behavior=behavior)

    def sight(place: int, now: int, floor: int) -> Observation:
        return queued(0, now, replicas_min=floor)._replace(
            objects={"queue": queue[place]}, replicas_max=MOST
        )

    asked = asked_lately(hpa, [length / 1000 for length in queue])
    floor = GuardedFloor(wishes, asked, BASELINE, MOST, _held_s(hpa))
    alone = walked(hpa, sight, lambda *_: BASELINE, SYNCS, replicas, 0.0)
    floored = walked(hpa, sight, floor, SYNCS, replicas, 0.0)

    assert [pair for pair in zip(floored, alone, strict=True) if pair[0] < pair[1]] == []


class _Fleet:
    """Pods that share a demand among the ready ones; each is ready a while after its start."""

    def __init__(self, demand: Sequence[int], ready_after_s: float) -> None:
        self._demand, self._ready_after_s = demand, ready_after_s
        self._starts_s: list[float] = []

    def __call__(self, place: int, replicas: int, floor: int) -> Observation:
        now_s = place * SYNC_S
        if not place:
            self._starts_s = [-3600.0] * replicas
        started_s = now_s - SYNC_S
        grown = replicas - len(self._starts_s)
        self._starts_s = (self._starts_s + [started_s] * max(grown, 0))[:replicas]
        ready = [start_s for start_s in self._starts_s if start_s + self._ready_after_s <= now_s]
        share = {"rps": self._demand[place] // max(len(ready), 1)}
        groups = tuple(
            PodGroup(1, start_s, True, start_s + self._ready_after_s, False, share)
            if start_s in ready
            else PodGroup(1, start_s, False, start_s, False, {})
            for start_s in self._starts_s
        )
        return seen(*groups, replicas=replicas, replicas_min=floor, replicas_max=MOST)


@settings(max_examples=40)
@given(
    behaviors(),
    _load_and_wishes(3_000_000),
    st.integers(BASELINE, MOST),
)
def test_with_load_shared_among_ready_pods_it_leaves_no_fewer_than_the_tolerance_allows(
    behavior: dict[str, Any] | None, drawn: list[tuple[int, int]], replicas: int
) -> None:
    demand, wishes = zip(*drawn, strict=True)
    hpa = an_hpa(PODS_METRIC, behavior=behavior)
    asked = asked_lately(hpa, [one / 100_000 for one in demand])
    floor = GuardedFloor(wishes, asked, BASELINE, MOST, _held_s(hpa))

    fleet = _Fleet(demand, ready_after_s=0.0)
    alone = walked(hpa, fleet, lambda *_: BASELINE, SYNCS, replicas, TOLERANCE)
    floored = walked(hpa, fleet, floor, SYNCS, replicas, TOLERANCE)

    least = [math.floor(one * (1 - TOLERANCE) / (1 + TOLERANCE)) for one in alone]
    assert [pair for pair in zip(floored, least, strict=True) if pair[0] < pair[1]] == []


def test_a_raise_that_does_not_cover_the_metrics_costs_them_one_sync() -> None:
    hpa = an_hpa(QUEUE_METRIC, behavior={})

    assert followed(hpa, [20, 20, 20], [1, 1, 1], replicas=10) == [20, 20, 20]
    assert followed(hpa, [20, 20, 20], [12, 12, 12], replicas=10) == [12, 20, 20]


def test_raises_at_every_sync_leave_the_metrics_unheard() -> None:
    hpa = an_hpa(QUEUE_METRIC, behavior={})
    at_every_sync, at_every_other = [11, 12, 13, 14], [11, 11, 12, 12]

    assert followed(hpa, [20] * 4, at_every_sync, replicas=10) == [11, 12, 13, 14]
    assert followed(hpa, [20] * 4, at_every_other, replicas=10) == [11, 20, 20, 20]


def test_a_spike_during_a_raise_is_forgotten_unless_the_floor_is_held_a_sync_longer() -> None:
    hpa = an_hpa(QUEUE_METRIC)
    spike = [12] + [2] * 21

    #                         raised at 0 s, released after 300 s or after 315 s
    alone = followed(hpa, spike, [1] * 22, replicas=8)
    early = followed(hpa, spike, [12] * 20 + [1] * 2, replicas=8)
    late = followed(hpa, spike, [12] * 21 + [1], replicas=8)

    assert (alone[20], early[20], late[20]) == (12, 8, 12)
    assert alone[21] == late[21] == 2


def test_the_tolerance_lets_a_floored_hpa_rest_a_little_lower() -> None:
    hpa = an_hpa(QUEUE_METRIC, behavior={})

    assert followed(hpa, [11], [1], replicas=9) == [11]
    assert followed(hpa, [11], [10], replicas=10) == [10]


def test_releases_that_the_controller_forgets_eat_its_scale_up_budget() -> None:
    policies = [{"type": "Pods", "value": 10, "periodSeconds": 600}]
    down = {"stabilizationWindowSeconds": 0}
    hpa = an_hpa(QUEUE_METRIC, behavior={"scaleUp": {"policies": policies}, "scaleDown": down})
    #               raised     released    once more   and then there is load
    floor = [20] * 21 + [15] * 4 + [11] * 4 + [11]
    queue = [10] * 29 + [30]

    assert followed(hpa, queue, [1] * 30, replicas=10)[-1] == 20
    assert followed(hpa, queue, floor, replicas=10)[-1] == 15


def test_an_hpa_that_still_waits_for_its_pods_holds_more_than_a_prepared_one() -> None:
    """Load for 20 pods falls to 9 while alone most pods start: nothing turns round for them."""
    policies = [{"type": "Percent", "value": 900, "periodSeconds": 15}]
    rules = {"scaleUp": {"policies": policies}, "scaleDown": {"stabilizationWindowSeconds": 0}}
    hpa = an_hpa(PODS_METRIC, behavior=rules)
    demand = [2_000_000, 900_000, 900_000]

    def path(floor: int) -> list[int]:
        fleet = _Fleet(demand, ready_after_s=60.0)
        return walked(hpa, fleet, lambda *_: floor, len(demand), floor, 0.0)

    assert path(3) == [20, 20, 20]
    assert path(12) == [20, 17, 14]
