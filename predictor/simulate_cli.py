"""`mplp-predictor simulate` and `tune`: what scaling would have come to, before anybody trusts it.

`predictor/cli.py` adds them. It parses, calls, prints and returns an exit code; everything heavy is
imported inside. Results go to standard output, progress and notes to standard error.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from predictor.command import (
    EXIT_NEGATIVE,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    ConfigOption,
    result_console,
    stop,
)
from predictor.command_line import command_line
from predictor.history_options import (
    CsvOption,
    EndOption,
    EventsOption,
    HistoryOptions,
    ModuleLabelOption,
    PrometheusOption,
    QueryOption,
    RegionLabelOption,
    StartOption,
    StepOption,
    TokenOption,
    TopicHistoryOption,
)
from predictor.simulation_options import (
    PLAIN_START_UP,
    IncidentsOption,
    LearnOption,
    ManifestsOption,
    NodesOption,
    PlayOptions,
    RateOption,
    ResponseOption,
    SeedOption,
    StartUpOption,
    TickOption,
    setup_of,
)

if TYPE_CHECKING:
    from predictor.core.policy import Policy
    from predictor.simulation.figures import SimulationResult
    from predictor.simulation.setup import Setup
    from predictor.simulation.simulate import Wanted

PIPED_WIDTH = 140
"""Characters of the table where no terminal says how many."""
DEFAULT_OUT = Path("build/simulation")
POINTS_MAX = 16
NO_PEERS, ALL_PEERS = "none", "all"

OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder for JSON, page and audit.")]
ArmsOption = Annotated[
    str, typer.Option(metavar="NAMES", help="Peers beside HPA alone and ours; all, none, a list.")
]
PoliciesOption = Annotated[
    list[Path] | None,
    typer.Option("--policy", metavar="FILE", help="Another configuration to play as ours."),
]
FrontierOption = Annotated[
    bool, typer.Option("--frontier", help="Every arm at all of its settings, not only the usual.")
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="Processes.")]
AuditOption = Annotated[
    bool, typer.Option("--audit/--no-audit", help="Write our decisions for replay and explain.")
]
ConformanceOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Only hold the HPA twin against recorded trajectories."),
]
PriceOption = Annotated[
    float,
    typer.Option(min=0.0, max=1e6, help="A violation minute costs as much as so many pod-hours."),
]


def simulate(
    *,
    csv: CsvOption = None,
    prometheus: PrometheusOption = None,
    query: QueryOption = None,
    start: StartOption = None,
    end: EndOption = None,
    step: StepOption = None,
    token_file: TokenOption = None,
    module_label: ModuleLabelOption = "module",
    region_label: RegionLabelOption = "region",
    events: EventsOption = None,
    from_topic: TopicHistoryOption = False,
    manifests: ManifestsOption = None,
    arms: ArmsOption = ALL_PEERS,
    policy: PoliciesOption = None,
    frontier: FrontierOption = False,
    learn: LearnOption = None,
    tick: TickOption = "60s",
    start_up: StartUpOption = PLAIN_START_UP,
    nodes: NodesOption = None,
    rate_per_pod: RateOption = None,
    response_p95: ResponseOption = None,
    incidents: IncidentsOption = None,
    seed: SeedOption = 0,
    jobs: JobsOption = 1,
    audit: AuditOption = True,
    out: OutOption = DEFAULT_OUT,
    conformance: ConformanceOption = None,
    config: ConfigOption = None,
) -> None:
    """Play a history against HPAs: HPA alone, our floor, and how other tools would have done.

    Without a history the embedded load is played. A table, a page and JSON with every figure.

    Example: mplp-predictor simulate --csv load.csv --manifests deploy/ --learn 14d
    """
    if conformance is not None:
        _hold_against(conformance)
    history = HistoryOptions(
        tuple(csv or ()), events, from_topic, prometheus, query, start, end, step, token_file,
        module_label, region_label, config,
    )  # fmt: skip
    setup, source = setup_of(
        PlayOptions(
            history, tuple(manifests or ()), learn, tick, start_up, nodes, rate_per_pod,
            response_p95, incidents, seed,
        )
    )  # fmt: skip
    wanted = _wanted(setup, arms, tuple(policy or ()), frontier=frontier, jobs=jobs)
    _simulate(setup, source, wanted, out, audit=audit)


def _hold_against(path: Path) -> None:
    """Ends the command: 0 where every step matches, 1 otherwise."""
    from predictor.hpa_conformance import ConformanceRefused, conformance, conformance_lines

    try:
        result = conformance(path)
    except ConformanceRefused as error:
        stop(EXIT_USAGE, str(error))
    except OSError as error:
        stop(EXIT_UNREACHABLE, str(error))
    for line in conformance_lines(result):
        typer.echo(line)
    raise typer.Exit(EXIT_NEGATIVE if result.first_difference is not None else 0)


def _wanted(
    setup: Setup, arms: str, policies: tuple[Path, ...], *, frontier: bool, jobs: int
) -> Wanted:
    from predictor.arms.families import FAMILIES
    from predictor.simulation.settings_of_ours import OurSetting, frontier_settings, our_setting
    from predictor.simulation.simulate import Wanted, usual_peers

    names = {ALL_PEERS: list(FAMILIES), NO_PEERS: []}.get(arms, arms.split(","))
    if unknown := [name for name in names if name not in FAMILIES]:
        stop(
            EXIT_USAGE,
            f"--arms {arms}: no arm {unknown[0]!r}; there are {', '.join(FAMILIES)}, all and none",
        )
    ours = [our_setting(setup.policy, is_usual=True)]
    ours += [OurSetting(path.name, _policy_of(path, setup)) for path in policies]
    if frontier:
        ours += frontier_settings(setup.policy)
    return Wanted(tuple(ours), usual_peers(names, POINTS_MAX if frontier else 1), jobs)


def _policy_of(path: Path, setup: Setup) -> Policy:
    from predictor.command import settings_of
    from predictor.simulation.setup import simulated_policy

    lead_s = setup.policy.defaults.lead_time_default_s
    return simulated_policy(settings_of(path).policy(), setup.policy.tick_s, lead_s)


def _simulate(setup: Setup, source: str, wanted: Wanted, out: Path, *, audit: bool) -> None:
    from predictor.simulation.simulate import simulate as play_all

    for note in setup.notes:
        typer.echo(note, err=True)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (
            _audit_file(out / "audit.jsonl.gz" if audit else None) as record,
            _progress(setup) as done,
        ):
            result = play_all(setup, wanted, source=source, record=record, on_progress=done)
        _write(result, out)
    except OSError as error:
        stop(EXIT_UNREACHABLE, str(error))
    _show(result)
    typer.echo(f"written to {out}", err=True)


@contextmanager
def _audit_file(path: Path | None) -> Iterator[Callable[[bytes], None]]:
    if path is None:
        yield lambda record: None
        return
    # The same bytes each time: no name and no time of day in the file's head.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 3, raw, mtime=0) as packed:
        yield lambda record: _put(packed, record)


def _put(packed: gzip.GzipFile, record: bytes) -> None:
    packed.write(record.rstrip(b"\n") + b"\n")


@contextmanager
def _progress(setup: Setup) -> Iterator[Callable[[str, int], None]]:
    """A bar over the played time, on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<8}"), BarColumn(), TimeRemainingColumn())
    load = setup.load
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def done(what: str, now_s: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=load.stretch.until_s - load.play_from_s)
            bar.update(tasks[what], completed=now_s - load.play_from_s)

        yield done


