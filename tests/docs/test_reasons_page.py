"""Every code that an operator can meet is explained, once, and none that is gone."""

from __future__ import annotations

from models.forecast import ForecastCode
from models.trust_code import TrustCode
from predictor.core.reasons import Code
from tests.docs.pages import REFERENCE, code, rows, text_of

ROWS = rows(text_of(REFERENCE / "reasons.md"), "code")


def test_every_code_has_exactly_one_row() -> None:
    shown = sorted(code(cells[0])[0] for cells in ROWS)

    assert shown == sorted([*Code, *ForecastCode, *TrustCode])


def test_every_row_says_when_the_code_is_given() -> None:
    assert [cells[0] for cells in ROWS if len(cells) != 3 or not cells[1]] == []
