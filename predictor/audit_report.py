"""What `mplp-predictor replay` prints and writes: sentences, a table, and the file beside them.

`predictor/audit_cli.py` calls it. It must never compute what the replay has not found.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.table import Table

from predictor.audit_policy import OtherPolicy, Side, TargetFloors
from predictor.audit_replay import Replayed
from predictor.time_words import utc

LINKS_TOLD = {
    "restart": "began with another state than the one before left: a restart",
    "missing": "come after others that are missing here",
    "looks first": "began a new warm-up, as after a change of owner",
    "repeated": "were written twice",
}


class ReplayFile(msgspec.Struct, frozen=True):
    """The file of `--json`; its fields are those of the structs it holds."""

    replayed: Replayed
    policy: str | None = None
    targets: tuple[TargetFloors, ...] = ()
    settings_in_forecast: tuple[str, ...] = ()

    @staticmethod
    def of(report: Replayed, other: OtherPolicy | None, policy: Path | None) -> ReplayFile:
        """Both, if there was another policy."""
        if other is None:
            return ReplayFile(report)
        noted = tuple(sorted(other.settings_in_forecast))
        return ReplayFile(report, str(policy), tuple(other.targets.values()), noted)


def refused_lines(report: Replayed) -> Iterator[str]:
    """One for each reason why records were set aside."""
    for why, count in report.refused.items():
        yield f"{count:,} set aside: {why}"


def replayed_lines(report: Replayed) -> Iterator[str]:
    """How many agreed, how they hang together, and the first difference."""
    read = report.agreed + report.differed
    if not read or report.from_s is None or report.until_s is None:
        yield f"no decision to make again: {report.records:,} records, none can be read"
        return
    yield (
        f"{report.agreed:,} of {read:,} decisions are the same to the byte "
        f"({utc(report.from_s)} to {utc(report.until_s)})"
    )
    for link, told in LINKS_TOLD.items():
        if count := report.links.get(link, 0):
            yield f"{count:,} {told}"
    if report.first is not None:
        first = report.first
        yield f"first difference: decision {first.number} of {utc(first.made_at_s)}, {first.place}"
        yield f"  {first.difference.sentence}"


def floor_table(other: OtherPolicy, policy: Path) -> Table:
    """A row for each target: what was recorded beside what would have been."""
    table = Table(title=f"With {policy.name}, recorded → would be", title_justify="left")
    table.add_column("target")
    for heading in ("decisions", "differ", "mean floor", "max", "raises", "releases", "pod-hours"):
        table.add_column(heading, justify="right")
    for row in other.targets.values():
        one, two = row.recorded, row.would_be
        table.add_row(
            f"{row.module}/{row.region}",
            f"{row.decisions:,}",
            f"{row.differing:,}",
            f"{one.total / row.decisions:.2f} → {two.total / row.decisions:.2f}",
            f"{one.highest} → {two.highest}",
            f"{one.raises} → {two.raises}",
            f"{one.releases} → {two.releases}",
            f"{row.pod_hours_more:+,.2f}",
        )
    return table


def other_lines(other: OtherPolicy) -> Iterator[str]:
    """What the table rests on, and the first decision that differs."""
    yield (
        "Demand, Ready pods, route weights and measured lead times are as they were recorded: the "
        "other floors would have moved them. Floors are where they would stand had every decision "
        "been carried out; pod-hours are those of the floors alone."
    )
    if other.settings_in_forecast:
        names = ", ".join(sorted(other.settings_in_forecast))
        yield f"The forecasts are the recorded ones too: {names} of the file could not act on them."
    firsts = [row for row in other.targets.values() if row.first is not None]
    if not firsts:
        yield "No decision would have been another."
        return
    earliest = min(firsts, key=_first_s)
    assert earliest.first is not None
    first = earliest.first
    yield f"First: {earliest.module}/{earliest.region} at {utc(first.made_at_s)}"
    yield f"  recorded  {_told(first.recorded)}"
    yield f"  would be  {_told(first.would_be)}"


def _first_s(row: TargetFloors) -> float:
    return float("inf") if row.first is None else row.first.made_at_s


def _told(side: Side) -> str:
    said = "; ".join(f"{reason.sentence} ({reason.code})" for reason in side.reasons)
    return f"floor {side.floor}: {said or 'nothing to say'}"
