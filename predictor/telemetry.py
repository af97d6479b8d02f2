"""Metrics and logs, read from what the tick already knows; no cost per event.

`predictor/worker.py` registers `PredictorCollector`, which reads one `Snapshot` when it is scraped;
`configure_logging` sets structlog up once. Labels are configured names and enum codes only. Nothing
here may decide, or keep a value that the snapshot does not hold.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from platform import python_version

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from predictor import __version__
from predictor.actuators.gate_state import GateState
from predictor.core.cluster import TargetKey
from predictor.core.decision import Decision
from predictor.core.reasons import Code
from predictor.model_store.outcomes import LoadOutcome
from streams.counters import SampleVerdict
from streams.events import RejectReason
from streams.repeated_lines import RepeatedLines
from streams.windows import Verdict

PREFIX = "mplp_predictor"
RECORD_OUTCOMES = frozenset(
    [*map(str, Verdict), *map(str, RejectReason), *map(str, SampleVerdict), "ignored", "lost"]
)


@dataclass(slots=True)
class Snapshot:
    """What the worker knows right now; the worker writes it, the collector reads it."""

    mode: str = "shadow"
    decision: Decision | None = None
    watermark_s: float = 0.0
    lag_s: float = -1.0
    events: Counter[str] = field(default_factory=Counter)
    decisions: Counter[tuple[str, str]] = field(default_factory=Counter)
    writes: Counter[tuple[str, str]] = field(default_factory=Counter)
    held_back: frozenset[tuple[TargetKey, Code]] = frozenset()
    gate: GateState | None = None
    floors_until_s: dict[TargetKey, float] = field(default_factory=dict)
    cluster_silent_s: float | None = None
    ticks: int = 0
    tick_failures: int = 0
    tick_duration_s: float = 0.0
    owned_modules: int = 0
    audit_dropped: int = 0
    model_loads: Counter[str] = field(default_factory=Counter)

    def forget_targets(self) -> None:
        """Nothing is decided here now: what another worker changes must not be told from memory."""
        self.decision, self.held_back, self.floors_until_s = None, frozenset(), {}
        self.watermark_s, self.lag_s = 0.0, -1.0


class PredictorCollector(Collector):
    """Turns a snapshot into Prometheus series at scrape time."""

    def __init__(self, read: Callable[[], Snapshot]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """All series; an absent decision gives no target series rather than zeros."""
        snapshot = self._read()
        yield from _process_series(snapshot)
        yield from _event_series(snapshot)
        yield from _write_series(snapshot)
        if snapshot.gate is not None:
            yield from _gate_series(snapshot.gate)
        yield from _cluster_series(snapshot.cluster_silent_s)
        # Read once: the worker may take it away meanwhile.
        if (decision := snapshot.decision) is not None:
            yield from _target_series(decision)


def _process_series(snapshot: Snapshot) -> Iterable[Metric]:
    info = InfoMetricFamily(f"{PREFIX}_build", "Version of the running service.")
    info.add_metric([], {"version": __version__, "python_version": python_version()})
    yield info
    mode = GaugeMetricFamily(f"{PREFIX}_mode", "1 for the mode that is on.", labels=["mode"])
    for name in ("shadow", "active"):
        mode.add_metric([name], float(snapshot.mode == name))
    yield mode
    yield CounterMetricFamily(f"{PREFIX}_ticks", "Ticks that were finished.", value=snapshot.ticks)
    yield CounterMetricFamily(
        f"{PREFIX}_tick_failures", "Ticks that failed.", value=snapshot.tick_failures
    )
    yield GaugeMetricFamily(
        f"{PREFIX}_last_tick_duration_seconds",
        "How long the last tick took.",
        value=snapshot.tick_duration_s,
    )
    yield GaugeMetricFamily(
        f"{PREFIX}_owned_modules",
        "Modules that this worker decides for.",
        value=snapshot.owned_modules,
    )
    yield CounterMetricFamily(
        f"{PREFIX}_audit_records_dropped",
        "Audit records that the broker could not take in time.",
        value=snapshot.audit_dropped,
    )
    loads = CounterMetricFamily(
        f"{PREFIX}_model_loads", "Looks at the model store, by what became.", labels=["outcome"]
    )
    for outcome in LoadOutcome:
        loads.add_metric([outcome], snapshot.model_loads[outcome])
    yield loads


def _event_series(snapshot: Snapshot) -> Iterable[Metric]:
    events = CounterMetricFamily(
        f"{PREFIX}_events", "Records read, by what became of them.", labels=["outcome"]
    )
    actions = CounterMetricFamily(
        f"{PREFIX}_ingest_actions", "What ingest did beside reading records.", labels=["action"]
    )
    read = [(str(name), count) for name, count in list(snapshot.events.items())]
    for name, count in sorted(read):
        (events if name in RECORD_OUTCOMES else actions).add_metric([name], count)
    yield from (events, actions)
    if snapshot.watermark_s:
        yield GaugeMetricFamily(
            f"{PREFIX}_lag_seconds",
            "Age of the newest demand that is whole; -1 before there is any.",
            value=snapshot.lag_s,
        )
        yield GaugeMetricFamily(
            f"{PREFIX}_watermark_timestamp_seconds",
            "Event time up to which all demand is known.",
            value=snapshot.watermark_s,
        )
    decisions = CounterMetricFamily(
        f"{PREFIX}_decisions",
        "Decided changes, by reason code and outcome.",
        labels=["reason", "outcome"],
    )
    for (reason, outcome), count in sorted(snapshot.decisions.items()):
        decisions.add_metric([reason, outcome], count)
    yield decisions


def _write_series(snapshot: Snapshot) -> Iterable[Metric]:
    writes = CounterMetricFamily(
        f"{PREFIX}_writes", "Writes by what they were to do.", labels=["kind", "outcome"]
    )
    for (kind, outcome), count in sorted(snapshot.writes.items()):
        writes.add_metric([kind, outcome], count)
    held = GaugeMetricFamily(
        f"{PREFIX}_target_held_back",
        "1 while a target does not get what was decided, by reason code.",
        labels=["module", "region", "reason"],
    )
    for key, code in sorted(snapshot.held_back):
        held.add_metric([key.module, key.region, code], 1.0)
    until = GaugeMetricFamily(
        f"{PREFIX}_floor_until_timestamp_seconds",
        "When a floor of ours runs out unless it is renewed.",
        labels=["module", "region"],
    )
    for key, until_s in sorted(snapshot.floors_until_s.items()):
        until.add_metric([key.module, key.region], until_s)
    yield from (writes, held, until)


def _gate_series(gate: GateState) -> Iterable[Metric]:
    off = GaugeMetricFamily(f"{PREFIX}_switched_off", "1 while somebody switched the service off.")
    off.add_metric([], float(gate.is_off))
    read = GaugeMetricFamily(
        f"{PREFIX}_switch_read", "1 where the switch could be read the last time."
    )
    read.add_metric([], float(gate.is_switch_read))
    yield from (off, read)
    if gate.clock_ahead_s is not None:
        yield GaugeMetricFamily(
            f"{PREFIX}_clock_ahead_seconds",
            "How far this machine's clock is ahead of the API server's.",
            value=gate.clock_ahead_s,
        )
    guards = GaugeMetricFamily(
        f"{PREFIX}_guard_proven",
        "1 where the server was seen to refuse what it should.",
        labels=["target_namespace", "kind"],
    )
    for namespace, kind, is_proven in sorted(gate.guards):
        guards.add_metric([namespace, kind], float(is_proven))
    leases = GaugeMetricFamily(
        f"{PREFIX}_lease_epoch",
        "The epoch under which a demand partition's writes go out, 0 while its Lease is not ours.",
        labels=["partition"],
    )
    for partition, epoch in sorted(gate.leases):
        leases.add_metric([str(partition)], float(epoch or 0))
    yield from (guards, leases)


def _cluster_series(silent_s: float | None) -> Iterable[Metric]:
    if silent_s is not None:
        yield GaugeMetricFamily(
            f"{PREFIX}_cluster_silence_seconds",
            "The longest time that a watch of the cluster said nothing.",
            value=silent_s,
        )


def _target_series(decision: Decision) -> Iterable[Metric]:
    labels = ["module", "region"]
    demand = GaugeMetricFamily(
        f"{PREFIX}_demand_requests_per_second", "Demand observed.", labels=labels
    )
    forecast = GaugeMetricFamily(
        f"{PREFIX}_forecast_demand_requests_per_second",
        "Peak demand forecast for the window, at the target's quantile.",
        labels=[*labels, "quantile_target"],
    )
    floor = GaugeMetricFamily(
        f"{PREFIX}_floor_replicas", "Floors by kind.", labels=[*labels, "kind"]
    )
    lead = GaugeMetricFamily(
        f"{PREFIX}_lead_time_seconds", "From patch to Ready pods.", labels=labels
    )
    for row in decision.floors:
        key = [row.key.module, row.key.region]
        if row.demand_per_s is not None:
            demand.add_metric(key, row.demand_per_s)
        if row.forecast_peak_per_s is not None:
            forecast.add_metric([*key, f"{row.quantile:g}"], row.forecast_peak_per_s)
        for kind, value in (
            ("wanted", row.floor_wanted),
            ("decided", row.floor),
            ("now", row.floor_now),
            ("baseline", row.baseline_replicas),
        ):
            if value is not None:
                floor.add_metric([*key, kind], value)
        lead.add_metric(key, row.lead_time_s)
    yield from (demand, forecast, floor, lead)
    weight = GaugeMetricFamily(
        f"{PREFIX}_route_weight_ratio", "Share of the default route.", labels=labels
    )
    for route in decision.weights:
        for region, value in zip(route.regions, route.weights, strict=True):
            weight.add_metric([route.module, region], value / 100)
    yield weight


def configure_logging(level: str = "INFO") -> None:
    """JSON on a pipe, colours on a terminal; everything to stderr, stdout is for data."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(RepeatedLines())
