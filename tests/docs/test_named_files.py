"""What a page names is there: files, links with their headings, make targets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, text_of, without_blocks

BUILT = ("build/", ".cache/", ".venv/", ".hypothesis")
"""Made by a command, so not in a fresh checkout."""
FOLDERS = {one.name for one in ROOT.iterdir() if one.is_dir() and not one.name.startswith(".")}
SUFFIXES = (".py", ".md", ".toml", ".sh", ".lock", ".html", ".yaml")
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"\.?[\w-]+(?:[./][\w.-]+)*/?")
_TARGET = re.compile(r"(?:^    |`)make(?P<targets>(?: [a-z][a-z-]*)+)", re.MULTILINE)
_TEST = re.compile(r"`(?P<file>tests/[\w/]+\.py)?::(?P<name>test_\w+)`")
MAKEFILE = set(re.findall(r"^([a-z][a-z-]*):", text_of(ROOT / "Makefile"), re.MULTILINE))

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    links = [found["target"] for found in _LINK.finditer(without_blocks(text_of(page)))]

    assert [link for link in links if "://" not in link and not leads(page, link)] == []


@each_page
def test_files_in_backticks_exist(page: Path) -> None:
    named = [name for name in _CODE.findall(without_blocks(text_of(page))) if is_path(name)]

    assert [name for name in named if not exists(page, name)] == []


@each_page
def test_make_targets_exist(page: Path) -> None:
    targets = {
        target for found in _TARGET.finditer(text_of(page)) for target in found["targets"].split()
    }

    assert targets <= MAKEFILE


@each_page
def test_tests_named_are_there(page: Path) -> None:
    named, file = [], ""
    for found in _TEST.finditer(text_of(page)):
        file = found["file"] or file
        named.append((file, found["name"]))

    assert [one for one in named if f"def {one[1]}(" not in text_of(ROOT / one[0])] == []


def leads(page: Path, link: str) -> bool:
    """The file is there, and the heading too if one is named."""
    name, _, heading = link.partition("#")
    target = page.parent / name if name else page
    if not target.exists():
        return False
    return not heading or heading in headings(text_of(target))


def headings(text: str) -> set[str]:
    """As GitHub makes anchors: lower case, no punctuation, hyphens for spaces."""
    lines = re.findall(r"^#+ (.+)$", without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).strip().replace(" ", "-") for line in lines}


def is_path(name: str) -> bool:
    """Whether it names a file of the repository: by its folder, or by its suffix and a folder."""
    if not _PATH.fullmatch(name) or name.startswith(BUILT):
        return False
    return "/" in name and (name.split("/", maxsplit=1)[0] in FOLDERS or name.endswith(SUFFIXES))


def exists(page: Path, name: str) -> bool:
    """From the root or beside the page; a module may be named without its suffix."""
    bases = (ROOT, page.parent)
    return any((base / name).exists() or (base / f"{name}.py").exists() for base in bases)
