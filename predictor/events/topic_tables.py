"""Draws what `events inspect` found for a person: a few tables, the sentences last.

`predictor/events_cli.py` prints what it gives. The same values are in the JSON
(`predictor/events/topic_report.py`). It must never judge: that is `predictor/events/findings.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from predictor.events.topic_report import Finding, Quantiles, TopicReport

PLACES_SHOWN = 40
METRICS_SHOWN = 40
PARTITIONS_SHOWN = 24
STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan", "good": "green"}


def tables(report: TopicReport) -> Iterator[RenderableType]:
    """From the whole to its parts; what to do comes last, where the eye ends."""
    yield _head(report)
    if report.formats:
        yield _formats(report)
    if report.places:
        yield _places(report)
    if report.metrics:
        yield _metrics(report)
    if report.events:
        yield _times(report)
    if len(report.partitions) > 1:
        yield _partitions(report)
    if report.rejected:
        yield _rejected(report)
    yield from _findings(report.findings)


def _head(report: TopicReport) -> Text:
    rate = report.requests / report.covered_s if report.covered_s else 0.0
    lines = [f"{report.source}: {report.records:,} records, {_size(report.bytes)}"]
    if report.events or not report.samples:
        lines.append(
            f"{report.events:,} request events = {report.requests:,.0f} requests, {rate:,.1f}/s "
            f"over {_span(report.covered_s)} of event time"
        )
    if report.samples:
        rate = report.sample_requests / report.covered_s if report.covered_s else 0.0
        lines.append(
            f"{report.samples:,} metric samples tell of {report.sample_requests:,.0f} requests, "
            f"{rate:,.1f}/s over {_span(report.covered_s)}"
        )
    if report.first_event:
        lines.append(f"events from {report.first_event} to {report.last_event}")
    others = {
        "heartbeats": report.heartbeats, "no arrivals": report.ignored,
        "summaries": report.summaries, "sampled": report.sampled, "pinned": report.pinned,
        "repetitions": report.duplicates, "set aside": report.rejected_events,
    }  # fmt: skip
    lines.append(", ".join(f"{count:,} {what}" for what, count in others.items() if count))
    return Text("\n".join(line for line in lines if line))


def _formats(report: TopicReport) -> Table:
    table = _table("format", "records", "not readable")
    for one in report.formats:
        table.add_row(one.name, f"{one.records:,}", f"{one.rejected_records:,}")
    return table


def _places(report: TopicReport) -> Table:
    table = _table("module", "region", "events", "requests", "requests/s", "partitions", left=2)
    for one in report.places[:PLACES_SHOWN]:
        table.add_row(
            one.module, one.region, f"{one.events:,}", f"{one.requests:,.0f}",
            f"{one.requests_per_s:,.2f}", str(one.partitions),
        )  # fmt: skip
    if len(report.places) > PLACES_SHOWN:
        table.add_row(f"… {len(report.places) - PLACES_SHOWN} more", *[""] * 5)
    return table


def _metrics(report: TopicReport) -> Table:
    headings = ("metric", "means", "module", "region", "series", "samples", "requests/s")
    table = _table(*headings, left=4)
    for one in report.metrics[:METRICS_SHOWN]:
        is_demand = one.means in ("requests", "requests_per_s")
        table.add_row(
            Text(one.name), one.means, one.module, one.region, f"{one.series:,}",
            f"{one.samples:,}", f"{one.requests_per_s:,.2f}" if is_demand else "",
        )  # fmt: skip
    if len(report.metrics) > METRICS_SHOWN:
        table.add_row(f"… {len(report.metrics) - METRICS_SHOWN} more", *[""] * 6)
    return table


def _times(report: TopicReport) -> Table:
    table = _table("seconds", "median", "90 %", "99 %", "most")
    rows: list[tuple[str, Quantiles]] = [("behind the newest event", report.lateness)]
    if report.delay.max_s:
        rows.append(("from event to record", report.delay))
    for name, one in rows:
        values = (one.p50_s, one.p90_s, one.p99_s, one.max_s)
        table.add_row(
            name, *(f"{value:,.3f}" if value < 100 else f"{value:,.0f}" for value in values)
        )
    return table


def _partitions(report: TopicReport) -> Table:
    table = _table("partition", "records", "events/s", "heartbeats", "last event", "behind", left=0)
    shown = sorted(report.partitions, key=lambda one: -(one.behind_s or 0))[:PARTITIONS_SHOWN]
    for one in sorted(shown, key=lambda one: one.partition):
        behind = "" if one.behind_s is None else f"{one.behind_s:,.0f} s"
        table.add_row(
            str(one.partition), f"{one.records:,}", f"{one.events_per_s:,.2f}",
            f"{one.heartbeats:,}", one.last_event or "none", behind,
        )  # fmt: skip
    if len(report.partitions) > PARTITIONS_SHOWN:
        table.add_row("…", f"{len(report.partitions) - PARTITIONS_SHOWN} more", *[""] * 4)
    return table


def _rejected(report: TopicReport) -> Table:
    table = _table("set aside", "count", "first one", "what was wrong")
    table.columns[2].no_wrap = True
    table.columns[3].justify = "left"
    for one in report.rejected:
        place = f"{one.partition}:{one.offset}"
        table.add_row(one.reason, f"{one.count:,}", place, Text(one.example))
    return table


def _findings(findings: tuple[Finding, ...]) -> Iterator[RenderableType]:
    for one in findings:
        said: RenderableType = Text(one.sentence)
        if one.configuration:
            said = Group(said, Padding(Text(one.configuration, style="dim"), (0, 0, 0, 2)))
        row = Table.grid(padding=(0, 1))
        row.add_column(width=7)
        row.add_column()
        row.add_row(Text(one.level, STYLES[one.level]), said)
        yield row


def _table(*headings: str, left: int = 1) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), title_justify="left")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < left else "right", overflow="fold")
    return table


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"


def _span(seconds: float) -> str:
    for unit, length_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:,.1f} {unit}"
    return f"{seconds:,.0f} s"
