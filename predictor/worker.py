"""A live worker: puts the parts together, starts them, and ends them in order.

`mplp-predictor run` calls `run_worker`. One process counts the input partitions that the ingest
group gives it, and decides for the modules whose demand partitions it owns. SIGTERM ends it without
dropping a floor. It must never decide, count or patch anything itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import structlog
import uvloop
from prometheus_client import CollectorRegistry

from models.ensemble import Ensemble
from models.manifest import ModelRefused
from models.model_signature import trusted_keys
from models.store import folder_reader, opened
from predictor.actuators.gate import WorkerGate
from predictor.actuators.kubernetes import KubernetesCluster
from predictor.calendar_file import CalendarFault, CalendarFile
from predictor.calendar_watcher import CalendarWatcher
from predictor.clock import EventClock, WallClock
from predictor.current_events import CurrentEvents
from predictor.current_model import CurrentModel
from predictor.demand_inbox import DemandInbox
from predictor.gather import Gatherer
from predictor.model_store.watcher import ModelWatcher
from predictor.service import Service
from predictor.settings import Settings
from predictor.telemetry import PredictorCollector, Snapshot, configure_logging
from predictor.tick_loop import TickLoop
from predictor.web.probe_server import ProbeServer
from predictor.web.probes import CurrentChecks, LatestRecord
from predictor.wiring import (
    cluster_settings,
    kafka_connection,
    kafka_topics,
    new_calendar,
    new_gate,
    new_ingest,
    new_model_watcher,
    new_standby,
    new_tables,
    served_model,
)
from streams.audit_topic import AuditTopic
from streams.backoff import Backoff
from streams.broker_problem import BrokerAwayError, tell_problem
from streams.ingest import Ingest, IngestError, prepare_process
from streams.partition_count import partition_count

STOP_TIMEOUT_S = 10.0
"""Less than the 30 s that Kubernetes gives before SIGKILL, with room for the last commit."""

BROKER_PAUSE_MAX_S = 30.0

_log = structlog.get_logger(__name__)


class WorkerFailed(Exception):  # noqa: N818 - it says what failed
    """The worker cannot go on; the sentence says what an operator has to change."""


def run_worker(settings: Settings, ready_file: Path | None = None) -> None:
    """Run until SIGTERM or SIGINT; raises `WorkerFailed`."""
    configure_logging()
    prepare_process()
    uvloop.run(_run(settings, ready_file))


async def _run(settings: Settings, ready_file: Path | None) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    # A fault in it is the operator's, and told before any broker is waited for.
    _calendar(settings)
    checks, registry, latest = CurrentChecks(), CollectorRegistry(), LatestRecord()
    # Before the broker is asked: a worker that waits for it is alive and must not be restarted.
    probes = ProbeServer(settings.http, checks, registry, latest)
    probes.start()
    try:
        partitions = await _demand_partitions(settings, stopping)
        if partitions:
            parts = _parts(settings, partitions, ready_file, checks, registry, latest=latest)
            await _until_stopped(parts, stopping)
    finally:
        probes.stop()


async def _until_stopped(
    parts: contextlib.AbstractAsyncContextManager[set[asyncio.Task[None]]], stopping: asyncio.Event
) -> None:
    async with parts as tasks:
        waiting = asyncio.create_task(stopping.wait())
        done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        for task in tasks & done:
            _raise_failure(task)


async def _demand_partitions(settings: Settings, stopping: asyncio.Event) -> int:
    """Wait for the broker, with pauses that grow; a topic that is not there is the operator's."""
    backoff = Backoff(first_s=1.0, longest_s=BROKER_PAUSE_MAX_S)
    while not stopping.is_set():
        try:
            found = await partition_count(kafka_connection(settings), settings.kafka.demand_topic)
        except BrokerAwayError as away:
            pause_s = backoff.next_delay_s()
            tell_problem(_log, away.problem, away, retry_in_s=round(pause_s, 1))
        else:
            if found:
                return found
            raise WorkerFailed(
                f"the topic {settings.kafka.demand_topic} does not exist on "
                f"{settings.kafka.bootstrap_servers}; its owner declares it, we never do"
            )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), pause_s)
    return 0


def _raise_failure(task: asyncio.Task[None]) -> None:
    error = task.exception()
    if isinstance(error, IngestError):
        raise WorkerFailed(str(error)) from error
    if error is not None:
        raise error


def _load_model(settings: Settings) -> tuple[Ensemble | None, str]:
    """The trained model, or none: a service without one works, and says why it has none."""
    if settings.model_folder is None:
        return None, ""
    trusted = trusted_keys(settings.model.trusted_keys)
    try:
        found = opened(folder_reader(Path(settings.model_folder)), trusted)
        model = served_model(found.parameters, settings.history.step_s)
    except ModelRefused as error:
        _log.error("model_refused", folder=settings.model_folder, reason=str(error))
        return None, ""
    digest, signature = found.facts.manifest.digest, found.facts.signer.sentence
    _log.info("model_loaded", folder=settings.model_folder, digest=digest, signature=signature)
    return model, digest


