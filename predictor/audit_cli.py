"""`mplp-predictor replay`: recorded decisions made again, by the same policy or by another.

`predictor/cli.py` adds it. It parses, calls, prints and returns an exit code; everything heavy is
imported inside. Results go to standard output, what was set aside to standard error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from predictor.audit_options import (
    RECORDS_MAX,
    FileOption,
    FromTopicOption,
    RecordsMaxOption,
    SinceOption,
    UntilOption,
    check_sources,
    moment_s,
    read_all,
    whole_output,
)
from predictor.command import (
    EXIT_NEGATIVE,
    EXIT_UNREACHABLE,
    ConfigOption,
    result_console,
    settings_of,
    stop,
)

if TYPE_CHECKING:
    from predictor.audit_policy import OtherPolicy
    from predictor.audit_replay import Replay


PolicyOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Configuration of another policy: what it would decide."),
]
JsonOption = Annotated[Path | None, typer.Option("--json", help="All of it, for programs.")]


def replay(
    *,
    file: FileOption = None,
    from_topic: FromTopicOption = False,
    since: SinceOption = None,
    until: UntilOption = None,
    max_records: RecordsMaxOption = RECORDS_MAX,
    policy: PolicyOption = None,
    json: JsonOption = None,
    config: ConfigOption = None,
) -> None:
    """Make recorded decisions again: the same to the byte, or the first difference.

    With --policy: what another configuration would have decided from the same inputs.

    Exit code 1: a decision came out otherwise, or no record could be read.

    Example: mplp-predictor replay --file build/simulation/audit.jsonl.gz
    """
    check_sources(file, from_topic)
    settings = settings_of(config)
    other_settings = None if policy is None else settings_of(policy)
    from predictor.audit_policy import OtherPolicy
    from predictor.audit_replay import Replay
    from predictor.audit_sources import STDIN, Source

    source = Source(
        "topic" if from_topic else "file", file or STDIN, since_s=moment_s(since),
        until_s=moment_s(until), records_max=max_records,
    )  # fmt: skip
    replayed = Replay()
    other = None if other_settings is None else OtherPolicy(other_settings.policy())

    def take(place: str, body: bytes) -> None:
        read = replayed.take(place, body)
        if read is not None and other is not None:
            other.take(*read)

    read_all(source, settings, take)
    _write(json, replayed, other, policy)
    with whole_output():
        _show(replayed, other, policy)
    if not replayed.report().holds:
        raise typer.Exit(EXIT_NEGATIVE)


def _write(
    path: Path | None, replayed: Replay, other: OtherPolicy | None, policy: Path | None
) -> None:
    if path is None:
        return
    import msgspec

    from predictor.audit_report import ReplayFile

    content = ReplayFile.of(replayed.report(), other, policy)
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
    except OSError as error:
        stop(EXIT_UNREACHABLE, str(error))
    typer.echo(f"written to {path}", err=True)


def _show(replayed: Replay, other: OtherPolicy | None, policy: Path | None) -> None:
    from predictor.audit_report import floor_table, other_lines, refused_lines, replayed_lines

    report = replayed.report()
    for line in refused_lines(report):
        typer.echo(line, err=True)
    typer.echo("\n".join(replayed_lines(report)))
    if other is None or policy is None:
        return
    console = result_console()
    console.print()
    console.print(floor_table(other, policy))
    typer.echo("\n".join(other_lines(other)))
