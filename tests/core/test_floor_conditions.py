"""What of an owner's behavior works against a floor, in words."""

from __future__ import annotations

import pytest

from predictor.core.hpa_twin.floor_conditions import floor_condition_notes
from predictor.core.hpa_twin.spec import read_hpa_spec

PODS = {"type": "Pods", "value": 4}


@pytest.mark.parametrize("behavior", [None, {}], ids=["none", "the default one"])
def test_the_usual_behavior_leaves_nothing_to_say(behavior: dict[str, object] | None) -> None:
    spec = read_hpa_spec({} if behavior is None else {"behavior": behavior})

    assert floor_condition_notes(spec, hold_after_raise_s=315) == ()


def test_a_longer_scale_down_window_than_the_hold_is_told_with_what_would_do() -> None:
    spec = read_hpa_spec({"behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}}})

    (note,) = floor_condition_notes(spec, hold_after_raise_s=315)

    assert "window is 600 s" in note
    assert "hold_after_raise_s 615" in note


def test_periods_that_differ_are_told() -> None:
    up = {"scaleUp": {"policies": [{**PODS, "periodSeconds": 60}]}}

    (note,) = floor_condition_notes(read_hpa_spec({"behavior": up}), hold_after_raise_s=315)

    assert "60 s in behavior.scaleUp and 15 s in scaleDown" in note
