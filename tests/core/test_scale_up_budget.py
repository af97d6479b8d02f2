from __future__ import annotations

from typing import Any

import pytest

from predictor.core.hpa_twin.scale_up_budget import scale_up_budget_notes
from predictor.core.reasons import Code
from tests.core.hpa_worlds import QUEUE_METRIC, an_hpa, followed

FOUR = {"type": "Pods", "value": 4, "periodSeconds": 15}
AFTER = "after a raise of 4 at 10 replicas, behavior.scaleUp lets metrics add "
HALF = {"type": "Percent", "value": 50, "periodSeconds": 60}


def _scale_up(*policies: dict[str, Any], select: str = "Max") -> dict[str, Any]:
    return {"scaleUp": {"policies": list(policies), "selectPolicy": select}}


@pytest.mark.parametrize(
    ("behavior", "interval_s", "told"),
    [
        (
            _scale_up(FOUR),
            60,
            [f"{AFTER}0 instead of 4 for 15 s"],
        ),
        (
            _scale_up(FOUR, HALF),
            60,
            [f"{AFTER}1 instead of 7 for 60 s"],
        ),
        (
            _scale_up(HALF),
            30,
            [
                f"{AFTER}1 instead of 7 for 60 s",
                "while 2 raises of 4 follow each other every 30 s up to 14 replicas, "
                "behavior.scaleUp lets metrics add 0",
            ],
        ),
        (_scale_up(FOUR, select="Disabled"), 15, []),
        (None, 15, []),
    ],
)
def test_what_a_raise_leaves_of_the_scale_up_budget_is_told(
    behavior: Any, interval_s: float, told: list[str]
) -> None:
    notes = scale_up_budget_notes(an_hpa(behavior=behavior), 4, interval_s, 10)

    assert [note.sentence for note in notes] == told
    assert {note.code for note in notes} <= {Code.SCALE_UP_BUDGET}


def test_the_twin_loses_as_much_as_the_note_says() -> None:
    behavior = _scale_up({**FOUR, "periodSeconds": 60})
    hpa = an_hpa(QUEUE_METRIC, behavior=behavior)

    #           0 s  15  30  45  60 s
    floor = [14, 14, 14, 14, 14]
    path = followed(hpa, [30] * 5, floor, replicas=10)

    (note,) = scale_up_budget_notes(hpa, 4, 600, 10)
    assert note.sentence.endswith("lets metrics add 0 instead of 4 for 60 s")
    assert path == [14, 14, 14, 14, 18]
