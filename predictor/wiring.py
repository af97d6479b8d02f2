"""Makes the parts of a live worker from its settings; the one place where names meet classes.

`predictor/worker.py` and `predictor/history_topic.py` call it. It must never start what it makes.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from models.ensemble import Ensemble
from models.manifest import ModelRefused
from models.model_signature import trusted_keys
from models.stored_ensemble import ensemble_of
from models.stored_parameters import StoredParameters
from predictor.actuators.cluster_settings import ClusterSettings, HpaTarget, RouteTarget
from predictor.actuators.gate import GateSettings, WorkerGate
from predictor.calendar_file import CalendarFile
from predictor.current_events import CurrentEvents
from predictor.demand_inbox import DemandInbox
from predictor.model_store.model_store import ModelStore
from predictor.model_store.watcher import ModelWatcher, WatchTimes
from predictor.settings import Settings
from predictor.way_back.standby import Standby
from streams.events import Catalog
from streams.faust_app import DemandTables, DemandTableSettings
from streams.format_options import FormatName
from streams.ingest import Ingest, IngestSettings, MetricsInput
from streams.topics import KafkaConnection, Topics, demand_partition, group_name


def kafka_connection(settings: Settings) -> KafkaConnection:
    """How the brokers are reached."""
    kafka = settings.kafka
    return KafkaConnection(
        bootstrap_servers=kafka.bootstrap_servers,
        security_protocol=kafka.security_protocol,
        sasl_mechanism=kafka.sasl_mechanism,
        sasl_username=kafka.sasl_username,
        sasl_password_file=_path(kafka.sasl_password_file),
        ssl_ca_file=_path(kafka.ssl_ca_file),
        ssl_certificate_file=_path(kafka.ssl_certificate_file),
        ssl_key_file=_path(kafka.ssl_key_file),
    )


def missing_files(settings: Settings) -> list[str]:
    """The files that the configuration names and that cannot be read, a sentence each."""
    kafka = settings.kafka
    named = {
        "kafka.sasl_password_file": kafka.sasl_password_file,
        "kafka.ssl_ca_file": kafka.ssl_ca_file,
        "kafka.ssl_certificate_file": kafka.ssl_certificate_file,
        "kafka.ssl_key_file": kafka.ssl_key_file,
        "kubernetes.kubeconfig": settings.kubernetes.kubeconfig,
    }
    named |= {f"events.schemas: id {one.id}": one.file or None for one in settings.events.schemas}
    return [
        f"{key}: {name} cannot be read"
        for key, name in named.items()
        if name is not None and not os.access(name, os.R_OK)
    ]


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name)


def kafka_topics(settings: Settings) -> Topics:
    """The configured topic names."""
    return Topics(
        requests=settings.kafka.requests_topic,
        demand=settings.kafka.demand_topic,
        decisions=settings.kafka.decisions_topic,
        dead_letter=settings.kafka.dead_letter_topic,
    )


def event_catalog(settings: Settings, form: FormatName | None = None) -> Catalog:
    """Modules, regions and formats; raises `OSError` or `ValueError` for a schema file.

    `form` is the format of another topic than that of the requests.
    """
    options = settings.events.loaded(lambda name: Path(name).read_bytes())
    if form is not None:
        options = msgspec.structs.replace(options, format=form)
    return Catalog(
        settings.modules,
        settings.regions,
        default_region=settings.region,
        future_skew_max_s=settings.windows.future_skew_max_s,
        options=options,
    )


def new_ingest(settings: Settings, connection: KafkaConnection) -> Ingest:
    """The member of the ingest group that this worker runs."""
    windows = settings.windows
    return Ingest(
        connection,
        kafka_topics(settings),
        group_name(settings.region, "ingest", settings.kafka.group_prefix),
        event_catalog(settings),
        IngestSettings(
            bucket_s=windows.bucket_s,
            lateness_s=windows.lateness_s,
            amend_s=windows.amend_s,
            silence_max_s=windows.silence_max_s,
            idle_after_s=windows.idle_after_s,
            commit_interval_s=windows.commit_interval_s,
        ),
        metrics=_metrics_input(settings),
    )


def _metrics_input(settings: Settings) -> MetricsInput | None:
    metrics = settings.metrics
    if metrics.topic is None:
        return None
    return MetricsInput(metrics.topic, event_catalog(settings, metrics.format), metrics.lateness_s)


def served_model(parameters: StoredParameters, step_s: int) -> Ensemble:
    """The model that a service whose history has this step makes forecasts with.

    Raises `ModelRefused` for numbers that are none, or that were learnt in another step.
    """
    if parameters.step_s != step_s:
        raise ModelRefused(
            f"it was trained in steps of {parameters.step_s} s, history.step_s is {step_s}"
        )
    return ensemble_of(parameters)


def new_model_watcher(
    settings: Settings, take: Callable[[Ensemble, str], None], counts: Counter[str]
) -> ModelWatcher[Ensemble] | None:
    """What follows the configured store, if there is one; raises `ValueError` for its URL."""
    model = settings.model
    if model.store is None:
        return None
    return ModelWatcher(
        ModelStore(model.store),
        trusted_keys(model.trusted_keys),
        model_of=lambda parameters: served_model(parameters, settings.history.step_s),
        take=take,
        times=WatchTimes(model.poll_s, model.timeout_s),
        counts=counts,
    )


def new_calendar(settings: Settings) -> tuple[CalendarFile, CurrentEvents] | None:
    """The configured calendar and what learns from it, if there is one; raises `CalendarFault`."""
    calendar = settings.calendar
    found = CalendarFile(calendar, frozenset(settings.modules), frozenset(settings.regions))
    if not calendar.files and not any(one.country for one in calendar.regions.values()):
        return None
    shares = {name: region.weight / 100 for name, region in settings.regions.items()}
    return found, CurrentEvents(shares)


def cluster_settings(settings: Settings) -> ClusterSettings:
    """Every module in every region, and the routes."""
    return ClusterSettings(
        targets=tuple(
            HpaTarget(name, region, place.namespace, module.hpa, module.policy.replicas_min)
            for name, module in settings.modules.items()
            for region, place in settings.regions.items()
        ),
        routes=tuple(
            RouteTarget(module, route.namespace, route.virtual_service, route.hosts)
            for module, route in settings.routes.items()
        ),
        kubeconfig=settings.kubernetes.kubeconfig,
        context=settings.kubernetes.context,
        request_timeout_s=settings.kubernetes.request_timeout_s,
        silence_max_s=settings.kubernetes.silence_max_s,
        writes_per_s=settings.kubernetes.writes_per_s,
        discovery=settings.kubernetes.discovery,
        namespaces=settings.kubernetes.discovery_namespaces,
        patches_scaled_objects=settings.kubernetes.keda == "patch",
    )


def new_gate(settings: Settings, partitions: int) -> WorkerGate | None:
    """Who is asked before each write; none in shadow, where even a lease would be a write."""
    if settings.mode == "shadow":
        return None
    return WorkerGate(
        cluster_settings(settings),
        GateSettings(
            namespace=settings.kubernetes.namespace,
            group=group_name(settings.region, "decide", settings.kafka.group_prefix),
            is_guard_required=settings.guard.required,
            is_clock_compared=settings.clock == "wall",
        ),
        lambda module: demand_partition(module, partitions),
    )


def new_standby(settings: Settings) -> Standby | None:
    """Who takes back what ran out; an expiry is a time of day, so not in event time."""
    if settings.mode == "shadow" or settings.clock == "event":
        return None
    cluster = cluster_settings(settings)
    places = [place for place in cluster.watched_places if place]
    routes = sorted({route.namespace for route in cluster.routes}) or None
    return Standby(cluster, places, settings.kubernetes.namespace, route_namespaces=routes)


def new_tables(
    settings: Settings, connection: KafkaConnection, inbox: DemandInbox, partitions: int
) -> DemandTables:
    """The member of the deciding group that this worker runs."""
    return DemandTables(
        connection,
        settings.kafka.demand_topic,
        group_name(settings.region, "decide", settings.kafka.group_prefix),
        inbox,
        DemandTableSettings(
            partitions=partitions,
            replication_factor=settings.kafka.replication_factor,
            history_s=settings.history.layers().reach_s,
        ),
    )
