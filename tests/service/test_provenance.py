"""A model's manifest says which revision of the program made it, and never a wrong one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from predictor.provenance import provenance


def git(root: Path, *words: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER")
           for what in ("NAME", "EMAIL")},
    }  # fmt: skip
    done = subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, check=True,
        env=environment,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "program.py").write_text("1\n")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "first")
    git(root, "tag", "-a", "v1", "-m", "a tag that must not name it")
    return root


def test_a_checkout_is_named_by_its_commit_and_says_when_files_were_changed(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")

    assert provenance({}, checkout).revision == commit
    (checkout / "program.py").write_text("2\n")
    assert provenance({}, checkout).revision == f"{commit}-dirty"


def test_what_the_environment_says_counts_first(checkout: Path) -> None:
    assert provenance({"MPLP_PREDICTOR_REVISION": "abc"}, checkout).revision == "abc"
    assert provenance({"MPLP_PREDICTOR_REVISION": ""}, checkout).revision != ""


def test_a_program_installed_inside_another_project_has_no_revision_of_it(checkout: Path) -> None:
    inside = checkout / "lib" / "site-packages"
    inside.mkdir(parents=True)

    assert provenance({}, inside).revision is None


def test_without_git_the_revision_is_not_known(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")

    assert provenance({}, checkout).revision is None
