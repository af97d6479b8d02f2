"""`mplp-predictor events`: make, convert, look at and send request events.

`predictor/cli.py` adds it. As there, each command parses, calls one function, prints and returns an
exit code, and everything heavy is imported inside the command that needs it.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from predictor.command import (
    EXIT_NEGATIVE,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    ConfigOption,
    settings_of,
    stop,
)
from predictor.events.option_values import (
    duration_s,
    instant_s,
    region_zone,
    speed_factor,
    zone_named,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from predictor.settings import Settings
    from streams.events import Catalog

events_app = typer.Typer(
    help="Make, convert, look at and send request events.", no_args_is_help=True
)

DEFAULT_FROM = "2026-01-05T00:00:00Z"
"""A Monday; fixed, so that the same command gives the same bytes."""
TopicOption = Annotated[
    str | None, typer.Option("--topic", help="Instead of the configured request topic.")
]


@events_app.command()
def generate(
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File to write, .gz packs it; - is stdout.")
    ],
    seed: Annotated[int, typer.Option(help="The same seed and options give the same bytes.")] = 1,
    start: Annotated[
        Any,
        typer.Option("--from", parser=instant_s, metavar="TIME", help="First instant, RFC 3339."),
    ] = DEFAULT_FROM,
    duration: Annotated[
        Any, typer.Option(parser=duration_s, metavar="DURATION", help="90, 10m, 1h30m or 14d.")
    ] = "1h",
    rate: Annotated[float, typer.Option(help="Mean requests per second over all modules.")] = 100.0,
    aggregate: Annotated[
        int, typer.Option(help="Seconds per summary with `count`; 0: an event for each request.")
    ] = 0,
    form: Annotated[
        Literal["json", "cloudevents", "shape-h"],
        typer.Option("--format", help="Our contract, CloudEvents, or MPLP's module call."),
    ] = "json",
    truth: Annotated[
        Path | None, typer.Option(help="CSV of what is in it: by bucket, module and region.")
    ] = None,
    pinned: Annotated[float, typer.Option(help="Share that chose its region by header.")] = 0.2,
    duplicates: Annotated[float, typer.Option(help="Share that is sent twice.")] = 0.005,
    disorder: Annotated[float, typer.Option(help="Mean delay in s, at most ten times it.")] = 0.5,
    rejected: Annotated[float, typer.Option(help="Share answered with 429; they count.")] = 0.0,
    sample_rate: Annotated[float, typer.Option(help="Share of requests that is reported.")] = 1.0,
    heartbeat: Annotated[int, typer.Option(help="Seconds between heartbeats; 0: none.")] = 10,
    dispersion: Annotated[
        float, typer.Option(help="Variance of the rate's noise over its square.")
    ] = 0.02,
    bursts: Annotated[float, typer.Option(help="Bursts a day.")] = 4.0,
    outages: Annotated[float, typer.Option(help="Outages of a module or region a day.")] = 0.2,
    deploys: Annotated[float, typer.Option(help="Rollouts a day: a dip, then cold caches.")] = 1.0,
    season: Annotated[bool, typer.Option(help="Days and weeks of each region's clock.")] = True,
    zone: Annotated[
        list[Any] | None,
        typer.Option(
            parser=region_zone, metavar="REGION=ZONE", help="Where a name does not tell the clock."
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write a synthetic MPLP load: seasons, bursts, outages, deploys, disorder.

    Example: mplp-predictor events generate --duration 1h --rate 200 --out events.jsonl.gz
    """
    settings = settings_of(config)
    from predictor.events.generate import generate as write
    from predictor.events.generate import generated_lines, region_plans
    from predictor.events.load_plan import LoadPlan, PlanError
    from predictor.events.synthetic_load import SyntheticLoad

    try:
        plan = LoadPlan(
            seed=seed, start_s=start, duration_s=duration, rate_per_s=rate,
            modules=tuple(settings.modules),
            regions=region_plans(settings.regions, dict(zone or []), start),
            aggregate_s=aggregate, bucket_s=settings.windows.bucket_s, season=season,
            pinned_share=pinned, dispersion=dispersion, duplicate_share=duplicates,
            disorder_s=disorder, disorder_max_s=10 * disorder, rejected_share=rejected,
            sample_rate=sample_rate, heartbeat_s=heartbeat, bursts_per_day=bursts,
            outages_per_day=outages, deploys_per_day=deploys,
        )  # fmt: skip
        load = SyntheticLoad(plan)
        with _files(out):
            written = write(load, form, out, truth)
    except (PlanError, ValueError) as error:
        stop(EXIT_USAGE, str(error))
    _tell(generated_lines(plan, load.incidents, written))


