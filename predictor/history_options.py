"""The options that name a history, shared by `train` and `backtest`, and what they give.

`predictor/cli.py` and `predictor/backtest_cli.py` use it. Nothing heavy may be imported at the top,
because `--help` loads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from predictor.command import EXIT_NEGATIVE, EXIT_UNREACHABLE, EXIT_USAGE, settings_of, stop
from predictor.events.option_values import duration_s, instant_s

if TYPE_CHECKING:
    from predictor.history_sources.history import SourceHistory

DEFAULT_STRETCH_S = 14 * 86_400
DEFAULT_STEP_S = 60
PARQUET_SUFFIXES = (".parquet", ".pq")

CsvOption = Annotated[
    list[str] | None,
    typer.Option(
        "--csv",
        metavar="FILE[:SERIES]",
        help="timestamp,value and perhaps series; .gz, or .parquet with the same columns.",
    ),
]
EventsOption = Annotated[
    Path | None, typer.Option(help="File of request events, one JSON a line, .gz allowed.")
]
TopicHistoryOption = Annotated[
    bool, typer.Option("--from-topic", help="Read the configured demand topic.")
]
PrometheusOption = Annotated[
    str | None, typer.Option("--prometheus", metavar="URL", help="Ask Prometheus; with --query.")
]
QueryOption = Annotated[
    str | None, typer.Option(metavar="PROMQL", help="Demand: sum by (module, region) (rate(…)).")
]
StartOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="RFC 3339, or so long ago: 14d. [default: 14d]")
]
EndOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="RFC 3339, or so long ago. [default: now]")
]
StepOption = Annotated[
    Any,
    typer.Option(
        parser=duration_s,
        metavar="DURATION",
        help="60s, 5m; coarser steps are means. [default: as in the file; Prometheus: 60s]",
    ),
]
TokenOption = Annotated[
    Path | None, typer.Option("--token-file", help="File with Prometheus' bearer token.")
]
ModuleLabelOption = Annotated[str, typer.Option(help="Prometheus' label that names the module.")]
RegionLabelOption = Annotated[str, typer.Option(help="Prometheus' label that names the region.")]


@dataclass(frozen=True, slots=True)
class HistoryOptions:
    """The options as they were given."""

    csv: tuple[str, ...] = ()
    events: Path | None = None
    from_topic: bool = False
    prometheus: str | None = None
    query: str | None = None
    start: str | None = None
    end: str | None = None
    step_s: int | None = None
    token_file: Path | None = None
    module_label: str = "module"
    region_label: str = "region"
    config: Path | None = None

    @property
    def has_source(self) -> bool:
        """Whether any source is named."""
        return bool(self.csv or self.events or self.from_topic or self.prometheus)

    @property
    def files(self) -> list[Path]:
        """The files that are read."""
        from predictor.history_sources.csv_history import file_and_series

        named = [file_and_series(text)[0] for text in self.csv]
        return named if self.events is None else [*named, self.events]

    def check(self) -> None:
        """Ends the command where no source is named, or options do not go together."""
        sources = bool(self.csv) + (self.events is not None)
        sources += self.from_topic + (self.prometheus is not None)
        if sources != 1:
            stop(
                EXIT_USAGE,
                "give one kind of source: --csv FILE, --prometheus URL, "
                "or either --events FILE or --from-topic",
            )
        asked = (self.query, self.start, self.end, self.token_file)
        if self.prometheus is None and any(option is not None for option in asked):
            stop(EXIT_USAGE, "--query, --start, --end and --token-file go with --prometheus")
        if self.prometheus is not None and self.query is None:
            stop(EXIT_USAGE, "--prometheus needs --query")
        if self.step_s is not None and self.step_s <= 0:
            stop(EXIT_USAGE, f"--step {self.step_s}: a step is at least a second")
        if self.step_s is not None and (self.events is not None or self.from_topic):
            stop(EXIT_USAGE, "--step: the step of events is the configured one")


def read_histories(options: HistoryOptions) -> list[SourceHistory]:
    """Every source that is named; whatever is wrong with one ends the command with a sentence."""
    options.check()
    with history_faults():
        return list(_read(options))


@contextmanager
def history_faults() -> Iterator[None]:
    """A history that is refused ends the command with 1, a file that is none with 2, what cannot be
    reached with 3."""
    from predictor.history_sources.history import HistoryRefused

    try:
        yield
    except HistoryRefused as error:
        stop(EXIT_NEGATIVE, str(error))
    except (FileNotFoundError, IsADirectoryError) as error:
        fault = "is a directory" if isinstance(error, IsADirectoryError) else "no such file"
        stop(EXIT_USAGE, f"{error.filename}: {fault}")
    except (OSError, EOFError) as error:
        stop(EXIT_UNREACHABLE, _in_words(error))


def _in_words(error: OSError | EOFError) -> str:
    """Without the number that Python puts before it."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _read(options: HistoryOptions) -> Iterator[SourceHistory]:
    from predictor.history_sources.csv_history import csv_history, file_and_series

    for text in options.csv:
        path, series = file_and_series(text)
        if path.suffix.lower() in PARQUET_SUFFIXES:
            from predictor.history_sources.parquet_history import parquet_history

            yield parquet_history(path, series, options.step_s)
        else:
            yield csv_history(path, series, options.step_s)
    if options.prometheus is not None:
        yield _from_prometheus(options)
    if options.events is not None or options.from_topic:
        from predictor.demand_history import demand_history

        yield demand_history(settings_of(options.config), options.events)


def _from_prometheus(options: HistoryOptions) -> SourceHistory:
    from predictor.clock import WallClock
    from predictor.history_sources.prometheus_history import RangeQuery, prometheus_history

    assert options.prometheus is not None
    assert options.query is not None
    now_s = int(WallClock().now_s())
    end_s = now_s if options.end is None else _moment_s(options.end, now_s)
    start_s = (
        end_s - DEFAULT_STRETCH_S if options.start is None else _moment_s(options.start, now_s)
    )
    token = None
    if options.token_file is not None:
        token = options.token_file.read_text(encoding="utf-8").strip()
        if not token or any(not "!" <= letter <= "~" for letter in token):
            stop(EXIT_USAGE, f"{options.token_file}: expected one token, and nothing else")
    return prometheus_history(
        RangeQuery(
            options.prometheus, options.query, start_s, end_s, options.step_s or DEFAULT_STEP_S,
            options.module_label, options.region_label, token,
        )
    )  # fmt: skip


def _moment_s(text: str, now_s: int) -> int:
    """An instant, or so long before now."""
    try:
        return now_s - duration_s(text)
    except typer.BadParameter:
        return instant_s(text)
