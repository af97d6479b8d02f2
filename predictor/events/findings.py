"""Judges what `events inspect` saw: sentences for a person, and the configuration that answers.

`predictor/events/inspect.py` calls it. Each rule looks at the report and the settings alone and
says at most a few things; an `error` means that the service cannot work with the topic as it is.
Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from predictor.events.metric_findings import METRIC_RULES
from predictor.events.topic_report import Finding, Level, TopicReport
from predictor.settings import Settings

Rule = Callable[[TopicReport, Settings], Iterator[Finding]]

LEVELS: tuple[Level, ...] = ("error", "warning", "note", "good")
LATENESS_CHOICES_S = (5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1800, 3600)
COVERED_WANTED = 0.9999
NAMES_SHOWN = 8
SUMMARIES_FROM_PER_S = 2_000
"""Above it one event a request costs more than counting at the sender."""


def judge(report: TopicReport, settings: Settings) -> TopicReport:
    """The report with its findings, worst first."""
    found = [finding for rule in RULES for finding in rule(report, settings)]
    found.sort(key=lambda one: LEVELS.index(one.level))
    return msgspec.structs.replace(report, findings=tuple(found))


def nothing_there(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """No record between the two offsets."""
    if not report.records:
        yield Finding(
            level="error",
            code="Empty",
            sentence="there was no record; look further back with --last 1d or --from-beginning, "
            "or wait for some with --seconds",
        )


def nothing_decodable(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """Records, and not one event or sample in them."""
    good = report.events + report.heartbeats + report.samples + report.ignored
    if report.records and not good:
        first = report.rejected[0] if report.rejected else None
        why = f"{first.reason}: {first.example}" if first else "they hold nothing"
        yield Finding(
            level="error",
            code="NothingDecodable",
            sentence=f"none of {report.records:,} records can be read; {why}",
            configuration=_format_hint(report),
        )
    elif report.records and not report.events and not report.samples:
        yield Finding(
            level="error",
            code="NoRequests",
            sentence=f"nothing tells of a request: {report.heartbeats:,} heartbeats, "
            f"{report.ignored:,} events that are no arrivals; if these are, say so",
            configuration="events:\n  arrivals: {your.event.type: true}",
        )


def nothing_of_ours(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """Every event names a module or a region that is not configured."""
    if report.events and report.other_events == report.events:
        yield Finding(
            level="error",
            code="NothingConfigured",
            sentence="every event names a module or region that is not configured",
        )


def rejected(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """Some records are set aside."""
    if report.rejected and (report.events or report.samples):
        share = report.rejected_events / (report.rejected_events + report.events + report.samples)
        reasons = ", ".join(f"{one.reason} ({one.count:,})" for one in report.rejected)
        yield Finding(
            level="warning" if share > 0.001 else "note",
            code="Rejected",
            sentence=f"{_percent(share)} of the events are set aside: {reasons}",
        )


def unknown_modules(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """Names of modules that the configuration does not have."""
    names = [(one.name, one.events) for one in report.unknown_names if one.what == "module"]
    if names:
        aliases = "".join(f"\n    {name}: ''  # one of your modules" for name, _ in names[:3])
        yield Finding(
            level="warning",
            code="UnknownModules",
            sentence=f"module names not configured: {_listed(names)}; "
            "these events are counted as `other`",
            configuration=f"events:\n  module_aliases:{aliases}\n"
            "# or, where it is a module of its own with an HPA, under `modules`:\n"
            f"#   {names[0][0]}: {{hpa: mplp-{names[0][0]}-hpa}}",
        )


def unknown_regions(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """Names of regions that the configuration does not have."""
    names = [(one.name, one.events) for one in report.unknown_names if one.what == "region"]
    if names:
        aliases = "".join(f"\n    {name}: {settings.region}" for name, _ in names[:3])
        yield Finding(
            level="warning",
            code="UnknownRegions",
            sentence=f"region names not configured: {_listed(names)}; "
            "these events are counted as `other`",
            configuration=f"events:\n  region_aliases:{aliases}",
        )


def no_region(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """Events that name no region are taken for the reader's own."""
    placed = report.events + report.samples
    if report.without_region and placed:
        several = len(settings.regions) > 1
        yield Finding(
            level="warning" if several else "note",
            code="NoRegion",
            sentence=f"no region in {_percent(report.without_region / placed)} of the events: they "
            f"count for the reading worker's own, {settings.region}"
            + ("; a worker of another region would take them for its own" if several else ""),
            configuration=f"region: {settings.region}  # the region this topic's events are of",
        )


