"""No committed text ties the project to the machine or registry it was made with."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("repo", "maven", "apache", "org"),
        ("repo1", "maven", "org"),
        ("proxy", "golang", "org"),
        ("sum", "golang", "org"),
        ("crates", "io"),
        ("anaconda", "org"),
    )
)
"""In pieces, so that this file does not name them either."""
_HOST = re.compile("|".join(re.escape(host) for host in HOSTS), re.IGNORECASE)
_MACHINE_PATH = re.compile(r"(?<![\w./~$}-])/(?:home|root|Users|work|workspace|mnt)/[\w.-]+")
_GENERATED_SUFFIXES = {".png", ".gz", ".sum"}
_MADE = {
    line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if "*" not in line
}


def committed_texts() -> Iterator[tuple[str, str]]:
    """Name and text of every file that is, or would be, committed."""
    for name in sorted(committed_names()):
        path = ROOT / name
        if path.is_file() and path.suffix not in _GENERATED_SUFFIXES:
            yield name, path.read_text(encoding="utf-8")


def committed_names() -> list[str]:
    """As git has it; in an unpacked archive every file that no command has made."""
    if not (ROOT / ".git").exists():
        paths = (one.relative_to(ROOT) for one in ROOT.rglob("*"))
        return [one.as_posix() for one in paths if not _MADE.intersection(one.parts)]
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return [name for name in listed.stdout.split("\0") if name]


def named(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}: {found[0]}"
        for name, text in committed_texts()
        for found in pattern.finditer(text)
    ]


def test_no_file_names_a_package_registry() -> None:
    assert named(_HOST) == []


def test_no_file_names_a_folder_of_the_machine_it_was_written_on() -> None:
    assert named(_MACHINE_PATH) == []


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        pytest.param("see /" + "home/ada/project", True, id="a home folder"),
        pytest.param("cache: /" + "work/cache", True, id="a work folder"),
        pytest.param("https://example.com/" + "home/page", False, id="a page of a site"),
        pytest.param("/etc/mplp-predictor/config.yaml", False, id="a path on every machine"),
    ],
)
def test_machine_paths_are_told_from_others(text: str, is_found: bool) -> None:
    assert bool(_MACHINE_PATH.search(text)) is is_found


def test_texts_are_found_at_all() -> None:
    assert "README.md" in dict(committed_texts())
    assert Path(__file__).relative_to(ROOT).as_posix() in dict(committed_texts())
