"""The peers' forecasts for a request: kept ones where there are any, else measured now.

`scripts/bench_forecast.py` calls it. What is kept is named by the question (series, origins,
windows), the pins of the peers' environment and the group's revision, so that other code of ours
measures no peer again. Heavy peers run as a process of an environment of their own.
"""

from __future__ import annotations

import sys
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rigs import cache
from scripts.forecast_peers import naive
from scripts.forecast_peers.child_process import ProcessFailed, run_alone
from scripts.forecast_peers.kept import Kept, read_forecasts, write_forecasts
from scripts.forecast_peers.past import PeerForecasts, past_of
from scripts.forecast_peers.request import PeerRequest, write_request

PINS = Path(__file__).with_name("requirements.txt")
GROUPS: Mapping[str, int] = {"naive": 1, "smoothing": 1, "trees": 1, "statistical": 1}
"""Each group's module, and its revision: raise it when a change makes one of its peers forecast
differently, and what was kept of the group is let go."""
RUN_S_MAX = 4 * 3_600
"""For one group on one series; the slowest takes some minutes on a free core."""


class PeerError(RuntimeError):
    """The peers' process or environment failed; the message ends in what it said."""


class Measured(NamedTuple):
    """All peers' forecasts, and of each group when and on what machine it was measured."""

    forecasts: dict[str, PeerForecasts]
    measured: dict[str, str]


def measured(
    request: PeerRequest, folder: Path, groups: tuple[str, ...], stats: int, *, fresh: bool
) -> Measured:
    """The forecasts of these groups, `stats` origins for those that are fitted at each."""
    found: dict[str, PeerForecasts] = {}
    when: dict[str, str] = {}
    for group in groups:
        kept = _group(request, folder, group, stats, fresh=fresh)
        found.update(kept.forecasts)
        when[group] = f"{kept.measured_at} on {kept.machine}"
    return Measured(found, when)


def _group(request: PeerRequest, folder: Path, group: str, stats: int, *, fresh: bool) -> Kept:
    path = folder / f"{_kept_name(request, group, stats)}.npz"
    if fresh or not path.exists():
        if group == "naive":
            write_forecasts(path, request, naive.forecasts(past_of(request)))
        else:
            _run(request, path, group, stats)
    return read_forecasts(path)


def _kept_name(request: PeerRequest, group: str, stats: int) -> str:
    what = f"{request.name}-{request.step_s}s-{group}".replace("/", "-").replace(":", "-")
    count = f"-{stats}" if group == "statistical" else ""
    pins = f"{zlib.crc32(PINS.read_bytes()):08x}"
    return f"{what}{count}-{request.key()}-{pins}-{GROUPS[group]}"


def _run(request: PeerRequest, path: Path, group: str, stats: int) -> None:
    """Let the peers' process write the file."""
    with tempfile.TemporaryDirectory(prefix="forecast-peers-") as scratch:
        question = Path(scratch) / "request.npz"
        write_request(request, question)
        asked: list[str | Path] = [question, group, str(stats), path.resolve()]
        _call([peer_python(), "-m", "scripts.forecast_peers.peers_process", *asked])


def peer_python() -> Path:
    """The Python of the peers' environment, made on first use."""

    def install(folder: Path) -> None:
        python = folder / "bin" / "python"
        _call([sys.executable, "-m", "venv", folder])
        uv = Path(sys.executable).with_name("uv")
        by_uv: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", python]
        by_pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet"]
        _call([*(by_uv if uv.exists() else by_pip), "--requirement", PINS])

    what = "install the forecast peers (512 MB, about a minute)"
    # A virtual environment holds its own path in its scripts, so it is made in place.
    folder = cache.folder("bench-forecast", [PINS], what, install, in_place=True)
    return folder / "bin" / "python"


def _call(command: list[str | Path]) -> None:
    try:
        run_alone(command, RUN_S_MAX)
    except ProcessFailed as error:
        raise PeerError(str(error)) from error
