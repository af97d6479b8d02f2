"""The reactive HPA's rules, one by one, against what Kubernetes documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.actuators.reactive_hpa import ReactiveHpa, Scene


def a_scene(replicas: int = 4, metric: float | None = 100.0, **changes: int) -> Scene:
    starting = changes.pop("starting", 0)
    unmeasured = changes.pop("unmeasured", 0)
    return Scene(
        replicas=replicas,
        measured=replicas - starting - unmeasured,
        unmeasured=unmeasured,
        starting=starting,
        replicas_min=changes.pop("replicas_min", 1),
        replicas_max=changes.pop("replicas_max", 100),
        metric_per_pod=metric,
    )


@pytest.mark.parametrize(
    ("scene", "wanted"),
    [
        (a_scene(metric=100.0), 4),
        (a_scene(metric=109.0), 4),
        (a_scene(metric=91.0), 4),
        (a_scene(metric=130.0), 6),
        (a_scene(metric=50.0), 2),
        (a_scene(metric=1000.0), 8),
        (a_scene(replicas=2, metric=1000.0), 6),
        (a_scene(metric=None), 4),
        (a_scene(metric=None, replicas_min=9), 9),
        (a_scene(metric=1000.0, replicas_max=3), 3),
        (a_scene(metric=1000.0, replicas_max=5), 5),
        (a_scene(metric=10.0, replicas_min=3), 3),
        (a_scene(replicas=0, metric=None, replicas_min=3), 0),
        (a_scene(metric=150.0, starting=1), 5),
        (a_scene(metric=130.0, starting=2), 4),
        (a_scene(metric=140.0, unmeasured=2), 4),
        (a_scene(metric=50.0, unmeasured=2), 3),
    ],
    ids=[
        "on target nothing changes",
        "within tolerance above nothing changes",
        "within tolerance below nothing changes",
        "above target the ratio of pods is rounded up",
        "below target pods go",
        "at most twice the pods in a step",
        "or four pods, if that is more",
        "without a metric nothing changes",
        "below the minimum it jumps there without any metric",
        "above the maximum it falls to it",
        "it stops at the maximum",
        "it stops at the minimum",
        "what a person switched off stays off",
        "a starting pod counts as idle on the way up",
        "starting pods can make a raise unneeded",
        "a pod without a sample counts as idle on the way up",
        "and as on target on the way down",
    ],
)
def test_one_sync(scene: Scene, wanted: int) -> None:
    assert ReactiveHpa(100.0).sync(0.0, scene) == wanted


def test_it_falls_only_to_what_was_asked_within_five_minutes() -> None:
    # metric asks   6 at 0 s      2 from 15 s on
    # replicas      6 ............... 6 until 300 s, then 2
    hpa = ReactiveHpa(100.0)
    hpa.sync(0.0, a_scene(replicas=6, metric=100.0))

    replicas = {t: hpa.sync(float(t), a_scene(replicas=6, metric=30.0)) for t in (15, 285, 300)}

    assert replicas == {15: 6, 285: 6, 300: 2}


def test_a_lowered_floor_is_not_stabilised() -> None:
    # floor     12 held for ten minutes, metric asks 3 all the while; then floor 3
    hpa = ReactiveHpa(100.0)
    for t in range(0, 600, 15):
        hpa.sync(float(t), a_scene(replicas=12, metric=25.0, replicas_min=12))

    wanted = hpa.sync(600.0, a_scene(replicas=12, metric=25.0, replicas_min=3))

    assert wanted == 3


def test_a_raised_floor_uses_up_the_period_of_scaling_up() -> None:
    hpa = ReactiveHpa(100.0)
    hpa.sync(0.0, a_scene(replicas=4, replicas_min=8))

    soon = hpa.sync(5.0, a_scene(replicas=8, metric=300.0))
    later = hpa.sync(20.0, a_scene(replicas=8, metric=300.0))

    assert (soon, later) == (8, 16)


@given(
    st.integers(1, 50),
    st.floats(0.0, 1e6),
    st.integers(1, 30),
    st.integers(0, 30),
)
def test_the_bounds_hold_whatever_the_metric_says(
    replicas: int, metric: float, replicas_min: int, room: int
) -> None:
    scene = a_scene(
        replicas=replicas,
        metric=metric,
        replicas_min=replicas_min,
        replicas_max=replicas_min + room,
    )

    wanted = ReactiveHpa(100.0).sync(0.0, scene)

    assert replicas_min <= wanted <= replicas_min + room
