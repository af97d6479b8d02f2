"""Judges the metric samples that `events inspect` saw; the other rules are in `findings.py`.

`predictor/events/findings.py` asks them with its own. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from predictor.events.topic_report import Finding, MetricRow, TopicReport
from predictor.settings import Settings
from streams.counters import SampleVerdict
from streams.event_types import OTHER

DEMAND = ("requests", "requests_per_s")
NAMES_SHOWN = 5
BEYOND_INTERVAL_S = 30
"""For the way of a sample from its exporter to the topic, on top of what lies between two."""
PASSED_OVER = {
    SampleVerdict.WRONG_TYPE: "have another type than their name says",
    SampleVerdict.IMPLAUSIBLE: "are negative or tell of more than a billion requests",
    SampleVerdict.REFUSED: "are of more series than are kept of one partition",
}


def no_demand_metric(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """Samples, and none of a metric that counts requests, or of a module that is ours."""
    if not report.samples or report.events:
        return
    demand = [row for row in report.metrics if row.means in DEMAND]
    if not demand:
        names = [row.name for row in report.metrics[:NAMES_SHOWN]]
        yield Finding(
            level="error",
            code="NoDemandMetric",
            sentence=f"none of {report.samples:,} samples is of a metric that counts requests; "
            f"there are {', '.join(names)}. If one of these does, say so",
            configuration="events:\n  metrics:\n    your_requests_total: {means: requests}",
        )
    elif all(row.module == OTHER for row in demand):
        yield Finding(
            level="error",
            code="NothingConfigured",
            sentence="every sample of a request metric names a module or region that is not "
            "configured",
        )


def unkeyed(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """Samples of one series that may lie in any partition."""
    without_key = report.sample_verdicts.get(SampleVerdict.UNKEYED, 0)
    if without_key:
        yield Finding(
            level="error" if not report.sample_requests and not report.events else "warning",
            code="Unkeyed",
            sentence=f"{without_key:,} samples have no key, and the topic has "
            f"{len(report.partitions)} partitions, so no difference can be taken: one partition, "
            "or partition_metrics_by_resource_attributes in the Collector's exporter",
        )


def interval(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """Whether the lateness waits for the next sample, and not much too long."""
    interval_s = report.sample_interval.p99_s
    if not interval_s:
        return
    wanted_s = int(-(-(interval_s + BEYOND_INTERVAL_S) // 5) * 5)
    now_s = report.lateness_s
    proposed = (
        f"metrics:\n  topic: {settings.metrics.topic or 'mplp.metrics'}  # the topic of the samples"
        f"\n  lateness_s: {wanted_s}"
    )
    if wanted_s > now_s + 5:
        yield Finding(
            level="warning",
            code="IntervalLong",
            sentence=f"two samples of a series are {interval_s:.0f} s apart: a lateness of "
            f"{now_s:g} s is too short to wait for the next one",
            configuration=proposed,
        )
    elif wanted_s <= now_s / 2:
        yield Finding(
            level="note",
            code="IntervalShort",
            sentence=f"two samples of a series are {interval_s:.0f} s apart: with a lateness of "
            f"{wanted_s} s decisions would know {now_s - wanted_s:g} s more of the present",
            configuration=proposed,
        )
    else:
        yield Finding(
            level="good",
            code="Interval",
            sentence=f"two samples of a series are {interval_s:.0f} s apart; a lateness of "
            f"{now_s:g} s fits",
        )


def passed_over(report: TopicReport, settings: Settings) -> Iterator[Finding]:
    """Samples of request metrics that are not counted."""
    for verdict, why in PASSED_OVER.items():
        if number := report.sample_verdicts.get(verdict, 0):
            yield Finding(
                level="warning",
                code="SamplesPassedOver",
                sentence=f"{number:,} samples {why}; they count for nothing ({verdict.value})",
            )
    outranked = report.sample_verdicts.get(SampleVerdict.OUTRANKED, 0)
    if outranked:
        yield Finding(
            level="note",
            code="SecondSource",
            sentence=f"{outranked:,} samples are of a second metric of the same requests and are "
            f"left out; counted are {_counted(report.metrics)}",
        )


METRIC_RULES = (no_demand_metric, unkeyed, interval, passed_over)


def _counted(rows: tuple[MetricRow, ...]) -> str:
    names = dict.fromkeys(row.name for row in rows if row.requests)
    return ", ".join([*names][:NAMES_SHOWN]) or "none yet"