def lateness(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """Whether the configured lateness waits long enough, and not much too long."""
    if report.events < 100:
        return
    covered = 1 - report.late / report.events
    now_s = report.lateness_s
    wanted_s = next((one for one in LATENESS_CHOICES_S if one >= report.lateness_s_for_9999), None)
    if covered < COVERED_WANTED:
        better = "" if wanted_s is None else f"; {wanted_s} covers 99.99 %"
        yield Finding(
            level="warning",
            code="LatenessShort",
            sentence=f"lateness_s: {now_s:g} covers {_percent(covered)}{better}",
            configuration="" if wanted_s is None else f"windows:\n  lateness_s: {wanted_s}",
        )
        return
    yield Finding(
        level="good", code="Lateness", sentence=f"lateness_s: {now_s:g} covers {_percent(covered)}"
    )
    if wanted_s is not None and wanted_s <= now_s / 3:
        yield Finding(
            level="note",
            code="LatenessLong",
            sentence=f"{wanted_s} s would cover 99.99 % too, and decisions would know "
            f"{now_s - wanted_s:g} s more of the present",
            configuration=f"windows:\n  lateness_s: {wanted_s}",
        )


def clocks(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """Senders whose clocks run ahead."""
    skew_s = settings.windows.future_skew_max_s
    if report.ahead_of_record:
        yield Finding(
            level="warning" if report.ahead_of_record_max_s > 10 else "note",
            code="AheadOfRecord",
            sentence=f"timestamps ahead of their record: {report.ahead_of_record:,}, by up to "
            f"{report.ahead_of_record_max_s:.1f} s; they are set to the record's time",
        )
    future = next((one for one in report.rejected if one.reason == "future_time"), None)
    if future is not None:
        yield Finding(
            level="warning",
            code="FutureTime",
            sentence=f"{future.count:,} events lie more than {skew_s:g} s after their record and "
            f"are set aside; {future.example}",
        )
    if report.records and report.delay.max_s and not report.stamped_by_broker:
        yield Finding(
            level="note",
            code="StampedBySender",
            sentence="the senders stamp the records themselves, so a fast clock cannot be told; "
            "set message.timestamp.type=LogAppendTime on the topic",
        )
    if report.without_time:
        yield Finding(
            level="note",
            code="NoTime",
            sentence=f"{report.without_time:,} events have no time of their own: the record's "
            "timestamp stands in, and queueing at the sender looks like later demand",
        )


def duplicates(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """Repetitions, which the service leaves out."""
    if report.duplicates:
        share = report.duplicates / max(report.events, 1)
        yield Finding(
            level="warning" if share > 0.05 else "note",
            code="Duplicates",
            sentence=f"{report.duplicates:,} repetitions ({_percent(share)}) are recognised by "
            "their id and left out",
        )


def silence(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """Partitions that hold everything back until they are taken for idle."""
    idle_s = settings.windows.idle_after_s
    idle = [
        one.partition for one in report.partitions if one.behind_s is None or one.behind_s > idle_s
    ]
    if not report.events or not report.partitions:
        return
    if idle and len(report.partitions) > 1:
        shown = ", ".join(map(str, idle[:NAMES_SHOWN])) + (" …" if len(idle) > NAMES_SHOWN else "")
        yield Finding(
            level="note" if report.heartbeats else "warning",
            code="IdlePartitions",
            sentence=f"{len(idle)} of {len(report.partitions)} partitions are silent or more than "
            f"{idle_s:g} s behind ({shown}); each holds decisions back for {idle_s:g} s when it "
            "falls silent. Heartbeats into every partition avoid that",
        )
    if not report.heartbeats:
        yield Finding(
            level="note",
            code="NoHeartbeats",
            sentence="no heartbeats: where no event comes, silence and a broken feed look alike, "
            "and nothing is lowered until one does",
        )


def keys(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """Whether each module and region has a partition of its own; the service does not need it."""
    if len(report.partitions) > 1 and report.places:
        together = sum(one.partitions == 1 for one in report.places)
        yield Finding(
            level="note",
            code="Keys",
            sentence=f"{together} of {len(report.places)} pairs of module and region lie in one "
            "partition each; either is fine",
        )


def volume(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """Where the sender should count by itself."""
    per_s = report.events / report.covered_s if report.covered_s else 0.0
    if per_s > SUMMARIES_FROM_PER_S and report.summaries < report.events / 2:
        yield Finding(
            level="note",
            code="ManyEvents",
            sentence=f"{per_s:,.0f} events a second, one for each request: a sender that counts "
            "ten seconds by itself (`count`) sends a fraction of that",
        )


def incomplete(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """The reading ended before the end."""
    if not report.is_complete:
        yield Finding(
            level="note",
            code="Incomplete",
            sentence="the end was not reached in time: what stands here is of the older part",
        )


RULES: tuple[Rule, ...] = (
    nothing_there, nothing_decodable, nothing_of_ours, rejected, unknown_modules, unknown_regions,
    no_region, lateness, clocks, duplicates, silence, keys, volume, *METRIC_RULES, incomplete,
)  # fmt: skip


def _format_hint(report: TopicReport) -> str:
    names = {one.name for one in report.formats}
    malformed = any(one.reason == "malformed" for one in report.rejected)
    if names <= {"json"} and malformed:
        return (
            "events:\n  format: otlp_proto_traces  # or schema_registry, msgpack: "
            "what the values are, if they are no text"
        )
    return ""


def _listed(names: list[tuple[str, int]]) -> str:
    shown = ", ".join(f"{name} ({events:,})" for name, events in names[:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _percent(share: float) -> str:
    """With as many digits as tell it from all, from nothing, and a half from one."""
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    for digits in (0, 1, 2, 3):
        shown = f"{share * 100:.{digits}f}"
        if float(shown) not in (0, 100) and (digits or share >= 0.1):
            return f"{shown} %"
    return "nearly 100 %" if share > 0.5 else "less than 0.001 %"


def is_usable(report: TopicReport) -> bool:
    """Whether the service can work with the topic as it is."""
    return all(one.level != "error" for one in report.findings)
