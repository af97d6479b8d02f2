"""When and by which revision of the program something is made: from the environment, or from git.

`predictor/cli.py` asks before it trains. It must never take another project's revision for ours,
nor fail or wait long where there is no git.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from predictor.config import ENVIRONMENT_REVISION

ROOT = Path(__file__).parents[1]
GIT_TIMEOUT_S = 5
EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"
"""The moment to write in place of now, so that equal input gives equal bytes."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """`revision` is None where nobody knows it; one of changed files ends in `-dirty`."""

    created: datetime
    revision: str | None


def provenance(environment: Mapping[str, str], root: Path = ROOT) -> Provenance:
    """Of what is made now; raises `ValueError` for a moment that is none."""
    return Provenance(_moment(environment), environment.get(ENVIRONMENT_REVISION) or _of_git(root))


def _moment(environment: Mapping[str, str]) -> datetime:
    text = environment.get(EPOCH_VARIABLE)
    if not text:
        return datetime.now(UTC)
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{EPOCH_VARIABLE}={text}: expected whole epoch seconds") from None


def _of_git(root: Path) -> str | None:
    """Of the checkout that the program runs from; a folder inside somebody else's is none."""
    if not (root / ".git").exists():
        return None
    words = ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(root), *words],
            capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