def _model_watcher(
    settings: Settings, model: CurrentModel, snapshot: Snapshot
) -> ModelWatcher[Ensemble] | None:
    try:
        return new_model_watcher(settings, model.replace_prior, snapshot.model_loads)
    except ValueError as error:
        raise WorkerFailed(f"model.store: {error}") from None


@contextlib.asynccontextmanager
async def _parts(
    settings: Settings,
    partitions: int,
    ready_file: Path | None,
    checks: CurrentChecks,
    registry: CollectorRegistry,
    *,
    latest: LatestRecord,
) -> AsyncIterator[set[asyncio.Task[None]]]:
    """Start sources and service, show them to the probes; end them in the data's own order."""
    connection = kafka_connection(settings)
    snapshot = Snapshot(mode=settings.mode)
    clock = EventClock() if settings.clock == "event" else WallClock()
    gate = new_gate(settings, partitions)
    inbox = DemandInbox(settings, clock, partitions, None if gate is None else gate.hold)
    tables = new_tables(settings, connection, inbox, partitions)
    ingest = new_ingest(settings, connection)
    audit = AuditTopic(connection, kafka_topics(settings))
    cluster = KubernetesCluster(cluster_settings(settings))
    calendar = _calendar(settings)
    model = _new_model(settings, None if calendar is None else calendar[1])
    watcher = _model_watcher(settings, model, snapshot)
    gatherer = Gatherer(
        cluster=cluster,
        history=inbox.history,
        model=model,
        policy=settings.policy(),
        owns=inbox.owns,
    )
    service = Service(
        cluster=cluster,
        gatherer=gatherer,
        policy=settings.policy(),
        mode=settings.mode,
        record=_recorder(settings, audit, latest),
        gate=gate,
    )
    ticks = TickLoop(
        settings,
        service=service,
        gatherer=gatherer,
        inbox=inbox,
        clock=clock,
        snapshot=snapshot,
        may_decide=lambda: tables.recovered,
        ready_file=ready_file,
    )
    registry.register(_collector(snapshot, ingest, audit, cluster, gate))
    checks.now = ticks
    await audit.start()
    await tables.start()
    tasks = {asyncio.create_task(ingest.run()), asyncio.create_task(ticks.run())}
    standby = new_standby(settings)
    found = (gate, standby, watcher, _calendar_watcher(calendar, clock))
    watchers = [one for one in found if one is not None]
    tasks |= {asyncio.create_task(one.run()) for one in watchers}
    try:
        yield tasks
    finally:
        ticks.stop()
        ingest.stop()
        for one in watchers:
            one.stop()
        clients = [one for one in (cluster, gate, standby) if one is not None]
        await _end(tasks, [tables.stop, audit.close, *(one.close for one in clients)])


def _recorder(
    settings: Settings, audit: AuditTopic, latest: LatestRecord
) -> Callable[[bytes], None]:
    """To the topic, and to whoever asks for the newest."""

    def record(body: bytes) -> None:
        latest.body = body
        audit.put(settings.region, body)

    return record


def _new_model(settings: Settings, events: CurrentEvents | None) -> CurrentModel:
    trained, digest = _load_model(settings)
    return CurrentModel(
        refit_s=settings.refit_s,
        prior=trained,
        digest=digest,
        events=events,
        callers=settings.callers(),
    )


def _calendar(settings: Settings) -> tuple[CalendarFile, CurrentEvents] | None:
    try:
        return new_calendar(settings)
    except CalendarFault as fault:
        raise WorkerFailed(str(fault)) from None


def _calendar_watcher(
    calendar: tuple[CalendarFile, CurrentEvents] | None, clock: EventClock | WallClock
) -> CalendarWatcher | None:
    if calendar is None:
        return None
    return CalendarWatcher(calendar[0], now_s=clock.now_s, take=calendar[1].plan)


def _collector(
    snapshot: Snapshot,
    ingest: Ingest,
    audit: AuditTopic,
    cluster: KubernetesCluster,
    gate: WorkerGate | None,
) -> PredictorCollector:
    def read() -> Snapshot:
        snapshot.events = ingest.counts
        snapshot.audit_dropped = audit.counts["dropped"]
        snapshot.cluster_silent_s = cluster.silent_s()
        snapshot.gate = None if gate is None else gate.state()
        return snapshot

    return PredictorCollector(read)


async def _end(
    tasks: set[asyncio.Task[None]], steps: Sequence[Callable[[], Awaitable[None]]]
) -> None:
    """Let the tasks finish what they do, then close what they used, within `STOP_TIMEOUT_S`."""
    _log.info("stopping")
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await asyncio.gather(*tasks, return_exceptions=True)
            for step in steps:
                await step()
    except TimeoutError:
        _log.warning("stopped_late", limit_s=STOP_TIMEOUT_S)
    for task in tasks:
        task.cancel()
