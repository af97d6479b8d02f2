"""Which metrics count requests, under all the names that MPLP's guides and OpenTelemetry give them.

`streams/catalog.py` makes the table once, with the names that the configuration adds; the formats
ask it for the module that a name says, `streams/counters.py` for the meaning and the precedence.
MPLP's own guides call one thing by several names, put `_total` behind gauges and give rates beside
counters, so nothing is guessed from a suffix: what is not in the table is demand of no kind. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from streams.event_types import SampleType

MODULE_PLACE = "<module>"
"""Stands for every configured module in a metric's name."""


class MetricMeaning(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a metric of a certain name says of demand."""

    means: Literal["requests", "requests_per_s", "not_demand"]
    """A count of requests, a rate of them at this instant, or neither."""
    scale: Annotated[float, Meta(gt=0, le=1e9)] = 1.0
    """Requests, or requests per second, for each unit of the value; 0.0166667 for a per-minute
    rate."""
    module: Annotated[str, Meta(max_length=128)] = ""
    """The module whose requests these are; empty: the labels or the name say it."""


_COUNT = MetricMeaning(means="requests")
_RATE = MetricMeaning(means="requests_per_s")
_NOT_DEMAND = MetricMeaning(means="not_demand")


def _count(module: str) -> MetricMeaning:
    return MetricMeaning(means="requests", module=module)


def _rate(module: str) -> MetricMeaning:
    return MetricMeaning(means="requests_per_s", module=module)


SOURCES: dict[str, MetricMeaning] = {
    # What only this module does, counted.
    "mplp_<module>_operations_total": _COUNT,
    "<module>_operations_total": _COUNT,
    "mplp_<module>_requests_total": _COUNT,
    "mplp_role_permission_checks_total": _count("role"),
    "permission_checks_total": _count("role"),
    "mplp_auth_attempts_total": _count("role"),
    "mplp_plan_executions_total": _count("plan"),
    "mplp_trace_events_total": _count("trace"),
    "trace_events_total": _count("trace"),
    "mplp_trace_spans_created_total": _count("trace"),
    "mplp_agent_collaborations_total": _count("collab"),
    # Requests over HTTP or gRPC; whose they are the labels say.
    "mplp_http_requests_total": _COUNT,
    "http_requests_total": _COUNT,
    "mplp_http_request_duration_seconds_count": _COUNT,
    "http_request_duration_seconds_count": _COUNT,
    "http_server_request_duration_count": _COUNT,
    "http_server_request_duration_seconds_count": _COUNT,
    "http_server_duration_count": _COUNT,
    "http_server_duration_milliseconds_count": _COUNT,
    "http_server_requests_seconds_count": _COUNT,
    "api_response_time_count": _COUNT,
    "rpc_server_call_duration_count": _COUNT,
    "rpc_server_call_duration_seconds_count": _COUNT,
    "rpc_server_duration_count": _COUNT,
    "rpc_server_duration_milliseconds_count": _COUNT,
    "grpc_server_handled_total": _COUNT,
    # Somebody else's division: what happened between two samples is not in it.
    "mplp_<module>_operations_per_second": _RATE,
    "<module>_operations_per_second": _RATE,
    "mplp_<module>_requests_per_second": _RATE,
    "mplp_auth_requests_per_second": _rate("role"),
    "auth_requests_per_second": _rate("role"),
    "mplp_trace_events_per_second": _rate("trace"),
    "mplp_requests_per_second": _RATE,
    "requests_per_second": _RATE,
}
"""Name -> meaning, the best source first. OpenTelemetry's dots are underscores here.

A count beats a rate, because it loses nothing between two samples; what names the module beats what
only labels tell apart, because a gateway's requests may be everybody's. Of the role module the
permission checks are the load, of trace the events (MPLP monitoring guide). `http.server.duration`
and `rpc.server.duration` are the names of semantic conventions before 1.23; `http_server_requests_
seconds` is what Micrometer writes.
"""

NOT_DEMAND: dict[str, tuple[str, ...]] = {
    "a level": (
        "mplp_network_connections_active", "active_connections", "mplp_concurrent_users",
        "mplp_context_queue_length", "context_queue_length", "queue_depth_count",
        "mplp_plan_execution_backlog", "plan_execution_backlog", "mplp_plans_running_total",
        "mplp_context_active_total", "mplp_contexts_active_total", "context_active_count",
        "mplp_database_connections_active", "mplp_database_connections_max", "up",
        "http_server_active_requests",
    ),
    "a time": (
        "mplp_response_time_p95", "context_response_time", "rbac_check_latency",
        "mplp_<module>_operation_duration_seconds", "mplp_plan_task_completion_time",
        "mplp_network_latency_seconds", "network_latency_p95", "mplp_agent_response_time",
        "mplp_approval_processing_time", "mplp_monitoring_collection_latency",
        "message_latency_ms", "mplp_http_request_duration_seconds_bucket",
        "mplp_http_request_duration_seconds_sum", "http_request_duration_seconds_bucket",
        "http_request_duration_seconds_sum", "http_server_request_duration_seconds_bucket",
        "http_server_request_duration_seconds_sum", "api_response_time_bucket",
        "api_response_time_sum",
    ),
    "a share": (
        "plan_success_rate", "mplp_plan_success_rate", "mplp_auth_success_rate",
        "mplp_coordination_success_rate", "mplp_workflow_completion_rate",
        "mplp_task_automation_ratio", "mplp_feature_adoption_rate", "error_rate",
        "network_error_rate",
    ),
    "a part of another count": (
        "mplp_plan_execution_failures_total", "mplp_context_creation_failures_total",
        "mplp_auth_failures_total", "mplp_rbac_violations_total",
    ),
    "no unit is stated": (
        "mplp_network_message_throughput", "message_throughput", "mplp_api_usage_by_module",
    ),
    "messages of a bus, not requests": ("event_throughput_per_second",),
    "what serving costs": (
        "cpu_usage_percent", "memory_usage_bytes", "container_cpu_usage_seconds_total",
        "container_memory_usage_bytes", "process_resident_memory_bytes",
        "process_cpu_seconds_total", "mplp_audit_log_size_bytes",
    ),
}  # fmt: skip
"""Why -> metrics of the guides that say nothing of how many requests there are."""

UNKNOWN_NAMES_KEPT = 32
"""How many names that are not in the table are remembered, to be shown to a person."""
_NAME_CHARACTERS_MAX = 256
_UNDERSCORES = str.maketrans(".-/ ", "____")


class MetricSource(NamedTuple):
    """A row of the table: of two sources of a module the one with the lower precedence counts."""

    meaning: MetricMeaning
    precedence: int


class MetricNames:
    """The table for these modules. `unknown_names` holds some of the names that it lacks."""

    def __init__(
        self, modules: Iterable[str], additions: Mapping[str, MetricMeaning] | None = None
    ) -> None:
        """`additions` come before the built-in names, in their order, and may replace them.

        Raises `ValueError` for an addition whose module is not configured.
        """
        self.unknown_names: set[str] = set()
        self._rows: dict[str, MetricSource] = {}
        spellings = {_bare(module): module for module in modules}
        for name, meaning in (additions or {}).items():
            if meaning.module and _bare(meaning.module) not in spellings:
                raise ValueError(
                    f"the metric {name!r} is said to be of {meaning.module!r}, "
                    "which is not a configured module"
                )
            self._put(name, meaning, spellings)
        for name, meaning in SOURCES.items():
            self._put(name, meaning, spellings)
        for names in NOT_DEMAND.values():
            for name in names:
                self._put(name, _NOT_DEMAND, spellings)

    def find(self, name: str, sample_type: SampleType) -> MetricSource | None:
        """What a metric of this name means; None if it is not in the table.

        An OpenTelemetry sum or histogram has no suffix in its name, so `http.server.requests` of a
        sum is `http_server_requests_total` here, and a histogram's samples are its `_count`.
        """
        plain = _plain(name)
        found = self._rows.get(plain)
        if found is None and sample_type in (SampleType.CUMULATIVE, SampleType.DELTA):
            found = self._rows.get(f"{plain}_total") or self._rows.get(f"{plain}_count")
        if found is None and len(self.unknown_names) < UNKNOWN_NAMES_KEPT:
            self.unknown_names.add(name[:_NAME_CHARACTERS_MAX])
        return found

    def is_demand(self, name: str, sample_type: SampleType) -> bool:
        """Whether a sample of this name can count."""
        found = self.find(name, sample_type)
        return found is not None and found.meaning.means != "not_demand"

    def _put(self, name: str, meaning: MetricMeaning, spellings: Mapping[str, str]) -> None:
        """Add a row for each name that this one stands for; the first row of a name stays."""
        precedence = len(self._rows)
        if meaning.module:
            spelling = spellings.get(_bare(meaning.module))
            if spelling is None:
                return
            meaning = msgspec.structs.replace(meaning, module=spelling)
        if MODULE_PLACE not in name:
            self._rows.setdefault(_plain(name), MetricSource(meaning, precedence))
            return
        for bare, spelling in spellings.items():
            of_module = msgspec.structs.replace(meaning, module=meaning.module or spelling)
            row = MetricSource(of_module, precedence)
            self._rows.setdefault(_plain(name.replace(MODULE_PLACE, bare)), row)


def _plain(name: str) -> str:
    return name[:_NAME_CHARACTERS_MAX].casefold().translate(_UNDERSCORES)


def _bare(module: str) -> str:
    return module.casefold().replace("_", "-").removeprefix("mplp-")
