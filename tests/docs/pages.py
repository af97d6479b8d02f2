"""The documentation as values: its files, their tables and their fenced blocks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES = (
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "tests" / "README.md",
    *sorted(DOCS.rglob("*.md")),
)
_BLOCK = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)\n```$", re.MULTILINE | re.DOTALL)
_CELL_END = re.compile(r"(?<!\\)\|")


class Block(NamedTuple):
    """A fenced block: what stands behind the fence, and what it holds."""

    kind: str
    text: str


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(text: str) -> list[Block]:
    return [Block(found["kind"].strip(), found["text"]) for found in _BLOCK.finditer(text)]


def without_blocks(text: str) -> str:
    return _BLOCK.sub("", text)


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of every table whose first heading is `heading`, its own two lines left out."""
    found: list[list[str]] = []
    inside = False
    for line in without_blocks(text).splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in _CELL_END.split(line)[1:-1]]
        if cells[0] == heading:
            inside = True
        elif inside and not set(cells[0]) <= set("-:"):
            found.append(cells)
    return found


def code(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)