def _write(result: SimulationResult, out: Path) -> None:
    import msgspec

    from predictor.simulation.page import render_simulation

    name = "simulation.json"
    body = msgspec.json.format(msgspec.json.encode(result), indent=1)
    (out / name).write_bytes(body + b"\n")
    page = render_simulation(
        result, json_name=name, command=command_line(), made_at=datetime.now(UTC)
    )
    (out / "report.html").write_text(page, encoding="utf-8")


def _show(result: SimulationResult) -> None:
    from predictor.simulation.table import arms_table
    from predictor.simulation.verdict import verdict

    console = result_console(PIPED_WIDTH)
    console.print(arms_table(result))
    console.print(verdict(result))
    for sentence in result.warnings:
        console.print(f"Note: {sentence}")


def tune(
    *,
    price: PriceOption,
    csv: CsvOption = None,
    prometheus: PrometheusOption = None,
    query: QueryOption = None,
    start: StartOption = None,
    end: EndOption = None,
    step: StepOption = None,
    token_file: TokenOption = None,
    module_label: ModuleLabelOption = "module",
    region_label: RegionLabelOption = "region",
    events: EventsOption = None,
    from_topic: TopicHistoryOption = False,
    manifests: ManifestsOption = None,
    learn: LearnOption = None,
    tick: TickOption = "60s",
    start_up: StartUpOption = PLAIN_START_UP,
    nodes: NodesOption = None,
    rate_per_pod: RateOption = None,
    response_p95: ResponseOption = None,
    incidents: IncidentsOption = None,
    seed: SeedOption = 0,
    out: OutOption = Path("build/tune"),
    config: ConfigOption = None,
) -> None:
    """Find the quantile, window and pace that cost least at the price of a violation minute.

    Prints every setting that was tried, cheapest first, and what to put into the configuration.

    Example: mplp-predictor tune --csv load.csv --manifests deploy/ --price 2
    """
    history = HistoryOptions(
        tuple(csv or ()), events, from_topic, prometheus, query, start, end, step, token_file,
        module_label, region_label, config,
    )  # fmt: skip
    setup, source = setup_of(
        PlayOptions(
            history, tuple(manifests or ()), learn, tick, start_up, nodes, rate_per_pod,
            response_p95, incidents, seed,
        )
    )  # fmt: skip
    _tune(setup, source, price, out)


def _tune(setup: Setup, source: str, price: float, out: Path) -> None:
    import yaml

    from predictor.simulation.table import priced_table
    from predictor.simulation.tune import tune as try_settings

    try:
        out.mkdir(parents=True, exist_ok=True)
        with _progress(setup) as done:
            tuned = try_settings(setup, price, source=source, on_progress=done)
        _write(tuned.result, out)
    except OSError as error:
        stop(EXIT_UNREACHABLE, str(error))
    console = result_console(PIPED_WIDTH)
    console.print(priced_table(tuned.result, price))
    if not tuned.changes:
        console.print("The configuration is the cheapest that was tried.")
        return
    console.print("Cheapest; in the configuration file:")
    console.print(yaml.safe_dump({"defaults": tuned.changes}, sort_keys=False), end="")