@events_app.command()
def convert(
    *,
    files: Annotated[list[Path], typer.Argument(help="Files of lines, .gz allowed.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File to write, .gz packs it; - is stdout.")
    ] = Path("-"),
    kind: Annotated[
        Literal["auto", "access-log", "csv", "events"],
        typer.Option("--from", help="auto: told by the first lines."),
    ] = "auto",
    module: Annotated[
        str | None, typer.Option(help="The module of every line; else the line's path tells it.")
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="The region of every line; logs seldom name one.")
    ] = None,
    timezone: Annotated[
        Any,
        typer.Option(
            parser=zone_named, metavar="ZONE", help="Of times without one; else they are refused."
        ),
    ] = None,
    aggregate: Annotated[
        int, typer.Option(help="Seconds per summary with `count`; 0: an event for each line.")
    ] = 10,
    spread: Annotated[
        Any,
        typer.Option(
            parser=duration_s, metavar="DURATION", help="What each count of a table stands for."
        ),
    ] = "0",
    direction: Annotated[
        Literal["any", "inbound", "outbound"],
        typer.Option(help="Of a sidecar's lines: both sides log the same request."),
    ] = "any",
    config: ConfigOption = None,
) -> None:
    """Turn access logs, tables of counts or OTLP files into events of our contract.

    Example: mplp-predictor events convert access.log --region eu-west-1 --out events.jsonl.gz
    """
    settings = settings_of(config)
    from predictor.events.convert import Source, UnknownKindError, converted_lines
    from predictor.events.convert import convert as work
    from predictor.events.count_table import TableError
    from predictor.events.generate import opened
    from predictor.events.progress_line import ProgressLine

    _check_names(settings, module, region)
    source = Source(kind=kind, module=module, region=region, zone=timezone, direction=direction)
    try:
        with _files(out), opened(out) as sink, ProgressLine() as progress:
            done = work(
                files, sink, _catalog(settings, region), source,
                aggregate_s=aggregate, spread_s=spread, progress=progress,
            )  # fmt: skip
    except (UnknownKindError, TableError, ValueError) as error:
        stop(EXIT_USAGE, str(error))
    _tell(converted_lines(done))
    if not done.requests:
        raise typer.Exit(EXIT_NEGATIVE)


