"""The page about simulation.json names every field, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from predictor.simulation.figures import ArmFigures, DayFigures, SimulationResult, Trail

PAGE = Path("docs/reference/simulation.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("struct", [SimulationResult, ArmFigures, DayFigures, Trail])
def test_every_field_is_explained(struct: type[SimulationResult]) -> None:
    missing = [name for name in struct.__struct_fields__ if f"`{name}`" not in PAGE]

    assert missing == []


def test_no_field_is_explained_that_is_not_written() -> None:
    known = {
        name
        for struct in (SimulationResult, ArmFigures, DayFigures, Trail)
        for name in struct.__struct_fields__
    }
    told = {
        name
        for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }

    assert told <= known
