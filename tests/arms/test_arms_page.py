"""The page of the arms names every one of them, with all its points."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from predictor.arms.arm import ArmFamily
from predictor.arms.families import FAMILIES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "arms.md"
SECTIONS = dict(
    re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
)


def test_every_arm_has_a_section_in_the_order_of_the_tables() -> None:
    assert list(SECTIONS) == list(FAMILIES)


TOLD = [one for one in FAMILIES.values() if one.name not in {"crane-dsp-whole", "foresight"}]


@pytest.mark.parametrize("family", TOLD, ids=lambda one: one.name)
def test_a_section_tells_the_points(family: ArmFamily) -> None:
    told = ", ".join(f"{point:g}" for point in family.points)
    assert told in " ".join(SECTIONS[family.name].split())


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda one: one.name)
def test_a_section_tells_the_version(family: ArmFamily) -> None:
    told = " ".join(SECTIONS[family.name].split()).lower()
    assert family.version.lower() in told