@events_app.command("inspect")
def inspect_(
    *,
    file: Annotated[
        Path | None, typer.Argument(help="A file of values, one a line, instead of the topic.")
    ] = None,
    topic: TopicOption = None,
    last: Annotated[
        Any,
        typer.Option(
            parser=duration_s,
            metavar="DURATION",
            help="From so long ago to the end. [default: 10m]",
        ),
    ] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="All that the topic holds.")
    ] = False,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="What comes in so many seconds from now on.")
    ] = None,
    output: Annotated[Literal["table", "json"], typer.Option("--output", "-o")] = "table",
    config: ConfigOption = None,
) -> None:
    """Say what is on a topic and what the service would make of it; nothing is committed.

    Example: mplp-predictor events inspect --last 1h
    """
    settings = settings_of(config)
    if last is not None and from_beginning:
        stop(EXIT_USAGE, "give either --last or --from-beginning")
    if file is not None and (topic or last is not None or from_beginning or seconds is not None):
        stop(EXIT_USAGE, "a file is read whole: give no topic, --last or --seconds")
    import msgspec
    from rich.console import Console

    from predictor.events.findings import is_usable
    from predictor.events.inspect import Stretch, inspect_file, inspect_topic
    from predictor.events.progress_line import ProgressLine
    from predictor.events.topic_tables import tables
    from predictor.wiring import kafka_connection

    _keep_client_quiet()
    with _files(file), ProgressLine() as progress:
        if file is not None:
            report = inspect_file(file, settings, progress)
        else:
            ago_s = 0 if seconds is not None else 600
            last_s = None if from_beginning else ago_s if last is None else last
            report = asyncio.run(
                inspect_topic(
                    kafka_connection(settings), topic or settings.kafka.requests_topic, settings,
                    Stretch(last_s, seconds), progress,
                )
            )  # fmt: skip
    if output == "json":
        typer.echo(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        console = Console(highlight=False)
        for table in tables(report):
            console.print(table)
            console.print()
    if not is_usable(report):
        raise typer.Exit(EXIT_NEGATIVE)


@events_app.command()
def replay(
    *,
    file: Annotated[Path, typer.Argument(help="Events, one a line, .gz allowed.")],
    topic: TopicOption = None,
    speed: Annotated[
        Any,
        typer.Option(
            parser=speed_factor, metavar="FACTOR|max", help="Times as fast as the events came."
        ),
    ] = "1",
    shift_to_now: Annotated[
        Literal["first", "last"] | None,
        typer.Option(help="Move event times so that the first or the last event is now."),
    ] = None,
    rate_max: Annotated[
        float | None, typer.Option(min=0.001, help="Never more records per second.")
    ] = None,
    compression: Annotated[
        Literal["none", "gzip", "snappy", "lz4", "zstd"], typer.Option(help="Of the batches.")
    ] = "lz4",
    config: ConfigOption = None,
) -> None:
    """Send the events of a file to a topic, keyed by module and region.

    Example: mplp-predictor events replay events.jsonl.gz --speed 60 --shift-to-now last
    """
    settings = settings_of(config)
    if shift_to_now == "first" and speed != 1:
        stop(EXIT_USAGE, "with --shift-to-now first only --speed 1 keeps events out of the future")
    from predictor.events.progress_line import ProgressLine
    from predictor.events.replay import Pace, replayed_lines
    from predictor.events.replay import replay as send
    from predictor.wiring import event_catalog, kafka_connection
    from streams.source_file import read_values

    catalog = event_catalog(settings)
    _keep_client_quiet()
    with _files(file), ProgressLine() as progress:
        shift_s = _shift_s(file, settings, catalog, shift_to_now)
        done = asyncio.run(
            send(
                (body for _, body in read_values(file)),
                kafka_connection(settings),
                topic or settings.kafka.requests_topic,
                catalog,
                Pace(speed, rate_max),
                shift_s=shift_s,
                compression=compression,
                progress=progress,
            )
        )
    _tell(replayed_lines(done))
    if not done.delivered:
        raise typer.Exit(EXIT_NEGATIVE)


def _shift_s(path: Path, settings: Settings, catalog: Catalog, shift_to_now: str | None) -> float:
    """How far event times move: whole buckets, so that each keeps what it held."""
    if shift_to_now is None:
        return 0.0
    from predictor.clock import WallClock
    from predictor.events.replay_records import span_s
    from streams.source_file import read_values

    span = span_s((body for _, body in read_values(path)), catalog)
    if span is None:
        stop(EXIT_NEGATIVE, f"{path}: no line has a time that can be moved")
    bucket_s = settings.windows.bucket_s
    away_s = WallClock().now_s() - span[0 if shift_to_now == "first" else 1]
    return away_s // bucket_s * bucket_s


def _keep_client_quiet() -> None:
    """What aiokafka logs on its way is said once, at the end, in one line."""
    import logging

    logging.getLogger("aiokafka").addHandler(logging.NullHandler())


@contextmanager
def _files(path: Path | None) -> Iterator[None]:
    """What cannot be read, written or reached ends the command with 3; a closed pipe ends it."""
    try:
        yield
    except BrokenPipeError:
        import os

        # Whoever read has enough; what is still in Python's buffer goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None
    except ConnectionError as error:
        stop(EXIT_UNREACHABLE, str(error))
    except (OSError, EOFError) as error:
        named = path is None or getattr(error, "filename", None)
        stop(EXIT_UNREACHABLE, str(error) if named else f"{path}: {error}")


def _check_names(settings: Settings, module: str | None, region: str | None) -> None:
    catalog = _catalog(settings, None)
    if module is not None and catalog.module(module) is None:
        stop(EXIT_USAGE, f"--module {module}: expected one of {', '.join(settings.modules)}")
    if region is not None and catalog.region(region) is None:
        stop(EXIT_USAGE, f"--region {region}: expected one of {', '.join(settings.regions)}")


def _catalog(settings: Settings, region: str | None) -> Catalog:
    """As configured, but history without a region is not taken for the worker's own."""
    from streams.events import Catalog

    return Catalog(
        settings.modules,
        settings.regions,
        default_region=region,
        options=settings.events.loaded(lambda name: Path(name).read_bytes()),
    )


def _tell(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line, err=True)
