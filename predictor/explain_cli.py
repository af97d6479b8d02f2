"""`mplp-predictor explain`: one decision as a person reads it.

`predictor/cli.py` adds it. It parses, calls, prints and returns an exit code; everything heavy is
imported inside. The explanation goes to standard output, what was set aside to standard error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from predictor.audit_options import (
    RECORDS_MAX,
    FileOption,
    FromTopicOption,
    RecordsMaxOption,
    ServiceOption,
    check_sources,
    moment_s,
    read_all,
    whole_output,
)
from predictor.command import EXIT_NEGATIVE, ConfigOption, settings_of, stop

if TYPE_CHECKING:
    from pathlib import Path

    from predictor.audit_sources import Source
    from predictor.explain import Explanation
    from predictor.explain_choice import Choice

FOLLOWED_S = 2 * 3600.0
"""So long after a moment the topic is read, for what came of its decision."""

ModuleArgument = Annotated[str, typer.Argument(help="The module whose decision is explained.")]
RegionOption = Annotated[
    str | None, typer.Option(help="Of this region; else the one that moves most.")
]
AtOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Newest decision at or before: RFC 3339, or so long ago: 1h; else the newest.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs, on standard output.")]


def explain(
    module: ModuleArgument,
    *,
    region: RegionOption = None,
    at: AtOption = None,
    file: FileOption = None,
    from_topic: FromTopicOption = False,
    service: ServiceOption = None,
    max_records: RecordsMaxOption = RECORDS_MAX,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tell one decision in plain sentences: why this floor, what stood in its way, what came of it.

    Exit code 1: no such module, or no decision at that time.

    Example: mplp-predictor explain core --file build/simulation/audit.jsonl.gz
    """
    check_sources(file, from_topic, service)
    settings = settings_of(config)
    from predictor.explain_choice import Choice

    choice = Choice(module, region, moment_s(at))
    source = _source(file, service, choice.at_s, max_records)
    read_all(source, settings, choice.take)
    for why, count in choice.refused.items():
        typer.echo(f"{count:,} set aside: {why}", err=True)
    found = _explanation(choice)
    with whole_output():
        _show(found, as_json=as_json)


def _source(file: Path | None, service: str | None, at_s: float | None, records: int) -> Source:
    from predictor.audit_sources import Source

    if file is not None:
        return Source("file", file, records_max=records)
    if service is not None:
        return Source("service", url=service)
    until_s = None if at_s is None else at_s + FOLLOWED_S
    return Source("topic", until_s=until_s, around_s=at_s, newest=at_s is None, records_max=records)


def _explanation(choice: Choice) -> Explanation:
    """The decision chosen, with what followed; where there is none, what there is instead."""
    from predictor.core.audit import RecordRefused, decode_record
    from predictor.explain import explained

    if choice.body is None:
        stop(EXIT_NEGATIVE, _why_none(choice))
    try:
        record = decode_record(choice.body)
        return explained(record, choice.module, choice.region, later=choice.later)
    except RecordRefused as error:
        stop(EXIT_NEGATIVE, str(error))


def _why_none(choice: Choice) -> str:
    from predictor.time_words import utc

    if choice.first_s is None or choice.last_s is None:
        return "no decision record was found"
    if choice.module not in choice.modules:
        known = ", ".join(sorted(choice.modules)) or "none"
        return f"no decision is for {choice.module!r}; modules there are: {known}"
    if choice.region is not None and choice.region not in choice.regions:
        known = ", ".join(sorted(choice.regions))
        return f"{choice.module} is not in {choice.region!r}; its regions are: {known}"
    span = f"{utc(choice.first_s)} to {utc(choice.last_s)}"
    return f"no decision for {choice.module} at or before that time; records read: {span}"


def _show(found: Explanation, *, as_json: bool) -> None:
    if as_json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    from predictor.explain_text import page

    typer.echo(page(found))
