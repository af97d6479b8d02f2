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
    from models.planned_events import PlannedEvents
    from models.rolling_origins import Target
    from predictor.backtest import Backend, Judged, Work
    from predictor.history_sources.history import SourceHistory

BackendName = Literal["processes", "dask", "ray"]
DAY_S = 86_400
"""No window reaches further: `models/step_windows.py`, which `--help` must not load."""

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

    def check(self, read: Sequence[Path]) -> None:
        """Ends the command where one could not be written after all the work, or would take the
        place of a file that is read."""
        from predictor.output_paths import file_fault

        inputs = {path.resolve() for path in read}
        for name, path in self._asdict().items():
            if path is not None and path.resolve() in inputs:
                stop(EXIT_USAGE, f"--{name} {path}: is the history itself")
            if path is not None and (fault := file_fault(path)):
                stop(EXIT_USAGE, f"--{name} {path}: {fault}")
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
    if cluster is not None and backend == "processes":
        stop(EXIT_USAGE, "--cluster goes with --backend dask or ray")
    _check_window(lead, hold, max(DAY_S, step or 0))
    options = HistoryOptions(
        tuple(csv or ()), events, from_topic, prometheus, query, start, end, step, token_file,
        module_label, region_label, config,
    )  # fmt: skip
    options.check()
    outputs = Outputs(json, parquet, html)
    outputs.check(options.files)
    histories = read_histories(options)
    planned = planned_of(calendar, settings_of(config), histories)
    notes = [note for history in histories for note in history.notes]
    notes += [] if planned is None else planned.notes
    for note in notes:
        typer.echo(note, err=True)
    from predictor.backtest import NOTHING_PLANNED, Backend

    events_of = NOTHING_PLANNED if planned is None else planned.events
    wanted = _works(histories, _targets(lead, hold), origins, together, events_of)
    judged = _judge(wanted, Backend(backend, jobs, cluster))
    _show(judged)
    _write(judged, notes, outputs)
    if not any(one.score.origins for one in judged):
        stop(EXIT_NEGATIVE, "no series has a single forecast that can be judged")


def _works(
    histories: Sequence[SourceHistory],
    targets: tuple[Target, ...] | None,
    origins_max: int,
    together: bool,
    planned: PlannedEvents,
) -> list[Work]:
    """What to forecast of each series, at least one."""
    from predictor.backtest import works

    try:
        wanted = works(histories, targets, origins_max, together=together, planned=planned)
    except ValueError as error:
        stop(EXIT_USAGE, str(error))
    if not wanted:
        read = ", ".join(history.source for history in histories)
        stop(EXIT_NEGATIVE, f"{read}: no series has a measured step, so there is nothing to judge")
    return wanted


def _check_window(lead: int | None, hold: int | None, most_s: int) -> None:
    if hold is not None and lead is None:
        stop(EXIT_USAGE, "--hold needs --lead: the peak of so long after the lead")
    if lead is not None and lead + (hold or 0) > most_s:
        from predictor.time_words import lasting

        most = lasting(most_s)
        if hold:
            wanted = f"--lead {lasting(lead)} and --hold {lasting(hold)}"
            stop(EXIT_USAGE, f"{wanted}: together at most {most}")
        stop(EXIT_USAGE, f"--lead {lasting(lead)}: at most {most}")


def _targets(lead: int | None, hold: int | None) -> tuple[Target, ...] | None:
    from models.rolling_origins import Target

    return None if lead is None else (Target(float(lead), float(hold or 0)),)


def _judge(wanted: Sequence[Work], backend: Backend) -> list[Judged]:
    from predictor.backtest import BackendMissing, BackendUnreachable
    from predictor.backtest import backtest as work

    try:
        with _progress(sum(len(one.series.keys) for one in wanted)) as done:
            return work(wanted, backend, done)
    except BackendMissing as error:
        stop(EXIT_USAGE, str(error))
    except BackendUnreachable as error:
        stop(EXIT_UNREACHABLE, str(error))


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
    """Each file that was asked for, whatever becomes of the others; one that fails ends with 3."""
    from predictor.backtest_files import write_json, write_parquet
    from predictor.backtest_report import write_report

    command, now = command_line(), datetime.now(UTC)
    writers: tuple[tuple[Path | None, Callable[[Path], None]], ...] = (
        (outputs.json, lambda path: write_json(path, judged, command)),
        (outputs.parquet, lambda path: write_parquet(path, judged)),
        (outputs.html, lambda path: write_report(path, judged, command, notes, now)),
    )
    failed = False
    for path, write in writers:
        if path is None:
            continue
        try:
            write(path)
        except OSError as error:
            failed = True
            typer.echo(f"{path}: {error.strerror or error}", err=True)
        else:
            typer.echo(f"written to {path}", err=True)
    if failed:
        raise typer.Exit(EXIT_UNREACHABLE)


def _show(judged: Sequence[Judged]) -> None:
    from predictor.backtest_verdict import reason_lines, score_table, verdict

    console = result_console()
    console.print(score_table(judged))
    for line in reason_lines(judged):
        console.print(line, markup=False)
    console.print(verdict(judged))
