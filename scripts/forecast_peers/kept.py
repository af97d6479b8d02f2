"""The file of one group's forecasts: origins, outcomes, quantiles, and when and where they came.

Written by the peers' process, read by `measured.py`. A file is whole or not there at all.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scripts.forecast_peers.past import Forecasts, PeerForecasts
from scripts.forecast_peers.request import PeerRequest


class Kept(NamedTuple):
    """Forecasts by peer, when they were measured (UTC, ISO 8601), and on what machine."""

    forecasts: dict[str, PeerForecasts]
    measured_at: str
    machine: str


def machine() -> str:
    """The processor, its cores and the Python: what a CPU second is worth."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.machine()
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}"


def write_forecasts(path: Path, request: PeerRequest, forecasts: Forecasts) -> None:
    """All peers of a group into one npz file."""
    about = {
        "measured_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "cpu_s": {name: one.cpu_s for name, one in forecasts.items()},
    }
    arrays = {"origins": request.origins, "outcome": request.outcome}
    for name, one in forecasts.items():
        arrays[f"{name} rows"], arrays[f"{name} quantiles"] = one.rows, one.quantiles
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(f".{os.getpid()}.half.npz")
    np.savez_compressed(half, allow_pickle=False, about=json.dumps(about), **arrays)
    half.replace(path)


def read_forecasts(path: Path) -> Kept:
    """What a file holds."""
    with np.load(path) as found:
        about = json.loads(str(found["about"]))
        forecasts = {
            name: PeerForecasts(found[f"{name} rows"], found[f"{name} quantiles"], cpu_s)
            for name, cpu_s in about["cpu_s"].items()
        }
    return Kept(forecasts, about["measured_at"], about["machine"])
