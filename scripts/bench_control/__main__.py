"""`make bench-control`: our floor next to HPA alone, every peer and perfect foresight, on traces.

Each trace is played once with all arms at several settings over the same HPAs; what is compared are
frontiers of violation minutes over pod-hours. Printed, and written to `build/bench/control.json`.
Run as `python -m scripts.bench_control [FILE[:SERIES] ...]`. It must never pass or fail anything.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from predictor.cluster_model.delays import FixedDelay
from predictor.core.policy import Policy
from predictor.simulation.figures import SimulationResult
from predictor.simulation.settings_of_ours import frontier_settings, our_setting
from predictor.simulation.setup import Setup, World, set_up, simulated_policy
from predictor.simulation.simulate import Wanted, simulate, usual_peers
from scripts.bench_control.summary import (
    Summary,
    TraceScore,
    scores_of,
    settings_table,
    summary_lines,
    summary_of,
    trace_table,
)
from scripts.bench_control.traces import TraceError, default_traces, load_of_trace, named_trace

OUT = Path("build") / "bench"
TRACES = Path("..") / "shared" / "traces"
PEERS = (
    "keda-cron", "last-week", "phpa", "phpa-meant", "crane-dsp", "crane-dsp-whole", "kapacity",
    "ahpa",
)  # fmt: skip
_WIDTH = 160


class Bench(msgspec.Struct, frozen=True):
    """All that is written."""

    command: str
    seconds: float
    summary: Summary
    traces: tuple[TraceScore, ...]
    results: tuple[SimulationResult, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Play every trace, print and write the report; 2 where a file is not a trace."""
    parser = _parser()
    options = parser.parse_args(arguments)
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    began_s = time.monotonic()
    try:
        paths = [named_trace(one) for one in options.traces] or default_traces(TRACES)
        results = []
        for path, series in paths:
            result = _played(path, series, options)
            results.append(result)
            console.print(trace_table(scores_of(result)))
    except TraceError as error:
        parser.error(str(error))
    scores = tuple(score for result in results for score in scores_of(result))
    summary = summary_of(scores)
    console.print(settings_table(results))
    for line in summary_lines(summary):
        console.print(line)
    seconds = round(time.monotonic() - began_s, 1)
    bench = Bench(_command(arguments), seconds, summary, scores, tuple(results))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(msgspec.json.format(msgspec.json.encode(bench), indent=1) + b"\n")
    console.print(f"{seconds:.0f} s; written to {options.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench_control")
    parser.add_argument("traces", nargs="*", metavar="FILE[:SERIES]")
    parser.add_argument("--out", type=Path, default=OUT / "control.json")
    parser.add_argument("--days", type=float, default=3.0, help="Judge so many days at most.")
    parser.add_argument("--points", type=int, default=8, help="Settings of each peer, at most.")
    parser.add_argument("--start-up", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--jobs", type=int, default=2, help="Processes.")
    return parser


def _setup(path: Path, series: str, options: argparse.Namespace) -> Setup:
    load = load_of_trace(path, series, options.days)
    world = World(start_up=FixedDelay(options.start_up), start_up_s=options.start_up)
    return set_up(load, {}, simulated_policy(Policy(), 60.0, options.start_up), world)


def _played(path: Path, series: str, options: argparse.Namespace) -> SimulationResult:
    setup = _setup(path, series, options)
    peers = [one for name in PEERS for one in usual_peers([name], points_max=options.points)]
    peers += usual_peers(["foresight"])
    ours = (our_setting(setup.policy, is_usual=True), *frontier_settings(setup.policy))
    wanted = Wanted(ours, tuple(peers), options.jobs, with_trails=False)
    source = path.name.removesuffix(".gz").removesuffix(".csv") + (series and f":{series}")
    return simulate(setup, wanted, source=source)


def _command(arguments: Sequence[str] | None) -> str:
    given = sys.argv[1:] if arguments is None else arguments
    return " ".join(["python -m scripts.bench_control", *given])


if __name__ == "__main__":
    sys.exit(main())
