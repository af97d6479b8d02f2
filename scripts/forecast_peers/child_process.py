"""Runs a part of the benchmark as a process of its own, on one core.

`measured.py` starts peers with it, `speed.py` itself: peak memory and CPU are then those of the
part alone. It must never leave the process behind.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ONE_CORE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


class ProcessFailed(RuntimeError):  # noqa: N818 - it says what failed
    """It ended with an error or took too long; the message ends in its last line."""


def run_alone(command: Sequence[str | Path], limit_s: float) -> str:
    """What it printed, run from the repository to its end; raises `ProcessFailed`."""
    shown = " ".join(str(part) for part in command[:4])
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, env={**os.environ, **ONE_CORE}, capture_output=True,
            text=True, check=False, timeout=limit_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ProcessFailed(f"`{shown} ...` took longer than {limit_s} s") from error
    if done.returncode:
        last = ((done.stderr or done.stdout).strip().splitlines() or ["no reason given"])[-1]
        raise ProcessFailed(f"`{shown} ...` failed: {last}")
    return done.stdout
