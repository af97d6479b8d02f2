"""`make bench-forecast`: our forecast next to peers on load traces, and what it costs.

Rolling origins over the newest 40 % of each series; the loss is a ratio to the better seasonal
naive. The peers' forecasts are kept under `build/bench/forecast-peers` and measured again only with
`--fresh`. Results are printed and written to `build/bench/forecast.json`. It must never pass or
fail anything by a figure.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from scripts.forecast_peers.cells import cell
from scripts.forecast_peers.kept import machine
from scripts.forecast_peers.measured import GROUPS, PeerError, measured, peer_python
from scripts.forecast_peers.ours import MissingPartError, Question, questions
from scripts.forecast_peers.speed import measure_speed
from scripts.forecast_peers.summary import show, summary
from scripts.forecast_peers.traces import (
    TraceError,
    Wanted,
    default_traces,
    named_trace,
    read_traces,
)

OUT = Path("build") / "bench"
TRACES = Path("..") / "shared" / "traces"
_WIDTH = 160


class Asked(NamedTuple):
    """What to run of the benchmark on each file."""

    out: Path
    groups: tuple[str, ...]
    stats: int
    with_ours: bool
    fresh: bool


class Scored(NamedTuple):
    """The cells of one file at one step, when its peers were measured, and why some are missing."""

    cells: list[dict[str, Any]]
    measured: dict[str, str]
    faults: list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Score every file, print and write the report; 2 where a file is not a trace."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        wanted = [one for file in options.traces for one in named_trace(file)]
        wanted = wanted or default_traces(TRACES)
    except TraceError as error:
        parser.error(str(error))
    # Sums of CPU seconds are of one core; read when the first thread pool starts.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    asked = Asked(
        options.out, ("naive",) if options.no_peers else tuple(GROUPS), options.stats,
        not options.peers_only, options.fresh,
    )  # fmt: skip
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    return _bench(wanted, asked, options, console)


def _bench(
    wanted: list[Wanted], asked: Asked, options: argparse.Namespace, console: Console
) -> int:
    has_peers = not options.no_peers
    try:
        if has_peers:
            peer_python()
        done = list(_all_scored(wanted, asked, options.jobs, console))
    except (MissingPartError, PeerError, TraceError) as error:
        console.print(f"bench-forecast: {error}", style="red", markup=False)
        return 2
    cells = [one for scored in done for one in scored.cells]
    if not cells:
        console.print("bench-forecast: no series could be scored", style="red")
        return 2
    report = _report(cells, done, has_peers=has_peers)
    if asked.with_ours and not options.no_speed:
        report["speed"] = _speed(console)
    options.out.mkdir(parents=True, exist_ok=True)
    # The peers alone must not take the place of a report on ours.
    path = options.out / ("forecast.json" if asked.with_ours else "forecast-peers.json")
    path.write_text(json.dumps(report, indent=2) + "\n")
    show(report, console)
    console.print(f"written to {path}", markup=False)
    return 0


def _all_scored(
    wanted: list[Wanted], asked: Asked, jobs: int, console: Console
) -> Iterator[Scored]:
    """Each file at each step as it is done; in processes of their own where there are several."""
    if jobs == 1:
        for one in wanted:
            yield _told(one, scored_file(one, asked), console)
        return
    # Spawned, not forked: a thread pool of the parent would be copied half alive.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        running = {pool.submit(scored_file, one, asked): one for one in wanted}
        for future in as_completed(running):
            yield _told(running[future], future.result(), console)


def _told(wanted: Wanted, scored: Scored, console: Console) -> Scored:
    for fault in scored.faults:
        console.print(f"left out: {fault}", style="yellow", markup=False)
    step_s = scored.cells[0]["step_s"] if scored.cells else wanted.step_s
    what = f"{wanted.name}, {step_s // 60} min: {len(scored.cells)} cells"
    console.print(what, markup=False, highlight=False)
    return scored


def scored_file(wanted: Wanted, asked: Asked) -> Scored:
    """All cells of a file; a series that is too short is left out with its reason."""
    scored = Scored([], {}, [])
    history = read_traces(wanted)
    for question in questions(history, with_ours=asked.with_ours, faults=scored.faults):
        _score(question, asked, scored)
    return scored


def _score(question: Question, asked: Asked, into: Scored) -> None:
    request = question.request
    folder = asked.out / "forecast-peers"
    try:
        peers = measured(request, folder, asked.groups, asked.stats, fresh=asked.fresh)
    except PeerError as error:
        into.faults.append(f"{request.name}: {error}")
        return
    for group, when in peers.measured.items():
        into.measured[f"{request.name}, {request.step_s} s, {group}"] = when
    for row, window in enumerate(question.windows):
        ours = question.ours[row] if question.ours else None
        has_peers = len(asked.groups) > 1
        into.cells.append(cell(request, row, window, peers.forecasts, ours, has_peers=has_peers))


def _report(cells: list[dict[str, Any]], done: list[Scored], *, has_peers: bool) -> dict[str, Any]:
    cells.sort(key=lambda one: (one["step_s"] < 300, one["series"]))
    peers = {name: when for scored in done for name, when in scored.measured.items()}
    return {
        "measured": {"ours_on": machine(), "peers": peers if has_peers else None},
        "summary": summary(cells, has_peers=has_peers),
        "left_out": [fault for scored in done for fault in scored.faults],
        "cells": cells,
    }


def _speed(console: Console) -> dict[str, Any]:
    try:
        return measure_speed()
    except MissingPartError as error:
        console.print(str(error), style="yellow", markup=False)
        return {}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench_forecast", description=__doc__)
    parser.add_argument(
        "traces", nargs="*", metavar="FILE[:SERIES]", help="all of ../shared/traces"
    )
    parser.add_argument("--no-peers", action="store_true", help="ours alone, in minutes")
    parser.add_argument("--peers-only", action="store_true", help="fill the peers' cache")
    parser.add_argument("--fresh", action="store_true", help="measure the peers again")
    parser.add_argument("--no-speed", action="store_true", help="without what ours costs")
    parser.add_argument(
        "--stats", type=int, default=100,
        help="origins of AutoETS and the like; of 100 a single one can decide which is best",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=1, help="files at the same time")
    parser.add_argument("--out", type=Path, default=OUT, help="where results go")
    return parser


if __name__ == "__main__":
    sys.exit(main())
