"""The page of the command line is the program's own help."""

from __future__ import annotations

import shlex

import pytest

from scripts.cli_reference import PAGE, PROGRAM, commands, example, help_text, page
from tests.docs.pages import PAGES, ROOT, text_of


def test_page_is_what_the_commands_say_of_themselves() -> None:
    written = (ROOT / PAGE).read_text(encoding="utf-8")

    assert written == page(), "run `python -m scripts.cli_reference`"


@pytest.mark.parametrize("command", commands())
def test_every_command_has_a_section(command: str) -> None:
    assert f"\n## {PROGRAM} {command}\n" in text_of(ROOT / PAGE)


@pytest.mark.parametrize("command", commands())
def test_every_command_shows_a_line_to_paste(command: str) -> None:
    """The line calls this command, with options that it has."""
    text = help_text(command)
    line = example(text)

    assert line is not None
    words = shlex.split(line.split(" > ")[0])
    assert words[: 1 + len(command.split())] == [PROGRAM, *command.split()]
    assert [word for word in words if word.startswith("--") and word not in text] == []


def test_pages_call_only_commands_that_exist() -> None:
    known = {command.split()[0] for command in commands()}
    unknown = [
        (page.name, line.strip())
        for page in PAGES
        for line in text_of(page).splitlines()
        if (word := _called(line)) is not None and word not in known
    ]

    assert unknown == []


def _called(line: str) -> str | None:
    """The command of a line that begins with the program's name."""
    words = line.strip().strip("`").split()
    if words[:1] != [PROGRAM] or not line.startswith("    ") or len(words) < 2:
        return None
    return None if words[1].startswith("-") else words[1]
