"""The page on `check` shows what is printed, and explains every code that only a check gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from predictor.check.finding import Fault
from predictor.cli import app
from tests.docs.pages import DOCS, blocks, code, rows, text_of

PAGE = text_of(DOCS / "guide" / "check.md")


@pytest.mark.parametrize(("option", "place"), [((), 1), (("--fix",), 2)], ids=["table", "patches"])
def test_the_example_on_the_page_is_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...], place: int
) -> None:
    shown = blocks(PAGE)
    monkeypatch.chdir(tmp_path)
    Path("shop.yaml").write_text(shown[0].text)

    result = CliRunner().invoke(app, ["check", "shop.yaml", *option])

    assert result.stdout.strip() == shown[place].text.strip()


def test_every_code_of_a_check_is_explained_once() -> None:
    explained = [code(cells[0])[0] for cells in rows(PAGE, "check's code")]

    assert sorted(explained) == sorted(Fault)
