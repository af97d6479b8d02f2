"""The options that name a source of audit records, shared by `replay` and `explain`.

`predictor/audit_cli.py` and `predictor/explain_cli.py` use it. Nothing heavy may be imported at the
top, because `--help` loads it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from predictor.command import EXIT_NEGATIVE, EXIT_UNREACHABLE, EXIT_USAGE, stop
from predictor.events.option_values import duration_s, instant_s

if TYPE_CHECKING:
    from predictor.audit_sources import Source, Take, Told
    from predictor.settings import Settings

RECORDS_MAX = 100_000
"""Eleven days of one worker's ticks."""

FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file",
        metavar="FILE",
        help="Audit records, one JSON a line, .gz allowed; - is standard input.",
    ),
]
FromTopicOption = Annotated[
    bool, typer.Option("--from-topic", help="Read the configured audit topic.")
]
ServiceOption = Annotated[
    str | None,
    typer.Option("--service", metavar="URL", help="Ask a running worker for its newest decision."),
]
SinceOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="First decision: RFC 3339, or so long ago: 1h, 7d."),
]
UntilOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="Last decision: RFC 3339, or so long ago.")
]
RecordsMaxOption = Annotated[
    int, typer.Option("--max-records", min=1, max=10_000_000, help="Read no more than these.")
]


def check_sources(file: Path | None, from_topic: bool, service: str | None = None) -> None:
    """Ends the command where not exactly one source is named."""
    if (file is not None) + from_topic + (service is not None) != 1:
        stop(EXIT_USAGE, "give one source: --file FILE, --from-topic, or (explain) --service URL")
    if service is not None and not service.startswith(("http://", "https://")):
        stop(EXIT_USAGE, f"--service {service}: expected http://HOST:PORT")


def moment_s(text: str | None) -> float | None:
    """An instant, or so long before now."""
    if text is None:
        return None
    try:
        ago_s = duration_s(text)
    except typer.BadParameter:
        return instant_s(text)
    from predictor.clock import WallClock

    return WallClock().now_s() - ago_s


def read_all(source: Source, settings: Settings, take: Take) -> Told:
    """Hand every record of the source over, and say where it was not read to its end."""
    from predictor.audit_sources import ServiceHasNone, read_source

    _keep_client_quiet()
    try:
        told = read_source(source, settings, take)
    except ServiceHasNone as none:
        stop(EXIT_NEGATIVE, str(none).strip())
    except ConnectionError as error:
        stop(EXIT_UNREACHABLE, str(error))
    except (OSError, EOFError) as error:
        named = getattr(error, "filename", None) is not None or source.kind != "file"
        stop(EXIT_UNREACHABLE, str(error) if named else f"{source.file}: {error}")
    if told.is_cut:
        typer.echo(
            f"stopped after {told.records:,} records; a higher --max-records reads more",
            err=True,
        )
    return told


@contextmanager
def whole_output() -> Iterator[None]:
    """A reader who has enough of standard output ends the command in peace."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still in Python's buffer goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None


def _keep_client_quiet() -> None:
    """What aiokafka logs on its way is said once, at the end, in one line."""
    import logging

    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
