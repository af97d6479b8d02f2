"""`mplp-predictor backtest`: how well a history could have been forecast, next to two bars.

`predictor/cli.py` adds it. It parses, calls, prints and returns an exit code; everything heavy is
imported inside. Results go to standard output, progress and notes to standard error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from predictor.calendar_option import CalendarOption, planned_of
from predictor.command import (
    EXIT_NEGATIVE,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    ConfigOption,
    result_console,
    settings_of,
    stop,
)
from predictor.command_line import command_line
from predictor.events.option_values import duration_s
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
    read_histories,
)

if TYPE_CHECKING:
    from models.rolling_origins import Target
    from predictor.backtest import Backend, Judged, Work

BackendName = Literal["processes", "dask", "ray"]

LeadOption = Annotated[
    Any,
    typer.Option(
        parser=duration_s,
        metavar="DURATION",
        help="120s, 2m: forecast so far ahead. [default: by the step]",
    ),
]
HoldOption = Annotated[
    Any,
    typer.Option(parser=duration_s, metavar="DURATION", help="The peak of so long after the lead."),
]
OriginsOption = Annotated[
    int, typer.Option(min=8, max=20_000, help="Forecasts of a series and target, at most.")
]
TogetherOption = Annotated[
    bool, typer.Option("--together", help="Train a source's series together, by the dozen.")
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", help="Scores by series and target, and by quarter.")
]
ParquetOption = Annotated[
    Path | None, typer.Option("--parquet", help="Every forecast and what came.")
]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", help="A page with charts; it needs no network.")
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, max=512, help="Series at a time.")]
BackendOption = Annotated[BackendName, typer.Option(help="Where they are worked on.")]
ClusterOption = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Of a Dask or Ray scheduler; else one is started."),
]


class Outputs(NamedTuple):
    """The files that were asked for."""

    json: Path | None
    parquet: Path | None
    html: Path | None

    def check(self) -> None:
        """Ends the command where one could not be written after all the work."""
        if self.parquet is None:
            return
        from predictor.backtest_files import can_write_parquet

        if missing := can_write_parquet():
            stop(EXIT_USAGE, missing)


def backtest(
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
    lead: LeadOption = None,
    hold: HoldOption = None,
    origins: OriginsOption = 2000,
    together: TogetherOption = False,
    json: JsonOption = None,
    parquet: ParquetOption = None,
    html: HtmlOption = None,
    jobs: JobsOption = 1,
    backend: BackendOption = "processes",
    cluster: ClusterOption = None,
    calendar: CalendarOption = None,
    config: ConfigOption = None,
) -> None:
    """Forecast the newest part of a history from what was before it, and judge the forecasts.

    Example: mplp-predictor backtest --csv load.csv --json backtest.json --html backtest.html
    """
    if hold is not None and lead is None:
        stop(EXIT_USAGE, "--hold needs --lead: the peak of so long after the lead")
    if cluster is not None and backend == "processes":
        stop(EXIT_USAGE, "--cluster goes with --backend dask or ray")
    options = HistoryOptions(
        tuple(csv or ()), events, from_topic, prometheus, query, start, end, step, token_file,
        module_label, region_label, config,
    )  # fmt: skip
    options.check()
    outputs = Outputs(json, parquet, html)
    outputs.check()
    histories = read_histories(options)
    planned = planned_of(calendar, settings_of(config), histories)
    notes = [note for history in histories for note in history.notes]
    notes += [] if planned is None else planned.notes
    for note in notes:
        typer.echo(note, err=True)
    from predictor.backtest import NOTHING_PLANNED, Backend, works

    events_of = NOTHING_PLANNED if planned is None else planned.events
    try:
        wanted = works(
            histories, _targets(lead, hold), origins, together=together, planned=events_of
        )
    except ValueError as error:
        stop(EXIT_USAGE, str(error))
    judged = _judge(wanted, Backend(backend, jobs, cluster))
    _write(judged, notes, outputs)
    _show(judged)


def _targets(lead: int | None, hold: int | None) -> tuple[Target, ...] | None:
    from models.rolling_origins import Target

    return None if lead is None else (Target(float(lead), float(hold or 0)),)


def _judge(wanted: Sequence[Work], backend: Backend) -> list[Judged]:
    from predictor.backtest import BackendMissing
    from predictor.backtest import backtest as work

    try:
        with _progress(sum(len(one.series.keys) for one in wanted)) as done:
            return work(wanted, backend, done)
    except BackendMissing as error:
        stop(EXIT_USAGE, str(error))


@contextmanager
def _progress(series: int) -> Iterator[Callable[[Work], None]]:
    """A bar over the series, on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = ("backtest", BarColumn(), MofNCompleteColumn(), "series", TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("backtest", total=series)
        yield lambda work: progress.advance(task, len(work.series.keys))


def _write(judged: Sequence[Judged], notes: Sequence[str], outputs: Outputs) -> None:
    from predictor.backtest_files import write_json, write_parquet
    from predictor.backtest_report import write_report

    command = command_line()
    try:
        if outputs.json is not None:
            write_json(outputs.json, judged, command)
        if outputs.parquet is not None:
            write_parquet(outputs.parquet, judged)
        if outputs.html is not None:
            write_report(outputs.html, judged, command, notes, datetime.now(UTC))
    except OSError as error:
        stop(EXIT_UNREACHABLE, str(error))
    for path in filter(None, outputs):
        typer.echo(f"written to {path}", err=True)


def _show(judged: Sequence[Judged]) -> None:
    from predictor.backtest_verdict import score_table, verdict

    console = result_console()
    console.print(score_table(judged))
    console.print(verdict(judged))
    if not any(one.score.origins for one in judged):
        stop(EXIT_NEGATIVE, "no series is long enough for a single forecast that can be judged")
